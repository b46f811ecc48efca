// One place, and a client that keeps it for as long as it can: by coming back, by never beginning, by waiting for what
// never comes. When the place is free again is seen by a second client that waits in the queue.
import { expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import type { ServerOptions } from "../../src/index.ts";
import { within } from "../support/eventually.ts";
import {
  connectTcp,
  downloadConfiguration,
  type RawClient,
  tcpBuffer,
  uploadConfiguration,
} from "../support/raw-client.ts";
import { WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(45_000);

const RESUMABLE = { version: 3, duration: 1, resume: { timeout: 600 } };
/** The machine may be slow by this. */
const MARGIN_SECONDS = 3;

interface Held {
  readonly watched: WatchedServer;
  readonly client: RawClient;
  readonly token: string;
  readonly dataPort: number;
  /** Seconds from the holder's answer until its place was another's. */
  readonly freeAfterSeconds: Promise<number>;
}

/** Has the only place of a server, and somebody wait for it. */
async function hold(configuration: object, options: ServerOptions = {}): Promise<Held> {
  const watched = await WatchedServer.start({ clientLimit: 1, queueLimit: 2, ...options });
  const client = await watched.connect();
  const heldMs = performance.now();
  client.send(configuration);
  const { extensions, stream_ports: ports } = await client.next();
  const next = await watched.connect();
  next.send(downloadConfiguration({ extensions: { version: 3, duration: 1, wait: 60 } }));
  expect(await next.next()).toMatchObject({ kind: "queued" });
  const free = next.nextOf("connect", 40_000).then(() => (performance.now() - heldMs) / 1000);
  return {
    watched,
    client,
    token: String(Object(extensions).resume.token),
    dataPort: Number(Object(ports)[0] ?? 0),
    freeAfterSeconds: free,
  };
}

/** Comes back again and again; gives what it was answered, when the place is free. */
async function comeBack({ watched, token, freeAfterSeconds }: Held, everyMs: number): Promise<readonly unknown[]> {
  const answers: unknown[] = [];
  for (let free: unknown; free === undefined; free = await Promise.race([freeAfterSeconds, Bun.sleep(everyMs)])) {
    const client = await watched.connect();
    client.send({ kind: "resume", token, have: 0 });
    const { kind, phase } = await client.next();
    answers.push(phase ?? kind);
  }
  return answers;
}

async function expectFree({ watched, freeAfterSeconds }: Held, least: number, most: number): Promise<void> {
  const seconds = await freeAfterSeconds;
  expect(seconds).toBeGreaterThan(least);
  expect(seconds).toBeLessThan(most + MARGIN_SECONDS);
  watched.kill();
  expect(watched.stderr).toBe("");
}

test.concurrent("by coming back before the begin, again and again: 30 s from the first answer", async () => {
  const held = await hold(downloadConfiguration({ extensions: RESUMABLE }));
  const answers = await comeBack(held, 2000);
  expect(answers.slice(0, 4)).toEqual(["ready", "ready", "ready", "ready"]);
  await expectFree(held, 29, 30);
});

test.concurrent("by coming back for the results, again and again: not at all, and they are there", async () => {
  const configuration = downloadConfiguration({ extensions: RESUMABLE });
  const held = await hold(configuration);
  const { watched, client, token, dataPort } = held;
  client.send({ kind: "begin" });
  (await connectTcp(dataPort)).end(tcpBuffer(configuration.test_id));
  await client.nextOf("done");
  for (let again = 0; again < 5; again++) {
    const back = await watched.connect();
    back.send({ kind: "resume", token, have: 0 });
    expect(await back.next()).toEqual({ kind: "resumed", phase: "finished", first: 0 });
    expect(await back.nextOf("done")).toMatchObject({ role: "download" });
    await Bun.sleep(300);
  }
  await expectFree(held, 0, 3);
});

test.concurrent("by data without a begin: no longer than the class allows", async () => {
  const configuration = downloadConfiguration({ extensions: RESUMABLE });
  const held = await hold(configuration, { maxTimeSeconds: 1 });
  const data = await connectTcp(held.dataPort);
  const sending = setInterval(() => void data.write(tcpBuffer(configuration.test_id)), 50);
  expect(await held.client.nextOf("error")).toEqual({
    kind: "error",
    message: expect.stringMatching(/^the limit of class \S+ is 1 s$/),
  });
  clearInterval(sending);
  await expectFree(held, 2, 3);
});

test.concurrent(
  "by a begin and nothing more: no longer than the class allows, and half a minute for what may be late",
  async () => {
    const held = await hold(downloadConfiguration({ extensions: RESUMABLE }), { maxTimeSeconds: 1 });
    held.client.send({ kind: "begin" });
    expect(await held.client.nextOf("failed", 40_000)).toMatchObject({ role: "download" });
    held.client.reset();
    await expectFree(held, 30, 31);
  },
);

test.concurrent("by not reading, and coming back while the streams are stopped: they have 2 s", async () => {
  const sockets: Socket[] = [];
  const receiver = createServer((socket) => {
    sockets.push(socket.pause().on("error", () => {}));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  receiver.listen(0, "127.0.0.1", resolve);
  await within("a receiver", promise);
  const { port } = Object(receiver.address());
  const held = await hold(
    uploadConfiguration({
      bandwidth: 0,
      length: 65_536,
      stream_ports: [port],
      extensions: { version: 3, resume: { timeout: 0 } },
    }),
  );
  held.client.send({ kind: "begin" });
  await comeBack(held, 500);
  await expectFree(held, 0, 1 + 5 + 2);
  for (const socket of sockets) socket.destroy();
  receiver.close();
});

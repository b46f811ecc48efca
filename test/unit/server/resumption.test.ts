// Clients that lose their control connection and come back, and data that comes to the control port: by hand, on a server
// whose streams tell what a script says, or that are real.
import { afterEach, describe, expect, test } from "bun:test";
import { makeServerConfig, type ServerOptions } from "../../../src/config/server-config.ts";
import type { ServerEvent } from "../../../src/server/events.ts";
import { listen, type RperfServer } from "../../../src/server/start-server.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import type { StreamEvent } from "../../../src/streams/spec.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually, within } from "../../support/eventually.ts";
import {
  connectTcp,
  downloadConfiguration,
  frameOf,
  openDatagrams,
  RawClient,
  type RawMessage,
  tcpBuffer,
  udpPacket,
  unframe,
  uploadConfiguration,
} from "../../support/raw-client.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";

const linux = testsUnless(process.platform === "linux" ? null : "only Linux has all of 127.0.0.0/8");
const SLOW_TEST_MS = 30_000;
const REFUSED = { kind: "error", message: "there is no such test to resume" };

function interval(bytesSent: number): StreamEvent {
  const sent = { timestampSeconds: 0, durationSeconds: 1, bytesSent, sendsBlocked: 0 };
  return { type: "interval", interval: { kind: "send", family: "tcp", ...sent } };
}
const THREE = [interval(0), interval(1), interval(2)];
const ENDED: StreamEvent = {
  type: "ended",
  report: {
    totals: { books: null, bufferDrops: null, sendsRefused: null, bytesUndelivered: null },
    sent: { packets: 0, omittedPackets: 0 },
  },
};

interface Started {
  readonly server: RperfServer;
  readonly events: ServerEvent[];
  readonly pool: StreamWorkerPool;
}

const started: Started[] = [];
afterEach(async () => {
  for (const { server, pool } of started.splice(0)) {
    await server.stop("the test ended");
    expect([server.clients, pool.size]).toEqual([0, 0]);
  }
});

function start(pool: StreamWorkerPool, options: ServerOptions = {}): Started {
  const events: ServerEvent[] = [];
  const config = makeServerConfig({ bindAddress: "127.0.0.1", port: 0, ...options });
  const one = { server: listen(config, pool, (event) => events.push(event)), events, pool };
  started.push(one);
  return one;
}

/** A server whose streams tell this from their start on. */
function scripted(told: readonly StreamEvent[], options: ServerOptions = {}): Started {
  return start(scriptedPool({ prepare: [{ type: "prepared", port: null }], start: told }), options);
}

const RESUMABLE = { version: 3, resume: { timeout: 5 } };

/** A client of a test that it may resume, and the token. */
async function configured({ server }: Started, changes: RawMessage = {}) {
  const client = await RawClient.connect(server.port);
  client.send(uploadConfiguration({ extensions: RESUMABLE, duration: 60, ...changes }));
  const answer = await client.nextOf("connect-ready");
  const { resume } = answer["extensions"] as { readonly resume: { readonly token: string } };
  expect(resume.token).toMatch(/^[0-9a-f]{32}$/);
  return { client, token: resume.token };
}

async function running(one: Started, results: number) {
  const { client, token } = await configured(one);
  client.send({ kind: "begin" });
  for (let count = 0; count < results; count++) await client.nextOf("send");
  return { client, token };
}

async function lose({ events }: Started, client: RawClient): Promise<void> {
  const before = events.length;
  client.reset();
  await eventually(
    "the loss",
    () => events.slice(before),
    (told) => told.some(({ type }) => type === "client-lost"),
  );
}

async function resume({ server }: Started, token: string, have: number) {
  const client = await RawClient.connect(server.port);
  client.send({ kind: "resume", token, have });
  return { client, answer: await client.next() };
}

/** What came is this, and the numbers of results by what each tells of itself. */
async function expectReplayed(client: RawClient, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) expect(await client.next()).toMatchObject({ kind: "send", bytes_sent: number });
}

async function expectRefused(client: RawClient): Promise<void> {
  await client.closed();
  // Not a byte more, whatever the reason.
  expect(client.messages).toEqual([REFUSED]);
}

test("a token that is used again and again is answered eight times, then none, and the test goes on", async () => {
  const one = scripted(THREE);
  const { token } = await running(one, 3);
  let last: RawClient | null = null;
  for (let count = 0; count < 8; count++) {
    const { client, answer } = await resume(one, token, 0);
    expect(answer).toEqual({ kind: "resumed", phase: "running", first: 0 });
    last = client;
  }
  const early = await RawClient.connect(one.server.port);
  early.send({ kind: "resume", token, have: 0 });
  await early.closed();
  expect(early.messages).toEqual([]);
  // Who was answered last has the test still.
  await eventually(
    "one client",
    () => one.server.clients,
    (clients) => clients === 1,
  );
  last?.send({ kind: "end" });
  await last?.closed();
  expect(one.events.at(-1)).toMatchObject({ type: "client-ended", message: "the client ended the test early" });
});

describe("the right token", () => {
  test.each([
    [0, [0, 1, 2]],
    [1, [1, 2]],
    [3, []],
  ])("of a client that has %d replays exactly what was missed", async (have, numbers) => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    await lose(one, client);
    expect(one.server.clients).toBe(1);
    const { client: back, answer } = await resume(one, token, have);
    expect(answer).toEqual({ kind: "resumed", phase: "running", first: have });
    await expectReplayed(back, numbers);
    expect(one.events.at(-1)).toMatchObject({ type: "client-resumed" });
    expect(one.server.clients).toBe(1);
    back.send({ kind: "end" });
    await back.closed();
    // Nothing else had come.
    expect(back.messages).toHaveLength(1 + numbers.length);
  });

  test("is good again and again", async () => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    let last = client;
    for (let again = 0; again < 3; again++) {
      await lose(one, last);
      const { client: back, answer } = await resume(one, token, 2);
      expect(answer).toMatchObject({ phase: "running", first: 2 });
      await expectReplayed(back, [2]);
      last = back;
    }
  });

  test("what was acknowledged is not kept, and the answer says where it goes on", async () => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    client.send({ kind: "ack", have: 2 });
    await Bun.sleep(50);
    await lose(one, client);
    const { client: back, answer } = await resume(one, token, 0);
    expect(answer).toEqual({ kind: "resumed", phase: "running", first: 2 });
    await expectReplayed(back, [2]);
  });

  test("takes the place of a connection that the server still believes in", async () => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    const { client: back, answer } = await resume(one, token, 3);
    expect(answer).toMatchObject({ phase: "running" });
    await client.closed();
    expect(client.messages.at(-1)).toMatchObject({ kind: "send" });
    await eventually(
      "one client",
      () => one.server.clients,
      (count) => count === 1,
    );
    // The test is the new one's: that the old one went away is no end of it.
    back.send({ kind: "begin" });
    expect(await back.next()).toMatchObject({ kind: "error", message: expect.stringContaining("begin") });
  });

  test("before the begin: the test begins over the new connection", async () => {
    const one = scripted(THREE);
    const { client, token } = await configured(one);
    await lose(one, client);
    const { client: back, answer } = await resume(one, token, 0);
    expect(answer).toEqual({ kind: "resumed", phase: "ready", first: 0 });
    back.send({ kind: "begin" });
    await expectReplayed(back, [0, 1, 2]);
  });

  test("of a test that is over meanwhile: its results are there, and nothing else of it", async () => {
    const one = scripted([...THREE, ENDED], { clientLimit: 1 });
    const { client, token } = await running(one, 3);
    await client.nextOf("done");
    await lose(one, client);
    await eventually(
      "nothing held",
      () => [one.pool.size, one.server.clients],
      (held) => held.every((count) => count === 0),
    );
    // Its place is another's.
    const next = await configured(one);
    next.client.end();
    await next.client.closed();
    const { client: back, answer } = await resume(one, token, 1);
    expect(answer).toEqual({ kind: "resumed", phase: "finished", first: 1 });
    await expectReplayed(back, [1, 2]);
    expect(await back.next()).toMatchObject({ kind: "done", stream_idx: 0, role: "upload" });
    back.send({ kind: "ack", have: 4 }, { kind: "end" });
    await back.closed();
    const { client: late } = await resume(one, token, 4);
    await expectRefused(late);
  });
});

describe("is refused, always with the same words", () => {
  test.each<[string, (token: string) => string]>([
    ["a token that was never given", () => "0".repeat(32)],
    ["an empty one", () => ""],
    ["one that is nearly right", (token) => token.slice(0, -1) + (token.endsWith("0") ? "1" : "0")],
    ["one that is cut off", (token) => token.slice(0, -1)],
  ])("%s", async (_name, spoil) => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    await lose(one, client);
    const { client: stranger } = await resume(one, spoil(token), 0);
    await expectRefused(stranger);
    // The right one is as good as before.
    expect((await resume(one, token, 0)).answer).toMatchObject({ kind: "resumed" });
  });

  linux.test("the right one, from another address", async () => {
    const one = scripted(THREE, { bindAddress: "0.0.0.0" });
    const { client, token } = await running(one, 3);
    const stranger = await RawClient.connect(one.server.port, "127.0.0.1", "127.0.0.9");
    stranger.send({ kind: "resume", token, have: 0 });
    await expectRefused(stranger);
    // Nor is the test's own connection disturbed.
    client.send({ kind: "begin" });
    expect(await client.nextOf("error")).toMatchObject({ message: expect.stringContaining("begin") });
  });

  test.each(["closes in good order", "says its end"])("that of a client that %s", async (how) => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    if (how === "says its end") client.send({ kind: "end" });
    client.end();
    await eventually(
      "the end",
      () => one.events.at(-1)?.type,
      (type) => type === "client-ended",
    );
    const { client: late } = await resume(one, token, 0);
    await expectRefused(late);
  });

  test(
    "that of a client that does not come back within seconds of its reset",
    async () => {
      const one = scripted(THREE);
      const { client, token } = await running(one, 3);
      await lose(one, client);
      await Bun.sleep(3_000);
      expect([one.server.clients, one.pool.size]).toEqual([1, 1]);
      await eventually(
        "nothing held",
        () => [one.pool.size, one.server.clients],
        (held) => held.every((count) => count === 0),
      );
      expect(one.events.at(-1)).toMatchObject({ type: "client-ended" });
      const { client: late } = await resume(one, token, 0);
      await expectRefused(late);
    },
    SLOW_TEST_MS,
  );
});

describe("has no place", () => {
  test.each<[string, object]>([
    ["a resume", { kind: "resume", token: "0".repeat(32), have: 0 }],
    ["data", { kind: "data", test_id: [...Array(16).keys()], stream_idx: 0 }],
  ])("%s in a test", async (_name, message) => {
    const one = scripted(THREE);
    const { client } = await configured(one);
    client.send(message);
    expect(await client.next()).toMatchObject({ kind: "error", message: expect.stringContaining("has no place") });
    await client.closed();
  });

  test("a resume in mid-configuration", async () => {
    const one = start(scriptedPool({ prepare: [], start: [] }));
    const client = await RawClient.connect(one.server.port);
    client.send(uploadConfiguration({ extensions: RESUMABLE }), { kind: "resume", token: "0".repeat(32), have: 0 });
    // Messages are served in turn, and these streams are never ready: its turn does not come before the deadline.
    await Bun.sleep(100);
    expect(client.messages).toEqual([]);
    client.end();
    await client.closed();
  });

  test("a second begin after a resumption", async () => {
    const one = scripted(THREE);
    const { client, token } = await running(one, 3);
    await lose(one, client);
    const { client: back } = await resume(one, token, 3);
    back.send({ kind: "begin" });
    expect(await back.next()).toMatchObject({
      kind: "error",
      message: expect.stringContaining("a begin has no place"),
    });
    await back.closed();
    const { client: late } = await resume(one, token, 3);
    await expectRefused(late);
  });

  test.each(["sent", "ack", "begin"])("%s first", async (kind) => {
    const one = scripted(THREE);
    const client = await RawClient.connect(one.server.port);
    client.send({ kind, stream_idx: 0, packets: 0, omitted_packets: 0, have: 0 });
    expect(await client.next()).toMatchObject({ kind: "error", message: expect.stringContaining("no place") });
    await client.closed();
  });
});

describe("data at the control port", () => {
  const SINGLE_PORT = { version: 3, single_port: true };

  async function announced(port: number, testId: readonly number[], streamIndex: number) {
    const socket = await connectTcp(port);
    const answered = Promise.withResolvers<RawMessage>();
    socket.on("data", (chunk: Buffer) => {
      const [message] = unframe(chunk).messages;
      if (message !== undefined) answered.resolve(message);
    });
    const closed = new Promise((resolve) => void socket.once("close", resolve));
    socket.write(frameOf(JSON.stringify({ kind: "data", test_id: testId, stream_idx: streamIndex })));
    return { socket, closed, answer: await within("an answer", answered.promise) };
  }
  const NO_STREAM = { kind: "error", message: "no stream of this server waits for such a connection" };

  test("goes to its stream, once; all else is refused with the same words", async () => {
    const one = start(new StreamWorkerPool(spawnWorker));
    const { port } = one.server;
    const client = await RawClient.connect(port);
    const configuration = downloadConfiguration({ extensions: SINGLE_PORT });
    client.send(configuration);
    const { stream_ports } = await client.nextOf("connect");
    expect(stream_ports).toEqual([port]);
    for (const [testId, streamIndex] of [
      [Array<number>(16).fill(7), 0],
      [configuration.test_id, 1],
    ] as const) {
      const stranger = await announced(port, testId, streamIndex);
      expect(stranger.answer).toEqual(NO_STREAM);
      await within("the close", stranger.closed);
    }
    const data = await announced(port, configuration.test_id, 0);
    expect(data.answer).toEqual({ kind: "data-ready" });
    const second = await announced(port, configuration.test_id, 0);
    expect(second.answer).toEqual(NO_STREAM);
    await within("the close", second.closed);
    client.send({ kind: "begin" });
    data.socket.end(tcpBuffer(configuration.test_id, 3000));
    expect(await client.nextOf("receive")).toMatchObject({ stream_idx: 0, bytes_received: 3000 });
    await client.nextOf("done");
    client.send({ kind: "end" });
    await client.closed();
  });

  test("is refused where the client did not ask for it", async () => {
    const one = start(new StreamWorkerPool(spawnWorker));
    const client = await RawClient.connect(one.server.port);
    const configuration = downloadConfiguration();
    await client.configure(configuration);
    expect((await announced(one.server.port, configuration.test_id, 0)).answer).toEqual(NO_STREAM);
    client.end();
    await client.closed();
  });
});

test("a sender's count ends a receiver's stream at once, with its books", async () => {
  const one = start(new StreamWorkerPool(spawnWorker));
  const client = await RawClient.connect(one.server.port);
  const extensions = { version: 3, accounting: true, interval: 0.1, duration: 5 };
  const configuration = downloadConfiguration({ family: "udp", extensions });
  const [port = 0] = await client.configure(configuration);
  client.send({ kind: "begin" });
  const socket = await openDatagrams();
  for (let id = 0; id < 20; id++) socket.send(udpPacket(configuration.test_id, id), port);
  await client.nextOf("receive");
  const sent = { kind: "sent", stream_idx: 0, packets: 25, omitted_packets: 0 };
  client.send(sent, sent);
  expect(await client.nextOf("done", 2_000)).toMatchObject({
    role: "download",
    totals: { books: { sent: 25, unique: 20, lost: 5, bursts: 1, burst_longest: 5 } },
  });
  socket.close();
  client.send({ kind: "end" });
  await client.closed();
});

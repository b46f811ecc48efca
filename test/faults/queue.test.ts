import { afterEach, describe, expect, test } from "bun:test";
import { type ClientEvent, runClient, type ServerOptions, type TestOptions, type TestResult } from "../../src/index.ts";
import { complaintOf, EXIT_FAILED, linesOf } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { expectMatched, expectServes } from "../support/good-test.ts";
import { rperf, run, startProcess } from "../support/process.ts";
import { downloadConfiguration, type RawClient, uploadConfiguration } from "../support/raw-client.ts";
import { streamLineFaults } from "../support/schemas.ts";
import { WatchedServer } from "../support/watched-server.ts";

let server: WatchedServer | null = null;
afterEach(() => server?.kill());

async function start(options: ServerOptions): Promise<WatchedServer> {
  server = await WatchedServer.start(options);
  return server;
}

interface Run {
  readonly result: Promise<TestResult>;
  readonly events: readonly ClientEvent[];
  readonly places: () => readonly number[];
}

/** A test that runs on its own; its events are seen as they come. */
function begin(port: number, options: Partial<TestOptions>, signal?: AbortSignal): Run {
  const events: ClientEvent[] = [];
  const run = { onEvent: (event: ClientEvent) => void events.push(event), ...(signal === undefined ? {} : { signal }) };
  const result = runClient({ host: "127.0.0.1", port, durationSeconds: 0.5, ...options }, run);
  result.catch(() => {});
  return { result, events, places: () => events.flatMap((event) => (event.type === "queued" ? [event.place] : [])) };
}

function has(type: ClientEvent["type"]): (events: readonly ClientEvent[]) => boolean {
  return (events) => events.some((event) => event.type === type);
}

function reached(what: ClientEvent["type"], { events }: Run): Promise<readonly ClientEvent[]> {
  return eventually(what, () => events, has(what));
}

/** Holds the server's only place until it ends. */
async function occupy(watched: WatchedServer, configuration: object = downloadConfiguration()): Promise<RawClient> {
  const client = await watched.connect();
  await client.configure(configuration);
  return client;
}

const OFFER = { version: 2, wait: 60 };

describe("a client that has to wait", () => {
  test("says so in one line, and then tests; who would not wait is refused, as is who waited long enough", async () => {
    const watched = await start({ clientLimit: 1, queueLimit: 4 });
    const { port } = watched;
    const holder = await occupy(watched, uploadConfiguration({ duration: 48 }));
    const client = (...flags: readonly string[]) => rperf("-c", "127.0.0.1", "-p", `${port}`, ...flags);
    // Longer than the second after which the next in turn hears that it is, and a stall.
    const text = startProcess(client("-t", "3"));
    await text.waitForOutput(/waiting for a place: 1st in the queue, about 4\d s\n/);
    const json = startProcess(client("-t", "0.5", "--json-stream"));
    await json.waitForOutput(/"queued"/);
    const full = "the server has as many clients as it may have";
    const refused = await run(client("--wait", "0"));
    expect(refused.code).toBe(EXIT_FAILED);
    expect(complaintOf(refused)).toEndWith(`${full}; try again later`);
    const oneTooMany = await run(client());
    expect(complaintOf(oneTooMany)).toEndWith(
      `${full}, and this address waits as often as it may (2); try again later`,
    );
    holder.end();
    expect(await text.exited).toBe(0);
    expect(linesOf(text.stderr)).toHaveLength(1);
    expect(await json.exited).toBe(0);
    const lines = linesOf(json.stdout).map((line): { event: string; data: object } => JSON.parse(line));
    expect(lines.flatMap(streamLineFaults)).toEqual([]);
    const queued = lines.filter(({ event }) => event === "queued");
    expect(queued.map(({ data }) => data)).toEqual([
      { place: 2, wait: expect.any(Number) },
      { place: 1, wait: expect.any(Number) },
    ]);
    expect(lines.slice(0, 3).map(({ event }) => event)).toEqual(["queued", "queued", "start"]);
  }, 40_000);

  test("is refused when its time is over, and its place in the queue is free", async () => {
    const watched = await start({ clientLimit: 1, queueLimit: 1 });
    const holder = await occupy(watched);
    const waiting = begin(watched.port, { waitSeconds: 1 });
    await reached("queued", waiting);
    // Nobody knows when a test of an original client ends.
    expect(waiting.events.find(({ type }) => type === "queued")).toEqual({
      type: "queued",
      place: 1,
      waitSeconds: null,
    });
    expect(await waiting.result.catch((error: unknown) => error)).toMatchObject({
      code: "peer-refused",
      message: expect.stringContaining("the server was full for 1 s"),
    });
    const next = begin(watched.port, {});
    await reached("queued", next);
    holder.end();
    expectMatched(await next.result);
  });

  test("that is an original's, or offers no wait, is refused at once", async () => {
    const watched = await start({ clientLimit: 1, queueLimit: 5 });
    const holder = await occupy(watched);
    for (const changes of [{}, { extensions: { version: 2 } }, { extensions: { version: 2, wait: 0 } }]) {
      const client = await watched.connect();
      client.send(downloadConfiguration(changes));
      expect(await client.next()).toEqual({
        kind: "error",
        message: "the server has as many clients as it may have; try again later",
      });
      await client.closed();
    }
    holder.end();
  });

  test.each<[string, (client: RawClient) => void]>([
    ["says so", (client) => client.send({ kind: "end" })],
    ["closes", (client) => client.end()],
    ["is killed", (client) => client.reset()],
    ["says what has no place there", (client) => client.send({ kind: "proof", mac: "00".repeat(32) })],
  ])("and leaves (it %s) makes room for those behind it", async (_how, leave) => {
    const watched = await start({ clientLimit: 1, queueLimit: 4 });
    const before = watched.holdings;
    const holder = await occupy(watched);
    const [leaver, second] = [await watched.connect(), await watched.connect()];
    leaver.send(downloadConfiguration({ extensions: OFFER }));
    expect(await leaver.next()).toEqual({ kind: "queued", place: 1 });
    second.send(uploadConfiguration({ extensions: { ...OFFER, dial: "client" } }));
    expect(await second.next()).toEqual({ kind: "queued", place: 2 });
    leave(leaver);
    await leaver.closed();
    holder.end();
    expect(await second.nextOf("connect-ready")).toMatchObject({ kind: "connect-ready" });
    second.send({ kind: "end" });
    await second.closed();
    await watched.isBackTo(before);
    expect(watched.stderr).toBe("");
  });

  test("can be interrupted, at once and without a trace", async () => {
    const watched = await start({ clientLimit: 1, queueLimit: 1 });
    const holder = await occupy(watched);
    const waiting = startProcess(rperf("-c", "127.0.0.1", "-p", `${watched.port}`));
    await waiting.waitForOutput(/waiting for a place/);
    waiting.kill("SIGINT");
    expect(await waiting.exited).toBe(EXIT_FAILED);
    expect(waiting.stderr).toContain("interrupted before the test began");
    const ended = await eventually(
      "the server's word of it",
      () => watched.events.filter(({ type }) => type === "client-ended"),
      ({ length }) => length === 1,
    );
    expect(ended).toMatchObject([{ message: "the client ended the test early" }]);
    const next = begin(watched.port, {});
    await reached("queued", next);
    holder.end();
    expectMatched(await next.result);
  });
});

test("tests of every kind wait in turn, one place for both directions", async () => {
  const watched = await start({ clientLimit: 1, queueLimit: 10 });
  const { port } = watched;
  const kinds: readonly Partial<TestOptions>[] = [
    { reverse: true },
    { bidir: true },
    { family: "udp", reverse: true },
    { family: "udp", bidir: true, singlePort: true },
    { reverse: true, dial: "legacy" },
  ];
  const holder = await occupy(watched);
  const waiting: Run[] = [];
  for (const kind of kinds) {
    const one = begin(port, { ...kind, durationSeconds: 0.3 });
    await reached("queued", one);
    waiting.push(one);
  }
  holder.end();
  const order: number[] = [];
  await Promise.all(
    waiting.map(async ({ result }, index) => {
      const done = await result;
      order.push(index);
      expectMatched(done);
    }),
  );
  expect(order).toEqual(kinds.map((_kind, index) => index));
  for (const [index, { places }] of waiting.entries()) {
    expect(places()[0]).toBe(index + 1);
    expect(places()).toEqual(places().toSorted((one, other) => other - one));
  }
  await expectServes(port);
}, 20_000);

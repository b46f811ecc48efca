// Who resumes a test shows its token; nobody else learns anything, or disturbs it.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { makeServerConfig } from "../../src/config/server-config.ts";
import { listen } from "../../src/server/start-server.ts";
import { TestRegistry } from "../../src/server/test-registry.ts";
import { spawnWorker } from "../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../src/workers/stream-worker-pool.ts";
import { ourDocumentOf } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { expectServes } from "../support/good-test.ts";
import { rperf, startProcess } from "../support/process.ts";
import { connectTcp, downloadConfiguration, RawClient, type RawMessage, tcpBuffer } from "../support/raw-client.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

/** The words are the same whatever is wrong. */
const REFUSAL = { kind: "error", message: "there is no such test to resume" };
const GUESSES = 10_000;
const GUESSERS = 20;

let toClose: RawClient[] = [];

afterEach(() => {
  for (const client of toClose) client.reset();
  toClose = [];
});

async function connect(port: number, localAddress?: string): Promise<RawClient> {
  const client = await RawClient.connect(port, "127.0.0.1", localAddress);
  toClose.push(client);
  return client;
}

interface Granted {
  readonly client: RawClient;
  readonly token: string;
  readonly dataPort: number;
  readonly testId: readonly number[];
}

/** A test that may be resumed, as far as the server's answer. */
async function configured(port: number, durationSeconds: number): Promise<Granted> {
  const client = await connect(port);
  const configuration = downloadConfiguration({
    extensions: { version: 1, duration: durationSeconds, resume: { timeout: 10 } },
  });
  client.send(configuration);
  const answer = (await client.nextOf("connect")) as {
    readonly stream_ports: readonly number[];
    readonly extensions: { readonly resume: { readonly token: string } };
  };
  const { token } = answer.extensions.resume;
  return { client, token, dataPort: answer.stream_ports[0] ?? 0, testId: configuration.test_id };
}

function resumption(token: string, have = 0): RawMessage {
  return { kind: "resume", token, have };
}

async function expectRefused(client: RawClient, message: object): Promise<void> {
  client.send(message);
  expect(await client.next()).toEqual(REFUSAL);
  await client.closed();
  expect(client.messages).toEqual([REFUSAL]);
}

describe("a token that opens nothing", () => {
  let server: WatchedServer;
  let idle: Holdings;
  let running: Granted;
  let held: Holdings;
  let writing: Timer;

  beforeAll(async () => {
    // The one place is taken by the test that the tokens are about.
    server = await WatchedServer.start({ clientLimit: 1 });
    idle = server.holdings;
    running = await configured(server.port, 30);
    // Not the file's to close after each test.
    toClose = [];
    running.client.send({ kind: "begin" });
    const data = await connectTcp(running.dataPort);
    data.write(tcpBuffer(running.testId));
    // However long the guesses take, the test is not ended for its silence.
    writing = setInterval(() => data.write(tcpBuffer(running.testId)), 100);
    await running.client.nextOf("receive");
    held = server.holdings;
  });

  afterAll(() => {
    clearInterval(writing);
    server.kill();
  });

  test.each<[string, (token: string) => string]>([
    ["another", () => "0123456789abcdef".repeat(2)],
    ["none", () => ""],
    ["one that differs in its last character", (token) => token.slice(0, -1) + (token.endsWith("0") ? "1" : "0")],
    ["the beginning of one", (token) => token.slice(0, 16)],
    ["one in capitals", (token) => `A${token.slice(1).toUpperCase()}`],
    ["one and a zero byte", (token) => `${token}\0`],
    ["garbage", () => "\u{1F511}' OR 1=1 --\r\n\0"],
    ["one of 60,000 characters", () => "a".repeat(60_000)],
    ["the name of something every object has", () => "__proto__"],
  ])("%s", async (_name, tokenOf) => {
    await expectRefused(await connect(server.port), resumption(tokenOf(running.token)));
    await server.isBackTo(held);
  });

  test("the right one, of another address", async () => {
    await expectRefused(await connect(server.port, "127.0.0.2"), resumption(running.token));
    await server.isBackTo(held);
  });

  test("is no string: the error names the field", async () => {
    const client = await connect(server.port);
    client.send({ kind: "resume", token: 5, have: 0 });
    expect(String((await client.next())["message"])).toContain("token");
    await client.closed();
    await server.isBackTo(held);
  });

  test("behind all of them the test still runs, and its own token opens it", async () => {
    expect(running.client.isClosed).toBe(false);
    const successor = await connect(server.port);
    successor.send(resumption(running.token));
    expect(await successor.next()).toEqual({ kind: "resumed", phase: "running", first: 0 });
    expect(await successor.next()).toMatchObject({ kind: "receive" });
    await running.client.closed();
    clearInterval(writing);
    successor.send({ kind: "end" });
    await successor.nextOf("done");
    await successor.closed();
    await server.isBackTo(idle);
    await expectServes(server.port);
    await server.isBackTo(idle);
    // A test that has ended in good order has nothing to resume.
    await expectRefused(await connect(server.port), resumption(running.token));
  });
});

describe("a good token", () => {
  let server: WatchedServer;
  let idle: Holdings;

  beforeAll(async () => {
    server = await WatchedServer.start();
    idle = server.holdings;
  });

  afterAll(() => server.kill());

  test("before the test began: the server waits for the begin", async () => {
    const { client, token } = await configured(server.port, 5);
    client.reset();
    const successor = await connect(server.port);
    successor.send(resumption(token));
    expect(await successor.next()).toEqual({ kind: "resumed", phase: "ready", first: 0 });
    successor.send({ kind: "end" });
    await successor.closed();
    await server.isBackTo(idle);
  });

  test("has no place in a test, not even its own", async () => {
    const { client, token } = await configured(server.port, 5);
    client.send(resumption(token));
    expect(await client.next()).toEqual({ kind: "error", message: "a resume has no place in a test" });
    await client.closed();
    await server.isBackTo(idle);
  });

  test("before the server's answer there is none: a resumption that does not wait for it is refused", async () => {
    const client = await connect(server.port);
    client.send(downloadConfiguration({ extensions: { version: 1, duration: 5, resume: { timeout: 10 } } }));
    client.send(resumption("0123456789abcdef".repeat(2)));
    expect(await client.nextOf("error")).toEqual({ kind: "error", message: "a resume has no place in a test" });
    await client.closed();
    await server.isBackTo(idle);
  });

  test("of two that resume at the same time the later one stays", async () => {
    const { client, token } = await configured(server.port, 5);
    const [one, other] = [await connect(server.port), await connect(server.port)];
    one.send(resumption(token));
    other.send(resumption(token));
    const answer = { kind: "resumed", phase: "ready", first: 0 };
    expect(await one.next()).toEqual(answer);
    expect(await other.next()).toEqual(answer);
    await client.closed();
    const isOver = await eventually(
      "the end of the earlier one",
      () => [one.isClosed, other.isClosed],
      ([isOneOver, isOtherOver]) => isOneOver === true || isOtherOver === true,
    );
    expect(isOver.filter(Boolean)).toHaveLength(1);
    const last = one.isClosed ? other : one;
    // The earlier one's end came behind, and changed nothing.
    await Bun.sleep(200);
    expect(last.isClosed).toBe(false);
    last.send({ kind: "begin" });
    last.send({ kind: "end" });
    expect(await last.next()).toMatchObject({ kind: "failed" });
    await last.closed();
    await server.isBackTo(idle);
  });

  test("with more acknowledged than there was: it is named, and the test waits for better", async () => {
    const { client, token } = await configured(server.port, 5);
    client.reset();
    const wrong = await connect(server.port);
    wrong.send(resumption(token, Number.MAX_SAFE_INTEGER));
    expect(await wrong.next()).toMatchObject({ kind: "error", message: expect.stringContaining("have must be") });
    await wrong.closed();
    const successor = await connect(server.port);
    successor.send(resumption(token, 0));
    expect(await successor.next()).toMatchObject({ kind: "resumed", phase: "ready" });
    successor.send({ kind: "end" });
    await successor.closed();
    await server.isBackTo(idle);
  });
});

test("the results of a test are there until they expire, and then it is as if they had never been", async () => {
  const keepMs = 3_000;
  const registry = new TestRegistry(keepMs);
  const config = makeServerConfig({ bindAddress: "127.0.0.1", port: 0, clientLimit: 1 });
  const server = listen(config, new StreamWorkerPool(spawnWorker), () => {}, registry);
  try {
    const { client, token, dataPort, testId } = await configured(server.port, 1);
    client.send({ kind: "begin" });
    const data = await connectTcp(dataPort);
    data.write(tcpBuffer(testId));
    data.end();
    await client.nextOf("done");
    client.reset();
    const successor = await connect(server.port);
    successor.send(resumption(token));
    expect(await successor.next()).toEqual({ kind: "resumed", phase: "finished", first: 0 });
    expect(await successor.next()).toMatchObject({ kind: "receive", bytes_received: 1024 });
    expect(await successor.next()).toMatchObject({ kind: "done" });
    // Its place is another's meanwhile.
    successor.reset();
    await eventually(
      "a server without clients",
      () => server.clients,
      (clients) => clients === 0,
    );
    await expectServes(server.port);
    expect(registry.size).toBe(1);
    await eventually(
      "an empty registry",
      () => registry.size,
      (size) => size === 0,
      2 * keepMs,
    );
    await expectRefused(await connect(server.port), resumption(token));
    await eventually(
      "a server without anything",
      () => server.clients,
      (clients) => clients === 0,
    );
  } finally {
    await server.stop("the test is over");
  }
});

test(`${GUESSES} guesses do not disturb a test`, async () => {
  const server = await WatchedServer.start({ clientLimit: 1 });
  const idle = server.holdings;
  const client = startProcess(rperf("-c", "127.0.0.1", "-p", `${server.port}`, "-t", "6", "-b", "8m", "-f", "json"));
  await eventually(
    "the test's start",
    () => server.events.some(({ type }) => type === "test-started"),
    (hasStarted) => hasStarted,
  );
  const startedMs = performance.now();
  let guesses = 0;
  const answers = new Set<string>();
  const guess = async () => {
    while (guesses < GUESSES) {
      guesses += 1;
      const guesser = await RawClient.connect(server.port);
      guesser.send(resumption(Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex")));
      answers.add(JSON.stringify(await guesser.next()));
      guesser.reset();
    }
  };
  await Promise.all(Array.from({ length: GUESSERS }, guess));
  console.log(`${GUESSES} guesses in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  expect([...answers]).toEqual([JSON.stringify(REFUSAL)]);
  const code = await client.exited;
  // Told by the server's process a moment later.
  await eventually(
    "as many refusals as guesses",
    () => server.events.filter(({ type }) => type === "client-refused").length,
    (refusals) => refusals >= GUESSES,
  );
  expect(server.events.filter(({ type }) => type === "client-refused")).toHaveLength(GUESSES);
  const document = ourDocumentOf({ code, stdout: client.stdout, stderr: client.stderr });
  expect({ code, stderr: client.stderr, outcome: document.outcome }).toEqual({
    code: 0,
    stderr: "",
    outcome: "completed",
  });
  expect(document.summary.bytes_received).toBe(document.summary.bytes_sent);
  // Loopback itself drops some packets under so many connections: no interval is looked at alone.
  expect(document.summary.bytes_received).toBeGreaterThan(0.8 * 6 * 1e6);
  await server.isBackTo(idle);
  await expectServes(server.port);
  server.kill();
}, 90_000);

import { afterEach, describe, expect, test } from "bun:test";
import { type ClientEvent, runClient } from "../../src/index.ts";
import { cpuSecondsOf } from "../bench/proc.ts";
import { testsUnless } from "../support/conditional.ts";
import { eventually } from "../support/eventually.ts";
import { expectMatched, expectServes } from "../support/good-test.ts";
import { ROOT, type RunningProcess, startProcess } from "../support/process.ts";
import { downloadConfiguration, RawClient } from "../support/raw-client.ts";
import { descriptorsOf, WatchedServer } from "../support/watched-server.ts";

const HELD = 300;
const WATCH_MS = 2000;
const MOST_CPU = 0.05;
/** What a test had is another's behind this. */
const LET_GO_MS = 500;

const onLinux = testsUnless(process.platform === "linux" ? null : "descriptors are counted in /proc");

let server: WatchedServer | null = null;
afterEach(() => server?.kill());

async function startUnder(descriptors: number): Promise<WatchedServer> {
  server = await WatchedServer.start({}, descriptors);
  return server;
}

/** Some hundred connections that ask for nothing, from another process. */
async function hold(port: number): Promise<RunningProcess> {
  const holder = startProcess([process.execPath, `${ROOT}/test/support/holder-child.ts`, `${port}`, `${HELD}`]);
  await holder.waitForOutput(/opened/);
  return holder;
}

function closedOf(holder: RunningProcess): number {
  return Number(/closed (\d+)\n(?!.*closed)/.exec(holder.stdout)?.[1] ?? 0);
}

/** The share of one CPU that the server takes for a while, and the most descriptors that it has. */
async function watch({ pid }: WatchedServer): Promise<{ readonly cpu: number; readonly descriptors: number }> {
  const [startMs, startSeconds] = [performance.now(), cpuSecondsOf(pid)];
  let descriptors = 0;
  while (performance.now() - startMs < WATCH_MS) {
    descriptors = Math.max(descriptors, descriptorsOf(pid));
    await Bun.sleep(20);
  }
  return { cpu: (cpuSecondsOf(pid) - startSeconds) / ((performance.now() - startMs) / 1000), descriptors };
}

for (const limit of [64, 256])
  onLinux.describe(`a server that may have ${limit} descriptors`, () => {
    test("closes the connections that are too many at once, is quiet, and serves", async () => {
      const { port, pid } = await startUnder(limit);
      if (server === null) return;
      const before = server.holdings;
      const holder = await hold(port);
      const kept = Math.floor((limit - before.descriptors - 16) / 4);
      await eventually(
        "the rest are closed",
        () => closedOf(holder),
        (closed) => closed === HELD - kept,
      );
      const { cpu, descriptors } = await watch(server);
      expect(cpu).toBeLessThan(MOST_CPU);
      expect(descriptors).toBe(before.descriptors + kept);
      // The latest to come is never the one that is too many.
      await expectServes(port, { parallel: 1 });
      holder.kill("SIGKILL");
      await holder.exited;
      const releasedMs = performance.now();
      let startedMs = Infinity;
      const onEvent = ({ type }: ClientEvent) => {
        if (type === "started") startedMs = performance.now();
      };
      expectMatched(await runClient({ host: "127.0.0.1", port, durationSeconds: 0.3 }, { onEvent }));
      // Within a second, and what a stalled machine adds; the connections that were held would last 10 s.
      expect(startedMs - releasedMs).toBeLessThan(2500);
      await server.isBackTo(before);
      expect(descriptorsOf(pid)).toBeLessThanOrEqual(before.descriptors);
      const warnings = server.events.filter(({ type }) => type === "warning");
      expect(warnings.length).toBeGreaterThan(0);
      expect(warnings.length).toBeLessThan(10);
      expect(server.stderr).toBe("");
    }, 30_000);
  });

onLinux.describe("a server at its limit", () => {
  test("goes on with the tests that run", async () => {
    const { port } = await startUnder(64);
    const alone = { host: "127.0.0.1", port, durationSeconds: 2, bandwidthBytesPerSecond: 1_250_000 } as const;
    const running = [runClient(alone), runClient({ ...alone, family: "udp", reverse: true })];
    await eventually(
      "both run",
      () => server?.events ?? [],
      (events) => events.filter(({ type }) => type === "test-started").length === 2,
    );
    const holder = await hold(port);
    for (const result of await Promise.all(running)) {
      expectMatched(result);
      // What a stall at the end leaves out is not made up for, and who hears nothing meanwhile calls it an outage.
      expect(result.summary.bytesReceived).toBeGreaterThan(2 * 1_250_000 * 0.5);
      for (const { durationSeconds } of result.outages) expect(durationSeconds).toBeLessThan(3);
    }
    holder.kill("SIGKILL");
  }, 30_000);
});

onLinux.describe("streams for which there are too few descriptors", () => {
  test("are refused before anything opens, with the reason, and fewer are served", async () => {
    const { port } = await startUnder(64);
    if (server === null) return;
    const before = server.holdings;
    const client = await server.connect();
    client.send(downloadConfiguration({ streams: 40, family: "udp" }));
    expect(await client.next()).toEqual({
      kind: "error",
      message: expect.stringMatching(/too few descriptors .* 40 streams \(RLIMIT_NOFILE\)/),
    });
    expect(server.holdings.workers).toBe(0);
    await client.closed();
    await expectServes(port, { parallel: 1 });
    await server.isBackTo(before);
  });

  test("have a listening port that strangers cannot fill the server by", async () => {
    await startUnder(64);
    if (server === null) return;
    const client = await server.connect();
    const [dataPort = 0] = await client.configure(downloadConfiguration());
    const holder = await hold(dataPort);
    const { cpu, descriptors } = await watch(server);
    expect(cpu).toBeLessThan(MOST_CPU);
    expect(descriptors).toBeLessThan(64);
    await expectServes(server.port, { parallel: 1 });
    holder.kill("SIGKILL");
    client.end();
  });
});

onLinux.describe("connections that a test of many streams may have", () => {
  test("are too many at once when it is over, before another's streams take what it had", async () => {
    await startUnder(256);
    if (server === null) return;
    const before = server.holdings;
    const kept = Math.floor((256 - before.descriptors - 16) / 4);
    const client = await server.connect();
    await client.configure(
      downloadConfiguration({ streams: 50, extensions: { version: 3, duration: 5, single_port: true } }),
    );
    const holder = await hold(server.port);
    // As many more as it has streams.
    const awaited = () => HELD - closedOf(holder) - kept;
    await eventually("the rest are closed", awaited, (count) => count === 50);
    client.send({ kind: "end" });
    // The control connection that is being closed is one of those that are left.
    await eventually("those that were awaited are closed", awaited, (count) => count === 0 || count === -1);
    await Bun.sleep(LET_GO_MS);
    const { pid } = server;
    const most = before.descriptors + kept;
    await eventually(
      "what the test had is let go",
      () => descriptorsOf(pid),
      (count) => count <= most,
    );
    const { cpu, descriptors } = await watch(server);
    expect(cpu).toBeLessThan(MOST_CPU);
    expect(descriptors).toBeLessThanOrEqual(most);
    await expectServes(server.port, { parallel: 1 });
    holder.kill("SIGKILL");
    await server.isBackTo(before);
  }, 20_000);
});

onLinux.describe("clients that wait for a place", () => {
  test("are counted: no more than there are descriptors for, and who is inside keeps what it needs", async () => {
    const watched = await WatchedServer.start({ clientLimit: 1, queueLimit: 256 }, 64);
    server = watched;
    const before = watched.holdings;
    const holder = await watched.connect();
    await holder.configure(downloadConfiguration());
    const spare = 64 - before.descriptors - 16;
    const most = Math.floor((spare - Math.floor(spare / 4)) / 4);
    const waiters: RawClient[] = [];
    const answers: unknown[] = [];
    for (let index = 1; index <= 20; index++) {
      const waiter = await RawClient.connect(watched.port, "127.0.0.1", `127.0.1.${index}`);
      waiter.send(downloadConfiguration({ extensions: { version: 3, wait: 60 } }));
      answers.push((await waiter.next())["kind"]);
      waiters.push(waiter);
    }
    expect(answers).toEqual(answers.map((_, index) => (index < most ? "queued" : "error")));
    const { cpu, descriptors } = await watch(watched);
    expect(cpu).toBeLessThan(MOST_CPU);
    expect(descriptors).toBeLessThan(64);
    holder.end();
    for (const waiter of waiters) waiter.end();
    await watched.isBackTo(before);
  }, 20_000);
});

describe("one-byte connections", () => {
  test("by the hundred keep nobody out who has something to say", async () => {
    server = await WatchedServer.start({ clientLimit: 3 });
    const before = server.holdings;
    const holder = await hold(server.port);
    await Promise.all([1, 2, 3].map(() => expectServes(server?.port ?? 0, { parallel: 1 })));
    // As many data connections at once as a test needs, beyond what connections without a test may be.
    await expectServes(server.port, { parallel: 100, singlePort: true, family: "tcp" });
    holder.kill("SIGKILL");
    await server.isBackTo(before);
  }, 20_000);
});

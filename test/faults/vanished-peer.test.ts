// Peers that are there no more, or not really: the other side ends with what it has, and holds nothing for them.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { complaintOf, EXIT_FAILED, expectTotalsOf, incompleteLineOf, ourDocumentOf } from "../support/cli.ts";
import { eventually, within } from "../support/eventually.ts";
import { expectServes } from "../support/good-test.ts";
import { describeWithNamespaces, type Namespace, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { rperf, type RunResult, type RunningProcess, startProcess } from "../support/process.ts";
import {
  connectTcp,
  downloadConfiguration,
  openDatagrams,
  type RawClient,
  tcpBuffer,
  udpPacket,
  uploadConfiguration,
} from "../support/raw-client.ts";
import { descriptorsOf, type Holdings, WatchedServer, workersOf } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

/** "A few seconds", and "about ten", on a machine that is busy with other tests. */
const FEW_SECONDS_MS = 8_000;
/** Behind a reset a client has 5 s to come back; its sockets linger for one more, and its Workers end. */
const KILLED_MS = 12_000;
const ABOUT_TEN_SECONDS_MS = 16_000;

const MODES = (["tcp", "udp"] as const).flatMap((family) =>
  (["forward", "reverse"] as const).map((direction) => ({ family, direction, name: `${family} ${direction}` })),
);
type Mode = (typeof MODES)[number];

const FORMATS = ["megabit", "json"] as const;
type Format = (typeof FORMATS)[number];

function clientFlags(
  { family, direction }: Mode,
  host: string,
  port: number,
  format: Format,
  more: readonly string[] = ["-t", "60"],
): string[] {
  const modeFlags = [...(family === "udp" ? ["-u"] : []), ...(direction === "reverse" ? ["-R"] : [])];
  return ["-c", host, "-p", `${port}`, "-P", "2", "-f", format, ...modeFlags, ...more];
}

async function resultOf(client: RunningProcess, limitMs: number): Promise<RunResult> {
  const code = await within("the client's end", client.exited, limitMs);
  return { code, stdout: client.stdout, stderr: client.stderr };
}

/** Without the warnings of a UDP sender whose packets its own system, with the link gone, does not take. */
function withoutRefusals(result: RunResult): RunResult {
  const refusal = /^.* warn stream \d+: the system refuses packets to .*\n/gm;
  return { ...result, stderr: result.stderr.replace(refusal, "") };
}

const OUTAGE = /^.* warn .*; the test goes on, trying to resume for [\d.]+ s\n/gm;
const RESUMED = /^.* warn the control connection is back after .*\n/gm;

function without(result: RunResult, warning: RegExp): { readonly count: number; readonly rest: RunResult } {
  const count = result.stderr.match(warning)?.length ?? 0;
  return { count, rest: { ...result, stderr: result.stderr.replace(warning, "") } };
}

/** A part of a test, printed and marked as such; `outages`: how often an attempt to resume was told of. */
function expectPartial(
  whole: RunResult,
  { direction }: Mode,
  format: Format,
  outcome: "failed" | "partial",
  outages: readonly number[],
): void {
  const { count, rest: result } = without(withoutRefusals(whole), OUTAGE);
  expect(outages).toContain(count);
  expect(result.code).toBe(EXIT_FAILED);
  if (format === "megabit") {
    expect(incompleteLineOf(result)).toMatch(new RegExp(`^${outcome}: .`));
    expect(result.stdout).toMatch(/^ +[01] +0\.00-1\.00 /m); // an interval line
    expect(result.stdout).toMatch(/^total of 2 streams/m);
    expect(result.stderr).toBe("");
    return;
  }
  const document = ourDocumentOf(result);
  expect(document.success).toBe(false);
  expect(document.outcome).toBe(outcome);
  expect(document.reason?.message).toBeString();
  expect(document.streams).toHaveLength(2);
  for (const { intervals } of document.streams) {
    // What this side saw itself is there in any case.
    const own = direction === "forward" ? intervals.send : intervals.receive;
    expect(own.length).toBeGreaterThanOrEqual(2);
  }
  complaintOf(result);
}

describe("a server that is killed", () => {
  for (const mode of MODES) {
    for (const format of FORMATS) {
      test.concurrent(
        `${mode.name}, ${format}`,
        async () => {
          const port = await freePort();
          const server = startProcess(rperf("-s", "-p", `${port}`));
          await server.waitForOutput(/listening/);
          const client = startProcess(rperf(...clientFlags(mode, "127.0.0.1", port, format)));
          await server.waitForOutput(/test started/);
          await Bun.sleep(2_700);
          server.kill("SIGKILL");
          // A host that answers, and where nobody listens any more: it is not waited for to the end. Where every stream has
          // failed here there is nothing to resume for.
          const outages = mode.family === "tcp" && mode.direction === "forward" ? [0, 1] : [1];
          expectPartial(await resultOf(client, FEW_SECONDS_MS), mode, format, "failed", outages);
        },
        40_000,
      );
    }
  }
});

describe("a client that is killed", () => {
  let server: WatchedServer;
  let idle: Holdings;

  beforeAll(async () => {
    server = await WatchedServer.start();
    idle = server.holdings;
  });

  afterAll(() => server.kill());

  for (const mode of MODES) {
    test(mode.name, async () => {
      const before = server.events.length;
      const client = startProcess(rperf(...clientFlags(mode, "127.0.0.1", server.port, "json")));
      await eventually(
        "the start of the test",
        () => server.events.slice(before).some(({ type }) => type === "test-started"),
        (started) => started,
      );
      await Bun.sleep(1_200);
      // Both streams are slow, and share one.
      expect(server.holdings.workers).toBe(idle.workers + 1);
      client.kill("SIGKILL");
      await client.exited;
      await server.isBackTo(idle, KILLED_MS);
      // Its system closes or resets its connection; behind a reset it may come back, for the results of streams that are over
      // or, within seconds, for those that are not.
      const ends = server.events.slice(before).flatMap(({ type }) => (type.startsWith("client-") ? [type] : []));
      expect(["client-ended", "client-lost", "client-lost client-ended"]).toContain(ends.join(" "));
      await expectServes(server.port);
      await server.isBackTo(idle);
    });
  }

  test("ten of them at the same time", async () => {
    const before = server.events.length;
    const clients = Array.from({ length: 10 }, (_, index) => {
      const mode = MODES[index % MODES.length] ?? { family: "tcp", direction: "forward", name: "" };
      return startProcess(rperf(...clientFlags(mode, "127.0.0.1", server.port, "json")));
    });
    await eventually(
      "ten running tests",
      () => server.events.slice(before).filter(({ type }) => type === "test-started").length,
      (count) => count === 10,
      20_000,
    );
    for (const client of clients) client.kill("SIGKILL");
    await Promise.all(clients.map((client) => client.exited));
    await server.isBackTo(idle, KILLED_MS);
    await expectServes(server.port);
    await server.isBackTo(idle);
  }, 60_000);
});

describeWithNamespaces("a link that goes down without a word", () => {
  interface Running {
    readonly server: RunningProcess;
    readonly client: RunningProcess;
    readonly idle: Holdings;
  }

  /** `ip netns exec` becomes the program it runs, so the process id is the program's. */
  function holdingsOf({ pid }: RunningProcess): Holdings {
    return { descriptors: descriptorsOf(pid), workers: workersOf(pid), clients: 0 };
  }

  async function startBoth(
    mode: Mode,
    format: Format,
    left: Namespace,
    right: Namespace,
    host: string,
    more: readonly string[],
  ): Promise<Running> {
    const server = right.start(rperf("-s", "-6", "-p", "5199"));
    await server.waitForOutput(/listening/);
    const idle = holdingsOf(server);
    const client = left.start(rperf(...clientFlags(mode, host, 5199, format, more)));
    await server.waitForOutput(/test started/);
    await Bun.sleep(2_700);
    expect(holdingsOf(server).workers).toBe(idle.workers + 1);
    return { server, client, idle };
  }

  const CUTS = [
    { format: "megabit", end: "client", version: 4 },
    { format: "json", end: "server", version: 6 },
  ] as const;
  /** With and without going on over the outage; the times are those of an end at once, and of one at the deadline. */
  const WAYS = [
    { way: "given up at once", more: ["-t", "60", "--resume-timeout", "0"], outcome: "failed", outages: [0] },
    { way: "given up at the deadline", more: ["-t", "7", "--resume-timeout", "3"], outcome: "partial", outages: [1] },
  ] as const;
  const CASES = MODES.flatMap((mode) => CUTS.flatMap((cut) => WAYS.map((way) => ({ mode, ...cut, ...way }))));

  for (const { mode, format, end, version, way, more, outcome, outages } of CASES) {
    test.concurrent(
      `${mode.name}, ${format}, IPv${version}, at the ${end}'s end, ${way}`,
      () =>
        withNamespaces(async ({ left, right }) => {
          const host = version === 4 ? right.ipv4 : right.ipv6;
          const { server, client, idle } = await startBoth(mode, format, left, right, host, more);
          (end === "client" ? left : right).setLink("down");
          expectPartial(await resultOf(client, ABOUT_TEN_SECONDS_MS), mode, format, outcome, outages);
          await eventually(
            "the server has freed everything",
            () => holdingsOf(server),
            ({ descriptors, workers }) => descriptors <= idle.descriptors && workers <= idle.workers,
            ABOUT_TEN_SECONDS_MS,
          );
          (end === "client" ? left : right).setLink("up");
          // The same server serves the next, once the link is there again.
          const next = await left.run(rperf("-c", right.ipv4, "-p", "5199", "-t", "1", "-f", "json"));
          expect({ code: next.code, stderr: next.stderr }).toEqual({ code: 0, stderr: "" });
          expect(ourDocumentOf(next).success).toBe(true);
          server.kill("SIGINT");
          expect(await server.exited).toBe(0);
        }),
      90_000,
    );
  }

  for (const mode of MODES) {
    for (const { format, end, version } of CUTS) {
      test.concurrent(
        `${mode.name}, ${format}, IPv${version}, at the ${end}'s end, and is back within the deadline`,
        () =>
          withNamespaces(async ({ left, right }) => {
            const host = version === 4 ? right.ipv4 : right.ipv6;
            const { server, client, idle } = await startBoth(mode, format, left, right, host, ["-t", "14"]);
            const cut = end === "client" ? left : right;
            cut.setLink("down");
            // Longer than a control connection is silent without being given up.
            await Bun.sleep(7_000);
            cut.setLink("up");
            const { count, rest } = without(withoutRefusals(await resultOf(client, 30_000)), OUTAGE);
            const back = without(rest, RESUMED);
            expect([count, back.count, back.rest.stderr, back.rest.code]).toEqual([1, 1, "", 0]);
            if (format === "json") {
              const document = ourDocumentOf(back.rest);
              expect(document).toMatchObject({ success: true, outcome: "completed", outages: [{}] });
              expectTotalsOf(document);
            } else
              expect(back.rest.stdout).toMatch(
                /^control connection lost for [\d.]+ s at [\d.]+ s; nothing was missed$/m,
              );
            await eventually(
              "the server has freed everything",
              () => holdingsOf(server),
              ({ descriptors, workers }) => descriptors <= idle.descriptors && workers <= idle.workers,
            );
            server.kill("SIGINT");
            expect(await server.exited).toBe(0);
          }),
        90_000,
      );
    }
  }
});

describe("a peer that is there and does nothing", () => {
  let server: WatchedServer;
  let idle: Holdings;
  let toStop: (() => void)[] = [];

  beforeAll(async () => {
    server = await WatchedServer.start();
    idle = server.holdings;
  });

  afterEach(() => {
    for (const stop of toStop) stop();
    toStop = [];
  });

  afterAll(() => server.kill());

  /** The server says of this stream that it failed; then all is over as after any test. */
  async function expectFailed(client: RawClient): Promise<void> {
    expect(await client.nextOf("failed", FEW_SECONDS_MS)).toMatchObject({ origin: "server", stream_idx: 0 });
    expect(client.messages.filter(({ kind }) => kind === "done")).toEqual([]);
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
    await expectServes(server.port);
    await server.isBackTo(idle);
  }

  test.each(["tcp", "udp"] as const)("a %s sender that never begins", async (family) => {
    const client = await server.connect();
    await client.configure(downloadConfiguration({ family }));
    client.send({ kind: "begin" });
    await expectFailed(client);
  });

  test("a tcp sender that connects and says nothing", async () => {
    const client = await server.connect();
    const [port = 0] = await client.configure(downloadConfiguration());
    client.send({ kind: "begin" });
    const data = await connectTcp(port);
    toStop.push(() => data.destroy());
    await expectFailed(client);
  });

  test("a tcp sender that stops in mid-test and keeps its connection", async () => {
    const client = await server.connect();
    const configuration = downloadConfiguration();
    const [port = 0] = await client.configure(configuration);
    client.send({ kind: "begin" });
    const data = await connectTcp(port);
    toStop.push(() => data.destroy());
    data.write(tcpBuffer(configuration.test_id, 30_000));
    await expectFailed(client);
    // What came before the silence was reported all the same.
    const received = client.messages.flatMap(({ kind, bytes_received: bytes }) =>
      kind === "receive" ? [Number(bytes)] : [],
    );
    expect(received.reduce((sum, bytes) => sum + bytes, 0)).toBe(30_000);
  });

  test("a udp sender that stops in mid-test without an end marker", async () => {
    const client = await server.connect();
    const configuration = downloadConfiguration({ family: "udp" });
    const [port = 0] = await client.configure(configuration);
    client.send({ kind: "begin" });
    const socket = await openDatagrams();
    toStop.push(() => socket.close());
    for (let id = 0; id < 20; id += 1) socket.send(udpPacket(configuration.test_id, id), port);
    await expectFailed(client);
    const received = client.messages.flatMap(({ kind, packets_received: packets }) =>
      kind === "receive" ? [Number(packets)] : [],
    );
    expect(received.reduce((sum, packets) => sum + packets, 0)).toBe(20);
  });

  test("one tcp sender of two that stops does not stop the other", async () => {
    const client = await server.connect();
    const configuration = downloadConfiguration({ streams: 2 });
    const [first = 0, second = 0] = await client.configure(configuration);
    client.send({ kind: "begin" });
    const [lazy, busy] = [await connectTcp(first), await connectTcp(second)];
    toStop.push(() => lazy.destroy());
    lazy.write(tcpBuffer(configuration.test_id));
    const writing = setInterval(() => busy.write(tcpBuffer(configuration.test_id)), 50);
    toStop.push(() => clearInterval(writing));
    expect(await client.nextOf("failed", FEW_SECONDS_MS)).toMatchObject({ stream_idx: 0 });
    clearInterval(writing);
    busy.end();
    expect(await client.nextOf("done")).toMatchObject({ stream_idx: 1 });
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
  });

  test("a tcp receiver that reads nothing, and a client that leaves it at that", async () => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => socket.pause(), data() {} },
    });
    toStop.push(() => listener.stop(true));
    const client = await server.connect();
    const changes = { bandwidth: 1e9, duration: 2, length: 65_536, stream_ports: [listener.port] };
    await client.configure(uploadConfiguration(changes));
    client.send({ kind: "begin" });
    // Full buffers are counted as blocked, and are no failure of the sender's.
    const interval = await client.nextOf("send");
    expect(Number(interval["sends_blocked"])).toBeGreaterThan(0);
    client.reset();
    await client.closed();
    await server.isBackTo(idle);
    await expectServes(server.port);
    await server.isBackTo(idle);
  });

  test("a tcp receiver that is not there", async () => {
    const client = await server.connect();
    await client.configure(uploadConfiguration({ duration: 30, stream_ports: [await freePort()] }));
    client.send({ kind: "begin" });
    await expectFailed(client);
  });

  test("a client that never reads its results holds nothing of the server's once it is gone", async () => {
    const client = await server.connect();
    await client.configure(
      uploadConfiguration({ family: "udp", streams: 20, duration: 60, stream_ports: Array(20).fill(4009) }),
    );
    client.pause();
    client.send({ kind: "begin" });
    await Bun.sleep(2_500);
    await expectServes(server.port);
    client.reset();
    await server.isBackTo(idle);
  });
});

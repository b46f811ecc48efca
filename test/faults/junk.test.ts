// Floods of datagrams at the ports of a test, and squatters on them: the result is exact meanwhile, and the slot is free behind it.
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { within } from "../support/eventually.ts";
import { MAX_CANDIDATES } from "../../src/streams/tcp-listen-source.ts";
import { documentOf } from "../support/document.ts";
import { expectServes } from "../support/good-test.ts";
import { flood, type JunkKind } from "../support/junk.ts";
import { freePort } from "../support/ports.ts";
import { reference, testWithReference } from "../support/reference.ts";
import { rperf, run } from "../support/process.ts";
import { connectTcp, downloadConfiguration, tcpBuffer } from "../support/raw-client.ts";
import { expectBalanced, figuresOf, printFigures, type TestRun, testRunOf } from "../support/udp-test.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(60_000);

const HOST = "127.0.0.1";
const PER_SECOND = 50_000;
/** A machine that is busy sends fewer than it is told to. */
const LEAST_PER_SECOND = 0.8 * PER_SECOND;
const SECONDS = 2;
/** 10 Mb/s. */
const FLAGS = ["-u", "-b", "10m", "-l", "1024", "--interval", "0.1"];
/** In 70 ms so much junk fills the receive buffer: all of the test that comes while the machine stalls longer is lost. */
const MOST_LOST_BY_STALLS = 0.4;

let server: WatchedServer;
let idle: Holdings;
/** The one port of each of the server's pools: known before any test. */
let tcpPort: number;
let udpPort: number;

beforeAll(async () => {
  [tcpPort, udpPort] = [await freePort(), await freePort()];
  const range = (port: number) => [{ first: port, last: port }];
  server = await WatchedServer.start({ portPools: { tcp4: range(tcpPort), udp4: range(udpPort) } });
  await expectServes(server.port, { parallel: 1 });
  idle = server.holdings;
});

afterAll(() => server.kill());

/** What the thread that serves all clients has had of a CPU, in seconds (proc(5), in ticks of 10 ms). */
function mainThreadSeconds(): number {
  const stat = readFileSync(`/proc/${server.pid}/task/${server.pid}/stat`, "utf8");
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return (user + system) / 100;
}

interface Flooded {
  readonly run: TestRun;
  readonly junkPerSecond: number;
  /** Of one CPU. */
  readonly mainThreadShare: number;
}

async function runFlooded(port: number, kind: JunkKind, flags: readonly string[]): Promise<Flooded> {
  const junk = await flood(HOST, port, PER_SECOND, kind);
  const before = mainThreadSeconds();
  const startedAtMs = performance.now();
  const all = ["-c", HOST, "-p", `${server.port}`, "-t", `${SECONDS}`, "-f", "json", ...FLAGS, ...flags];
  const result = await run(rperf(...all));
  const mainThreadShare = (mainThreadSeconds() - before) / ((performance.now() - startedAtMs) / 1000);
  const junkPerSecond = await junk.stop();
  return { run: testRunOf(result, SECONDS), junkPerSecond, mainThreadShare };
}

/** All is there, or its loss is laid to the buffer that the junk filled as well. */
function expectExact(name: string, { run: done, junkPerSecond, mainThreadShare }: Flooded): void {
  const figures = figuresOf(done);
  printFigures(name, {
    junk: Math.round(junkPerSecond),
    sent: figures.packets_sent,
    lost: figures.packets_lost,
    dropped: figures.packets_lost_receive_buffer,
    main: mainThreadShare,
  });
  expect({ outcome: done.document.outcome, reason: done.document.reason }).toEqual({
    outcome: "completed",
    reason: null,
  });
  expect(junkPerSecond).toBeGreaterThan(LEAST_PER_SECOND);
  expectBalanced(done);
  expect(figures.packets_lost_network).toBe(0);
  expect(figures.packets_lost).toBeLessThan(MOST_LOST_BY_STALLS * figures.packets_sent);
  // Whoever is too slow for the junk loses all the time; a stall is over in some intervals.
  const losses = done.document.streams.flatMap(({ intervals }) =>
    intervals.receive.map((one) => one["packets_lost"] ?? 0),
  );
  expect(losses.filter((lost) => lost === 0).length).toBeGreaterThan(losses.length / 2);
  expect([figures.packets_duplicated, figures.packets_out_of_order, figures.packets_stray]).toEqual([0, 0, 0]);
}

describe("50,000 datagrams a second", () => {
  test("of any size and of the right one, at a receiver of the server", async () => {
    expectExact("forward", await runFlooded(udpPort, "data", []));
    await server.isBackTo(idle);
    await expectServes(server.port, { parallel: 1 });
  });

  testWithReference("of any size and of the right one, with a client of the original", async () => {
    const junk = await flood(HOST, udpPort, PER_SECOND, "data");
    const theirs = ["-c", HOST, "-p", `${server.port}`, "-t", `${SECONDS}`, "-f", "json", "-u", "-b", "1250000"];
    const { success, summary } = documentOf(await run(reference(...theirs)));
    expect(await junk.stop()).toBeGreaterThan(LEAST_PER_SECOND);
    expect(success).toBe(true);
    expect(summary.packets_received).toBeGreaterThan((1 - MOST_LOST_BY_STALLS) * (summary.packets_sent ?? NaN));
    expect((summary.packets_received ?? 0) + (summary.packets_lost ?? 0)).toBeLessThanOrEqual(
      summary.packets_sent ?? NaN,
    );
    await server.isBackTo(idle);
  });

  test("hellos at a port that a client is to dial", async () => {
    expectExact("reverse", await runFlooded(udpPort, "hellos", ["-R"]));
    await server.isBackTo(idle);
    await expectServes(server.port, { parallel: 1 });
  });

  test("hellos at the control port's number", async () => {
    const flooded = await runFlooded(server.port, "hellos", ["--single-port", "-R"]);
    expectExact("single port", flooded);
    // The thread that serves everybody has most of its time left.
    expect(flooded.mainThreadShare).toBeLessThan(0.5);
    await server.isBackTo(idle);
    await expectServes(server.port, { parallel: 1 });
  });
});

describe("connections that say nothing", () => {
  /** Those that are there. Every one reached the server, which closes some so soon that they were never open for this side. */
  async function open(count: number, port: number, localAddress?: string): Promise<readonly Socket[]> {
    const opening = Array.from({ length: count }, () => connectTcp(port, HOST, localAddress));
    const opened = await Promise.allSettled(opening);
    for (const one of opened) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "ECONNRESET" });
    return opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  }

  test("ten of them at a data port do not keep the right one out, and hold nothing", async () => {
    const client = await server.connect();
    const configuration = downloadConfiguration();
    expect(await client.configure(configuration)).toEqual([tcpPort]);
    client.send({ kind: "begin" });
    const silent = await open(10, tcpPort);
    expect(silent.length).toBeGreaterThanOrEqual(MAX_CANDIDATES);
    const data = await connectTcp(tcpPort);
    data.write(tcpBuffer(configuration.test_id, 30_000));
    data.end();
    await client.nextOf("done");
    const received = client.messages.map(({ bytes_received: bytes }) => Number(bytes ?? 0));
    expect(received.reduce((sum, bytes) => sum + bytes, 0)).toBe(30_000);
    client.send({ kind: "end" });
    await client.closed();
    // They are still there at their end, for longer than this. That it takes 2 s at most, nothing-remains.test.ts says.
    await server.isBackTo(idle, 5_000);
    for (const socket of silent) socket.destroy();
    await expectServes(server.port, { parallel: 1 });
  });

  test("ten of them, and nobody else, hold a test no longer than none would", async () => {
    const client = await server.connect();
    await client.configure(downloadConfiguration());
    client.send({ kind: "begin" });
    const silent = await open(10, tcpPort);
    expect(await client.nextOf("failed")).toMatchObject({ stream_idx: 0 });
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle, 5_000);
    for (const socket of silent) socket.destroy();
    await expectServes(server.port, { parallel: 1 });
  });

  test("hundreds of one stranger do not drive out one that is slow to say what it is for", async () => {
    const client = await server.connect();
    const configuration = downloadConfiguration();
    await client.configure(configuration);
    client.send({ kind: "begin" });
    const data = await connectTcp(tcpPort);
    const silent = await open(300, tcpPort, "127.0.0.2");
    data.write(tcpBuffer(configuration.test_id, 30_000));
    data.end();
    await client.nextOf("done");
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle, 5_000);
    for (const socket of silent) socket.destroy();
    await within("a good test", expectServes(server.port, { parallel: 1 }), 20_000);
  });
});

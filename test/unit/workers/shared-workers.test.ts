// Slow streams of different tests on one Worker: real Workers, real sockets.
import { afterEach, describe, expect, test } from "bun:test";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool, type WorkerRequest } from "../../../src/workers/stream-worker-pool.ts";
import type { StreamWorker } from "../../../src/workers/worker-thread.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually } from "../../support/eventually.ts";
import { openSockets } from "../../support/open-sockets.ts";
import { anyRate, countedBytes, ELSEWHERE, failureOf, prepare, RECEIVER, receiverOn, senderTo } from "./streams.ts";

const SLOW_BYTES_PER_SECOND = 125_000;

const onLinux = testsUnless(process.platform === "linux" ? null : "there is no /proc on this system");

/** Such as the standard streams, where the tests run below a service. */
const INHERITED = openSockets();

let spawnOne: () => Worker = spawnWorker;
const raw: Worker[] = [];
const pool = new StreamWorkerPool(() => {
  const worker = spawnOne();
  raw.push(worker);
  return worker;
});
const taken: StreamWorker[] = [];

async function acquire(request: WorkerRequest): Promise<readonly StreamWorker[]> {
  const workers = await pool.acquire(request);
  taken.push(...workers);
  return workers;
}

async function acquireSlow(streams: number): Promise<readonly StreamWorker[]> {
  return acquire({ streams, cpus: 0, streamBytesPerSecond: SLOW_BYTES_PER_SECOND });
}

/** One slow stream of a test of its own. */
async function acquireOne(): Promise<StreamWorker> {
  const [worker] = await acquireSlow(1);
  if (worker === undefined) throw new Error("no Worker");
  return worker;
}

afterEach(() => {
  spawnOne = spawnWorker;
  for (const worker of taken.splice(0)) worker.dispose();
  raw.splice(0);
  expect(pool.size).toBe(0);
});

function slowSenderTo(port: number, family: "tcp" | "udp" = "tcp", durationSeconds = 0.2) {
  return senderTo(port, { family, durationSeconds, bandwidthBytesPerSecond: SLOW_BYTES_PER_SECOND });
}

/** A receiver and the sender to it, both prepared. */
async function preparePair(family: "tcp" | "udp", durationSeconds?: number) {
  const [one, two] = [await acquireOne(), await acquireOne()];
  const receiver = prepare(one, { ...RECEIVER, family });
  const sender = prepare(two, slowSenderTo((await receiver.prepared) ?? 0, family, durationSeconds));
  await sender.prepared;
  const both = { start: () => [one, two].forEach((worker) => worker.start(null)) };
  return { ...both, receiver, sender, dispose: () => [one, two].forEach((worker) => worker.dispose()) };
}

describe("dealing", () => {
  test("sixteen slow streams share a Worker, whichever tests they are of and while it still starts", async () => {
    const tests = await Promise.all(Array.from({ length: 40 }, acquireOne));
    expect(new Set(tests).size).toBe(40);
    expect(raw).toHaveLength(3);
    expect(pool.size).toBe(3);
    await acquireSlow(8);
    expect(pool.size).toBe(3);
    await acquireSlow(1);
    expect(pool.size).toBe(4);
  });

  test("one test's slow streams share too", async () => {
    expect(await acquireSlow(200)).toHaveLength(200);
    expect(pool.size).toBe(13);
  });

  test.each([
    ["of unknown rate", { streams: 1, cpus: 0, streamBytesPerSecond: null }, 2],
    ["without a limit", { streams: 1, cpus: 0, streamBytesPerSecond: 0 }, 2],
    ["above the slow rate", { streams: 1, cpus: 0, streamBytesPerSecond: SLOW_BYTES_PER_SECOND + 1 }, 2],
    ["that are dealt CPUs", { streams: 1, cpus: 1, streamBytesPerSecond: SLOW_BYTES_PER_SECOND }, 2],
    ["slow ones alone share", { streams: 1, cpus: 0, streamBytesPerSecond: 1 }, 1],
  ])("streams of two tests: %s", async (_name, request, workers) => {
    await acquire(request);
    await acquire(request);
    expect(pool.size).toBe(workers);
  });

  test("a slow stream is never put on a Worker of another kind", async () => {
    await acquire(anyRate(1));
    await acquireOne();
    await acquire(anyRate(1));
    expect(pool.size).toBe(3);
  });

  test("the oldest Worker with room is filled first; one ends with its last stream", async () => {
    const first = await acquireSlow(16);
    const second = await acquireOne();
    expect(pool.size).toBe(2);
    first[7]?.dispose();
    await acquireOne();
    second.dispose();
    expect(pool.size).toBe(1);
    for (const stream of first) stream.dispose();
    expect(pool.size).toBe(1);
  });

  test("one that has had 512 streams gets no more, and ends with its last: another takes its place", async () => {
    const kept = await acquireOne();
    for (let streams = 1; streams < 512; streams++) (await acquireOne()).dispose();
    expect(raw).toHaveLength(1);
    const next = await acquireOne();
    expect([raw.length, pool.size]).toEqual([2, 2]);
    kept.dispose();
    expect(pool.size).toBe(1);
    next.dispose();
  });

  test("a Worker that cannot be made gives back the places that were taken", async () => {
    await acquireSlow(15);
    spawnOne = () => {
      throw new Error("no more threads");
    };
    expect(await failureOf(acquireSlow(2))).toMatchObject({ code: "internal" });
    await acquireOne();
    expect(pool.size).toBe(1);
    expect(await failureOf(acquireSlow(1))).toMatchObject({ code: "internal" });
  });
});

describe("faults", () => {
  test.each(["tcp", "udp"] as const)("a %s stream that fails disturbs no other of its Worker", async (family) => {
    const pair = await preparePair(family);
    pair.start();
    const broken = [ELSEWHERE, { ...slowSenderTo(1), lengthBytes: -1 }];
    const failures = await Promise.all(broken.map(async (spec) => prepare(await acquireOne(), spec).over));
    expect(failures).toMatchObject([
      { type: "failed", code: "bind-failed" },
      { type: "failed", code: "internal" },
    ]);
    expect((await Promise.all([pair.sender.over, pair.receiver.over])).map(({ type }) => type)).toEqual([
      "ended",
      "ended",
    ]);
    expect(countedBytes(pair.sender.events)).toBeGreaterThan(20_000);
    expect(countedBytes(pair.receiver.events)).toBe(countedBytes(pair.sender.events));
    expect(raw).toHaveLength(1);
  });

  test("a Worker that dies fails all its streams and is not dealt again", async () => {
    const receivers = await Promise.all(Array.from({ length: 3 }, async () => prepare(await acquireOne(), RECEIVER)));
    await Promise.all(receivers.map(({ prepared }) => prepared));
    raw[0]?.terminate();
    for (const { over } of receivers) expect(await over).toMatchObject({ type: "failed", code: "internal" });
    const pair = await preparePair("tcp");
    pair.start();
    expect((await Promise.all([pair.sender.over, pair.receiver.over])).map(({ type }) => type)).toEqual([
      "ended",
      "ended",
    ]);
    expect(raw).toHaveLength(2);
  });

  test("a Worker that cannot start fails all that wait for it, and the next one is new", async () => {
    spawnOne = () => new Worker("data:text/javascript,throw new Error('no start')");
    const waiting = await Promise.all([acquireOne(), acquireOne()]);
    expect(raw).toHaveLength(1);
    for (const worker of waiting) {
      expect(await prepare(worker, RECEIVER).over).toMatchObject({ type: "failed", code: "internal" });
    }
    spawnOne = spawnWorker;
    expect(await prepare(await acquireOne(), RECEIVER).prepared).toBeGreaterThan(0);
    expect(raw).toHaveLength(2);
  });
});

describe("a stream that is disposed of while its Worker lives on", () => {
  test.each(["tcp", "udp"] as const)("%s: tells nothing any more, and frees its port", async (family) => {
    await acquireOne();
    const pair = await preparePair(family, 60);
    pair.start();
    await eventually(
      "data",
      () => pair.receiver.events,
      (events) => events.some(({ type }) => type === "interval"),
    );
    const told = [pair.receiver.events.length, pair.sender.events.length];
    pair.dispose();
    const port = (await pair.receiver.prepared) ?? 0;
    const bind = async () =>
      prepare(await acquireOne(), receiverOn([{ first: port, last: port }], { family })).prepared;
    const again = await eventually("the port", async () => Promise.race([bind(), Bun.sleep(100)]), Boolean);
    expect(again).toBe(port);
    expect([pair.receiver.events.length, pair.sender.events.length]).toEqual(told);
  });

  onLinux.test("leaves no socket there, whenever it is disposed of", async () => {
    await acquireOne();
    await noSockets();
    for (const family of ["tcp", "udp", "tcp", "udp", "tcp", "udp"] as const) {
      const disposals = await Promise.all([
        disposedWhenOver(family),
        disposedInMidTransfer(family),
        disposedBeforeStart(family),
        disposedWhilePreparing(family),
      ]);
      for (const dispose of disposals) dispose();
      expect(pool.size).toBe(1);
    }
    await noSockets();
    expect(raw).toHaveLength(1);
  });

  onLinux.test("leaves no socket there when it failed in mid-transfer", async () => {
    await acquireOne();
    await noSockets();
    // No datagram is this long, which the system tells with the first.
    const tooLong = senderTo(9, { family: "udp", lengthBytes: 65_508 });
    const worker = await acquireOne();
    const sender = prepare(worker, tooLong);
    worker.start(null);
    expect(await sender.over).toMatchObject({ type: "failed", code: "stream-failed" });
    worker.dispose();
    await noSockets();
  });

  onLinux.test("leaves no socket there though the peers keep theirs", async () => {
    await acquireOne();
    await noSockets();
    // Half-open: they do not answer a close with their own.
    const half = { hostname: "127.0.0.1", allowHalfOpen: true, socket: { data: () => {}, end: () => {} } };
    const peer = Bun.listen({ ...half, port: 0 });
    const [one, two] = [await acquireOne(), await acquireOne()];
    const receiver = prepare(one, RECEIVER);
    prepare(two, slowSenderTo(peer.port, "tcp", 60));
    one.start(null);
    two.start(null);
    const port = (await receiver.prepared) ?? 0;
    const socket = await Bun.connect({ ...half, port });
    socket.write(Buffer.from(RECEIVER.testId));
    // Its listener tells of a buffer, and then the connection that it has admitted: before that, the number may be passed by.
    const isAdmitted = () => receiver.events.filter(({ type }) => type === "socket").length === 2;
    await eventually("admission", isAdmitted, Boolean);
    // The peers' listener and two sockets; the sender's and its witness; the receiver's, without its listener.
    await eventually("connections", sockets, (count) => count === 6);
    one.dispose();
    two.dispose();
    await eventually("sockets", sockets, (count) => count === 3);
    socket.terminate();
    peer.stop(true);
  });
});

async function disposedWhenOver(family: "tcp" | "udp"): Promise<() => void> {
  const pair = await preparePair(family, 0.1);
  pair.start();
  expect((await Promise.all([pair.sender.over, pair.receiver.over])).map(({ type }) => type)).toEqual([
    "ended",
    "ended",
  ]);
  return pair.dispose;
}

async function disposedInMidTransfer(family: "tcp" | "udp"): Promise<() => void> {
  const pair = await preparePair(family, 60);
  pair.start();
  await Bun.sleep(100);
  return pair.dispose;
}

async function disposedBeforeStart(family: "tcp" | "udp"): Promise<() => void> {
  const pair = await preparePair(family);
  return pair.dispose;
}

async function disposedWhilePreparing(family: "tcp" | "udp"): Promise<() => void> {
  const [one, two] = [await acquireOne(), await acquireOne()];
  prepare(one, { ...RECEIVER, family });
  one.dispose();
  prepare(two, slowSenderTo(1, family));
  two.start(null);
  return () => two.dispose();
}

/** Those of an earlier test are gone a moment after its Workers. */
async function noSockets(): Promise<void> {
  await eventually("sockets", sockets, (count) => count === 0);
}

/** The sockets that this process holds beyond what it was started with. */
function sockets(): number {
  return openSockets() - INHERITED;
}

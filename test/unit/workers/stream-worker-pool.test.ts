import { afterEach, describe, expect, test } from "bun:test";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamGroup } from "../../../src/workers/stream-group.ts";
import { StreamWorkerPool, workersFor } from "../../../src/workers/stream-worker-pool.ts";
import { StreamWorker } from "../../../src/workers/worker-thread.ts";
import { anyRate, countedBytes, ELSEWHERE, failureOf, prepare, RECEIVER, senderTo } from "./streams.ts";

const raw: Worker[] = [];
const pool = new StreamWorkerPool(() => {
  const worker = spawnWorker();
  raw.push(worker);
  return worker;
});
const taken: StreamWorker[] = [];

async function acquire(count: number): Promise<readonly StreamWorker[]> {
  const workers = await pool.acquire(anyRate(count));
  taken.push(...workers);
  return workers;
}

async function acquireOne(): Promise<StreamWorker> {
  const [worker] = await acquire(1);
  if (worker === undefined) throw new Error("no Worker");
  return worker;
}

afterEach(() => {
  for (const worker of taken.splice(0)) worker.dispose();
  raw.splice(0);
  expect(pool.size).toBe(0);
});

describe("StreamWorkerPool", () => {
  test("acquires eight Workers, each its own, and counts them until they are disposed of", async () => {
    expect(pool.size).toBe(0);
    const workers = await acquire(8);
    expect(new Set(workers).size).toBe(8);
    expect(raw).toHaveLength(8);
    expect(pool.size).toBe(8);
    for (const [index, worker] of workers.entries()) {
      worker.dispose();
      expect(pool.size).toBe(7 - index);
    }
    workers[0]?.dispose();
    expect(pool.size).toBe(0);
  });

  test.each([
    ["one each", 1, 0, 1],
    ["one each, up to the most", 32, 2, 32],
    ["shared beyond", 33, 0, 32],
    ["shared beyond, with one CPU", 255, 1, 32],
    ["a multiple of the CPUs, so that each Worker has streams of one alone", 255, 3, 30],
    ["as many as CPUs, when these are more", 255, 48, 48],
    ["no more than streams", 40, 48, 40],
  ])("Workers for streams: %s", (_name, streams, cpus, workers) => {
    expect(workersFor(streams, cpus)).toBe(workers);
  });

  test("streams beyond the most share Workers, which live until the last of theirs is disposed of", async () => {
    const streams = await acquire(70);
    expect(streams).toHaveLength(70);
    expect(pool.size).toBe(32);
    for (const stream of streams.slice(0, 64)) stream.dispose();
    expect(pool.size).toBe(6);
  });

  test("a Worker that cannot be made fails them all, and none is left", async () => {
    let made = 0;
    const poor = new StreamWorkerPool(() => {
      if (++made === 3) throw new Error("no more threads");
      return spawnWorker();
    });
    expect(await failureOf(poor.acquire(anyRate(4)))).toMatchObject({
      code: "internal",
      message: expect.stringContaining("no more threads"),
    });
    expect(poor.size).toBe(0);
  });

  test("acquires none, and several times at once", async () => {
    expect(await acquire(0)).toEqual([]);
    await Promise.all([acquire(2), acquire(3)]);
    expect(pool.size).toBe(5);
  });
});

describe("StreamWorker", () => {
  test("a sender and a receiver, each in its Worker, count the same", async () => {
    const [one, two] = [await acquireOne(), await acquireOne()];
    const receiver = prepare(one, RECEIVER);
    const port = (await receiver.prepared) ?? 0;
    const sender = prepare(two, senderTo(port));
    expect(await sender.prepared).toBeNull();
    one.start(null);
    two.start(null);
    expect((await Promise.all([sender.over, receiver.over])).map(({ type }) => type)).toEqual(["ended", "ended"]);
    expect(countedBytes(sender.events)).toBeGreaterThan(149_000);
    expect(countedBytes(receiver.events)).toBe(countedBytes(sender.events));
  });

  test("stop ends a stream in good order", async () => {
    const [one, two] = [await acquireOne(), await acquireOne()];
    const receiver = prepare(one, RECEIVER);
    const sender = prepare(
      two,
      senderTo((await receiver.prepared) ?? 0, { durationSeconds: 60, intervalSeconds: 0.1 }),
    );
    await sender.prepared;
    one.start(null);
    two.start(null);
    while (!sender.events.some((event) => event.type === "interval")) await Bun.sleep(10);
    two.stop();
    expect((await Promise.all([sender.over, receiver.over])).map(({ type }) => type)).toEqual(["ended", "ended"]);
  });

  test("a Worker that is ended from outside fails its stream, once", async () => {
    const worker = await acquireOne();
    const receiver = prepare(worker, RECEIVER);
    await receiver.prepared;
    raw[0]?.terminate();
    expect(await receiver.over).toMatchObject({ type: "failed", code: "internal" });
    worker.start(null);
    worker.stop();
    await Bun.sleep(50);
    expect(receiver.events.filter((event) => event.type === "failed")).toHaveLength(1);
  });

  test("a Worker that ended before its stream was prepared fails it then", async () => {
    const worker = await acquireOne();
    const ended = new Promise((resolve) => raw[0]?.addEventListener("close", resolve));
    raw[0]?.terminate();
    await ended;
    const receiver = prepare(worker, RECEIVER);
    expect(await receiver.over).toMatchObject({ type: "failed", code: "internal" });
  });

  test("a Worker that cannot start fails its stream when that is prepared", async () => {
    const broken = new StreamWorkerPool(() => new Worker("data:text/javascript,throw new Error('no start')"));
    const [worker] = await broken.acquire(anyRate(1));
    if (worker === undefined) throw new Error("no Worker");
    const receiver = prepare(worker, RECEIVER);
    expect(await receiver.over).toMatchObject({ type: "failed", code: "internal" });
    worker.dispose();
    expect(broken.size).toBe(0);
  });

  test("dispose tells nothing, frees the port at once, and takes no more commands", async () => {
    const worker = await acquireOne();
    const receiver = prepare(worker, RECEIVER);
    const port = (await receiver.prepared) ?? 0;
    const told = receiver.events.length;
    worker.dispose();
    worker.start(null);
    worker.stop();
    for (let attempt = 0; ; attempt++) {
      try {
        Bun.listen({ hostname: "127.0.0.1", port, exclusive: true, socket: { data: () => {} } }).stop(true);
        break;
      } catch (error) {
        if (attempt === 100) throw error;
        await Bun.sleep(20);
      }
    }
    expect(receiver.events).toHaveLength(told);
  });
});

describe("StreamGroup", () => {
  function groupOf(workers: readonly StreamWorker[]) {
    const overs: [number, string | null][] = [];
    const intervals: number[] = [];
    const warnings: string[] = [];
    const debugs: string[] = [];
    const allOver = Promise.withResolvers<void>();
    const group: StreamGroup = new StreamGroup(workers, {
      onInterval: (index) => intervals.push(index),
      onWarning: (message) => warnings.push(message),
      onDebug: (message) => debugs.push(message),
      onOver: (index, { failure }) => {
        overs.push([index, failure?.code ?? null]);
        if (group.isOver) allOver.resolve();
      },
    });
    return { group, overs, intervals, warnings, debugs, allOver: allOver.promise };
  }

  test("prepares, starts and ends its streams; each end is told once", async () => {
    const receivers = groupOf(await acquire(3));
    await receivers.group.prepare([0, 1, 2].map((streamIndex) => ({ ...RECEIVER, streamIndex })));
    const { ports } = receivers.group;
    expect(new Set(ports).size).toBe(3);
    const senders = groupOf(await acquire(3));
    await senders.group.prepare(ports.map((port, streamIndex) => ({ ...senderTo(port), streamIndex })));
    expect(senders.group.ports).toEqual([0, 0, 0]);
    receivers.group.start();
    senders.group.start();
    await Promise.all([senders.allOver, receivers.allOver]);
    for (const { overs, intervals } of [senders, receivers]) {
      expect(overs.sort((a, b) => a[0] - b[0])).toEqual([
        [0, null],
        [1, null],
        [2, null],
      ]);
      expect(new Set(intervals)).toEqual(new Set([0, 1, 2]));
    }
    for (const { group } of [senders, receivers]) group.dispose();
  });

  test("a stream that cannot be prepared rejects with its reason", async () => {
    const { group } = groupOf(await acquire(2));
    const preparing = group.prepare([RECEIVER, { ...ELSEWHERE, streamIndex: 1 }]);
    expect(await failureOf(preparing)).toMatchObject({ name: "RperfError", code: "bind-failed" });
    group.dispose();
  });

  test("a stream without a spec rejects", async () => {
    const { group } = groupOf(await acquire(2));
    expect(await failureOf(group.prepare([RECEIVER]))).toMatchObject({ name: "RperfError", code: "internal" });
    group.dispose();
  });

  test("a Worker that ends while its stream is prepared rejects, and does not hang", async () => {
    const { group } = groupOf(await acquire(1));
    const preparing = group.prepare([RECEIVER]);
    raw[0]?.terminate();
    expect(await failureOf(preparing)).toMatchObject({ name: "RperfError", code: "internal" });
    group.dispose();
  });

  test("what a stream tells of itself carries its number", async () => {
    const silent = { command: () => {}, dispose: () => {} };
    const workers = [0, 1].map((slot) => new StreamWorker(slot, silent));
    const { group, warnings, debugs } = groupOf(workers);
    const preparing = group.prepare([RECEIVER, RECEIVER]);
    workers[1]?.event({ type: "debug", message: "as it is" });
    workers[0]?.event({ type: "warning", message: "not as asked" });
    for (const worker of workers) worker.event({ type: "prepared", port: 1 });
    await preparing;
    expect([debugs, warnings]).toEqual([["stream 1: as it is"], ["stream 0: not as asked"]]);
    // A stream that takes the place of the first meets the same refusal: nobody needs to hear of it twice.
    const again = group.prepare([RECEIVER, RECEIVER]);
    workers[0]?.event({ type: "warning", message: "not as asked" });
    workers[1]?.event({ type: "warning", message: "not as asked" });
    for (const worker of workers) worker.event({ type: "prepared", port: 2 });
    await again;
    expect(warnings).toEqual(["stream 0: not as asked", "stream 1: not as asked"]);
    expect(group.ports).toEqual([2, 2]);
  });

  test("stopStream stops that stream alone; dispose tells nothing", async () => {
    const { group, overs } = groupOf(await acquire(2));
    await group.prepare([RECEIVER, { ...RECEIVER, streamIndex: 1 }]);
    group.start();
    group.stopStream(1);
    group.stopStream(7);
    while (overs.length === 0) await Bun.sleep(5);
    expect(overs).toEqual([[1, "stopped"]]);
    expect(group.isOver).toBe(false);
    group.dispose();
    expect(group.isOver).toBe(true);
    await Bun.sleep(50);
    expect(overs).toHaveLength(1);
  });
});

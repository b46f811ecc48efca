// Real Workers, of which there may be few.
import { afterEach, describe, expect, test } from "bun:test";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import type { StreamWorker } from "../../../src/workers/worker-thread.ts";
import { eventually } from "../../support/eventually.ts";
import { anyRate, failureOf } from "./streams.ts";

const STOPPED = { name: "RperfError", code: "stopped" };
const SLOW = { cpus: 0, streamBytesPerSecond: 1000 };

let spawned = 0;
let isMute = false;
function spawn(): Worker {
  spawned++;
  // One that never tells that it is up.
  return isMute ? new Worker("data:text/javascript,self.onmessage = () => {}") : spawnWorker();
}
const pool = new StreamWorkerPool(spawn, { workers: 3, starting: 1, ending: 2 });

afterEach(() => {
  isMute = false;
  spawned = 0;
  expect(pool.size).toBe(0);
});

function disposeAll(workers: readonly StreamWorker[]): void {
  for (const worker of workers) worker.dispose();
}

describe("a pool of three Workers", () => {
  test("lets a test wait until there are as many as it needs, ended ones included", async () => {
    const two = await pool.acquire(anyRate(2));
    const waiting = pool.acquire(anyRate(3));
    await Bun.sleep(50);
    expect(spawned).toBe(2);
    disposeAll(two);
    disposeAll(await waiting);
    expect(spawned).toBe(5);
  });

  test("starts nothing more for a client that has gone, and ends what there is", async () => {
    isMute = true;
    const gone = new AbortController();
    const acquiring = failureOf(pool.acquire(anyRate(3), gone.signal));
    await eventually(
      "the first starts",
      () => spawned,
      (count) => count === 1,
    );
    await Bun.sleep(50);
    expect([spawned, pool.size]).toEqual([1, 1]);
    gone.abort();
    expect(await acquiring).toMatchObject(STOPPED);
    expect([spawned, pool.size]).toEqual([1, 0]);
    isMute = false;
    disposeAll(await pool.acquire(anyRate(3)));
  });

  test("forgets who waited for others and has gone", async () => {
    const three = await pool.acquire(anyRate(3));
    const gone = new AbortController();
    const waiting = failureOf(pool.acquire(anyRate(3), gone.signal));
    const next = pool.acquire(anyRate(1));
    gone.abort();
    expect(await waiting).toMatchObject(STOPPED);
    disposeAll(three);
    disposeAll(await next);
  });

  test("gives slow streams the room that another's have left, without a Worker more", async () => {
    const requests = [10, 6, 16, 1].map((streams) => pool.acquire({ ...SLOW, streams }));
    const all = (await Promise.all(requests)).flat();
    expect([all.length, pool.size]).toEqual([33, 3]);
    const more = await pool.acquire({ ...SLOW, streams: 15 });
    expect(pool.size).toBe(3);
    disposeAll([...all, ...more]);
    // None was lost on the way.
    disposeAll(await pool.acquire(anyRate(3)));
  });

  test("is whole again behind Workers that cannot be made", async () => {
    let isPoor = true;
    const poor = new StreamWorkerPool(
      () => {
        if (isPoor) throw new Error("no more threads");
        return spawnWorker();
      },
      { workers: 3, starting: 1, ending: 1 },
    );
    expect(await failureOf(poor.acquire(anyRate(3)))).toMatchObject({ code: "internal" });
    isPoor = false;
    disposeAll(await poor.acquire(anyRate(3)));
    expect(poor.size).toBe(0);
  });
});

describe("what a stream held is gone", () => {
  test("when its Worker has ended, or when others have it still", async () => {
    const [one, two] = await pool.acquire({ ...SLOW, streams: 2 });
    if (one === undefined || two === undefined) throw new Error("no Workers");
    let isGone = false;
    void two.gone.then(() => (isGone = true));
    one.dispose();
    await one.gone;
    await Bun.sleep(20);
    expect(isGone).toBe(false);
    two.dispose();
    await two.gone;
  });

  test("at once when its Worker had died before", async () => {
    const raw: Worker[] = [];
    const mortal = new StreamWorkerPool(() => {
      const worker = spawnWorker();
      raw.push(worker);
      return worker;
    });
    const [one] = await mortal.acquire(anyRate(1));
    if (one === undefined) throw new Error("no Worker");
    const closed = new Promise((resolve) => raw[0]?.addEventListener("close", resolve));
    raw[0]?.terminate();
    await closed;
    const disposedMs = performance.now();
    one.dispose();
    await one.gone;
    // The time after which a Worker that tells nothing is forgotten is 5 s.
    expect(performance.now() - disposedMs).toBeLessThan(4000);
  });
});

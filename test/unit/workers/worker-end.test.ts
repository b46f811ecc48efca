// How a Worker ends that nobody wants any more: by itself, for only so it gives back what it compiled, or else by force.
import { expect, spyOn, test } from "bun:test";

import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { anyRate, prepare, RECEIVER, senderTo } from "./streams.ts";

/** Its Workers, as they are, and how each ended. */
function watchedPool(spawn: () => Worker) {
  const terminations: ReturnType<typeof spyOn<Worker, "terminate">>[] = [];
  const closed: Promise<unknown>[] = [];
  const pool = new StreamWorkerPool(() => {
    const worker = spawn();
    terminations.push(spyOn(worker, "terminate"));
    closed.push(new Promise((resolve) => worker.addEventListener("close", resolve)));
    return worker;
  });
  return { pool, closed, forced: () => terminations.map(({ mock }) => mock.calls.length) };
}

test("a Worker ends by itself, before a stream, with one, and in the middle of it", async () => {
  const { pool, closed, forced } = watchedPool(spawnWorker);
  const [empty, one, two] = await pool.acquire(anyRate(3));
  if (empty === undefined || one === undefined || two === undefined) throw new Error("no Workers");
  const receiver = prepare(one, RECEIVER);
  const sender = prepare(two, senderTo((await receiver.prepared) ?? 0, { durationSeconds: 60, intervalSeconds: 0.1 }));
  await sender.prepared;
  one.start(null);
  two.start(null);
  while (!sender.events.some((event) => event.type === "interval")) await Bun.sleep(10);
  for (const worker of [empty, two, one]) worker.dispose();
  await Promise.all([...closed, empty.gone, one.gone, two.gone]);
  expect(forced()).toEqual([0, 0, 0]);
});

test.each([
  ["hears nothing", "postMessage({ type: 'up' }); setInterval(() => {}, 1000);"],
  ["is busy for ever", "postMessage({ type: 'up' }); setTimeout(() => { for (;;); }, 10);"],
])("a Worker that %s is ended by force", async (_name, program) => {
  const { pool, closed, forced } = watchedPool(() => new Worker(`data:text/javascript,${program}`));
  const [worker] = await pool.acquire(anyRate(1));
  worker?.dispose();
  await Promise.all([...closed, worker?.gone]);
  expect(forced()).toEqual([1]);
});

import { messageOf, RperfError } from "../errors.ts";
import { type StreamWorker, WorkerThread } from "./worker-thread.ts";

/**
 * A Worker costs some 2 MB and 10 ms of CPU to start. So many streams at once have one each; more of them share these,
 * as they would share the CPUs anyway.
 */
const MAX_WORKERS_PER_TEST = 32;

/**
 * Starts Workers ahead of a test's begin, so that no start-up falls into measured time. A Worker leaves nothing behind
 * when it ends, so none is kept for reuse.
 */
export class StreamWorkerPool {
  readonly #spawn: () => Worker;
  readonly #live = new Set<WorkerThread>();

  constructor(spawn: () => Worker) {
    this.#spawn = spawn;
  }

  /** Workers that exist now. */
  get size(): number {
    return this.#live.size;
  }

  /**
   * Places for `count` streams in running Workers; the caller disposes of each. Streams that are dealt `cpus` CPUs in
   * turn share a Worker only with streams of the same CPU. Rejects, and holds nothing, when a Worker cannot be made.
   */
  async acquire(count: number, cpus: number): Promise<readonly StreamWorker[]> {
    const starts = await Promise.allSettled(Array.from({ length: workersFor(count, cpus) }, () => this.#start()));
    const threads = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
    const failure = starts.find((start) => start.status === "rejected");
    if (failure !== undefined) {
      for (const thread of threads) thread.end();
      throw new RperfError("internal", `no Worker for a stream: ${messageOf(failure.reason)}`, {
        cause: failure.reason,
      });
    }
    return Array.from({ length: count }, (_, index) => {
      const thread = threads[index % threads.length];
      if (thread === undefined) throw new RangeError("there is no Worker for a stream");
      return thread.addStream();
    });
  }

  #start(): Promise<WorkerThread> {
    return new Promise((resolve) => {
      const thread = new WorkerThread(
        this.#spawn(),
        () => resolve(thread),
        (gone) => this.#live.delete(gone),
      );
      this.#live.add(thread);
    });
  }
}

/** How many Workers `count` streams get: one each, or the most that deals every Worker streams of one CPU alone. */
export function workersFor(count: number, cpus: number): number {
  if (count <= MAX_WORKERS_PER_TEST) return count;
  const dealt = Math.max(1, cpus);
  return Math.min(count, Math.max(dealt, MAX_WORKERS_PER_TEST - (MAX_WORKERS_PER_TEST % dealt)));
}

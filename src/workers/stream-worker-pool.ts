import { messageOf, RperfError } from "../errors.ts";
import { type StreamWorker, WorkerThread } from "./worker-thread.ts";

/**
 * A Worker costs some 2 MB and 10 ms of CPU to start. So many streams at once have one each; more of them share these,
 * as they would share the CPUs anyway.
 */
const MAX_WORKERS_PER_TEST = 32;
/**
 * A stream of no more than this shares a Worker with those of other tests. It is the tool's default rate, so that many
 * clients who ask for nothing in particular cost little; a full Worker of them carries 2 MB/s, some 2,000 packets/s of
 * the default length, which keeps its thread busy for a few hundredths of the time: no stream waits for another.
 */
const SLOW_STREAM_BYTES_PER_SECOND = 125_000;
/** Slow streams on one Worker; they all fail with it. */
const MAX_SHARED_STREAMS = 16;

/** What a test needs on this side. */
export interface WorkerRequest {
  readonly streams: number;
  /** How many CPUs the streams are dealt in turn; 0 = they run anywhere. */
  readonly cpus: number;
  /** The rate of each stream; 0 = no limit, null = not known. */
  readonly streamBytesPerSecond: number | null;
}

/**
 * Starts Workers ahead of a test's begin, so that no start-up falls into measured time. A Worker lives as long as one of
 * its streams; those of slow streams are shared by all tests of the pool, any other serves one test alone.
 */
export class StreamWorkerPool {
  readonly #spawn: () => Worker;
  readonly #live = new Set<WorkerThread>();
  readonly #shared = new Set<WorkerThread>();

  constructor(spawn: () => Worker) {
    this.#spawn = spawn;
  }

  /** Workers that exist now. */
  get size(): number {
    return this.#live.size;
  }

  /**
   * Places for the streams in running Workers; the caller disposes of each. Streams that are dealt CPUs share a Worker
   * only with streams of the same CPU. Rejects, and holds nothing, when a Worker cannot be made.
   */
  async acquire(request: WorkerRequest): Promise<readonly StreamWorker[]> {
    const deal = this.#dealer(request);
    const threads = new Set<WorkerThread>();
    const places: StreamWorker[] = [];
    try {
      while (places.length < request.streams) {
        const thread = deal();
        threads.add(thread);
        places.push(thread.addStream());
      }
    } catch (cause) {
      for (const place of places) place.dispose();
      throw new RperfError("internal", `no Worker for a stream: ${messageOf(cause)}`, { cause });
    }
    await Promise.all(Array.from(threads, (thread) => thread.up));
    return places;
  }

  /** Gives each stream's Worker in turn, and starts it where need be. */
  #dealer(request: WorkerRequest): () => WorkerThread {
    if (mayShare(request)) return () => this.#sharedThread();
    const own: WorkerThread[] = [];
    const workers = workersFor(request.streams, request.cpus);
    let dealt = 0;
    return () => (own[dealt++ % workers] ??= this.#start());
  }

  /** The oldest with room, so that the younger ones run empty first, and end. */
  #sharedThread(): WorkerThread {
    for (const thread of this.#shared) {
      if (!thread.hasFailed && thread.streams < MAX_SHARED_STREAMS) return thread;
    }
    const thread = this.#start();
    this.#shared.add(thread);
    return thread;
  }

  #start(): WorkerThread {
    const thread = new WorkerThread(this.#spawn(), (gone) => {
      this.#live.delete(gone);
      this.#shared.delete(gone);
    });
    this.#live.add(thread);
    return thread;
  }
}

/** A thread that is bound to a CPU serves its own test alone. */
function mayShare({ cpus, streamBytesPerSecond }: WorkerRequest): boolean {
  if (cpus > 0 || streamBytesPerSecond === null) return false;
  return streamBytesPerSecond > 0 && streamBytesPerSecond <= SLOW_STREAM_BYTES_PER_SECOND;
}

/** How many Workers `count` streams get: one each, or the most that deals every Worker streams of one CPU alone. */
export function workersFor(count: number, cpus: number): number {
  if (count <= MAX_WORKERS_PER_TEST) return count;
  const dealt = Math.max(1, cpus);
  return Math.min(count, Math.max(dealt, MAX_WORKERS_PER_TEST - (MAX_WORKERS_PER_TEST % dealt)));
}

import { messageOf, RperfError } from "../errors.ts";
import { type StreamWorker, WorkerThread } from "./worker-thread.ts";
import { nobodyWaits, unlessAborted, type WorkerBounds, WorkerTurns } from "./worker-turns.ts";

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
/** An engine's memory grows with all that it has ever done; behind so many streams another one takes its place. */
const MAX_SERVED_STREAMS = 512;

/** A Worker that does not tell of its end is forgotten after a while. */
const ENDED_BY_MS = 5000;
const BOUNDS: WorkerBounds = { workers: 512, starting: 4, ending: 64 };

/** What a test needs on this side. */
export interface WorkerRequest {
  readonly streams: number;
  /** How many CPUs the streams are dealt in turn; 0 = they run anywhere. */
  readonly cpus: number;
  /** The rate of each stream; 0 = no limit, null = not known. */
  readonly streamBytesPerSecond: number | null;
}

/** Of those who wait for as long as it takes. */
const NEVER = new AbortController().signal;

/**
 * Starts Workers ahead of a test's begin, so that no start-up falls into measured time. A Worker lives as long as one of
 * its streams; those of slow streams are shared by all tests of the pool, any other serves one test alone.
 */
export class StreamWorkerPool {
  readonly #spawn: () => Worker;
  readonly #turns: WorkerTurns;
  readonly #live = new Set<WorkerThread>();
  readonly #shared = new Set<WorkerThread>();
  readonly #starting = new Set<WorkerThread>();
  readonly #ending = new Map<WorkerThread, Timer>();

  constructor(spawn: () => Worker, bounds = BOUNDS) {
    this.#spawn = spawn;
    this.#turns = new WorkerTurns(bounds);
  }

  /** Workers that exist now. */
  get size(): number {
    return this.#live.size;
  }

  /**
   * Places for the streams in running Workers, once there may be so many; the caller disposes of each. Streams that are dealt
   * CPUs share a Worker only with streams of the same CPU. Rejects, and holds nothing, when a Worker cannot be made, and with
   * `stopped` when the signal is aborted.
   */
  async acquire(request: WorkerRequest, signal = NEVER): Promise<readonly StreamWorker[]> {
    const places: StreamWorker[] = [];
    const threads = new Set<WorkerThread>();
    const take = (thread: WorkerThread): void => {
      threads.add(thread);
      places.push(thread.addStream());
    };
    try {
      if (mayShare(request)) await this.#takeShared(request.streams, take, signal);
      else await this.#takeOwn(request, take, signal);
      await unlessAborted(Promise.all(Array.from(threads, (thread) => thread.up)), signal);
      return places;
    } catch (cause) {
      for (const place of places) place.dispose();
      throw cause;
    }
  }

  async #takeOwn(request: WorkerRequest, take: (thread: WorkerThread) => void, signal: AbortSignal): Promise<void> {
    const own: WorkerThread[] = [];
    const workers = workersFor(request.streams, request.cpus);
    await this.#turns.promise(workers, signal);
    try {
      for (let dealt = 0; dealt < request.streams; dealt++) {
        if (own.length < workers) {
          await this.#turns.turn(signal);
          own.push(this.#start(signal));
        }
        const thread = own[dealt % workers];
        if (thread !== undefined) take(thread);
      }
    } finally {
      this.#turns.giveBack(workers - own.length);
    }
  }

  async #takeShared(streams: number, take: (thread: WorkerThread) => void, signal: AbortSignal): Promise<void> {
    let left = this.#fillShared(streams, take);
    const workers = Math.ceil(left / MAX_SHARED_STREAMS);
    let started = 0;
    if (workers === 0) return;
    await this.#turns.promise(workers, signal);
    try {
      while (left > 0) {
        await this.#turns.turn(signal);
        // Another test may have started one meanwhile.
        left = this.#fillShared(left, take);
        if (left === 0) return this.#turns.started();
        this.#shared.add(this.#start(signal));
        started++;
        left = this.#fillShared(left, take);
      }
    } finally {
      this.#turns.giveBack(workers - started);
    }
  }

  /** Puts streams where there is room; how many are left. The oldest first, so that the younger ones run empty first, and end. */
  #fillShared(streams: number, take: (thread: WorkerThread) => void): number {
    let left = streams;
    for (const thread of this.#shared) {
      while (left > 0 && hasRoom(thread)) {
        take(thread);
        left--;
      }
    }
    return left;
  }

  /** The turn is the caller's. */
  #start(signal: AbortSignal): WorkerThread {
    try {
      if (signal.aborted) throw nobodyWaits();
      const thread = new WorkerThread(this.#spawn(), {
        onGone: (gone) => this.#gone(gone),
        onClosed: (closed) => this.#closed(closed),
      });
      this.#live.add(thread);
      this.#starting.add(thread);
      void thread.up.then(() => this.#started(thread));
      return thread;
    } catch (cause) {
      this.#turns.started();
      if (cause instanceof RperfError) throw cause;
      throw new RperfError("internal", `no Worker for a stream: ${messageOf(cause)}`, { cause });
    }
  }

  #started(thread: WorkerThread): void {
    if (this.#starting.delete(thread)) this.#turns.started();
  }

  #gone(thread: WorkerThread): void {
    if (!this.#live.delete(thread)) return;
    this.#shared.delete(thread);
    this.#turns.ending();
    if (thread.isClosed) return this.#ended(thread);
    const timer = setTimeout(() => this.#closed(thread), ENDED_BY_MS);
    timer.unref();
    this.#ending.set(thread, timer);
  }

  #closed(thread: WorkerThread): void {
    clearTimeout(this.#ending.get(thread));
    if (this.#ending.delete(thread)) this.#ended(thread);
  }

  #ended(thread: WorkerThread): void {
    this.#started(thread);
    this.#turns.ended();
    thread.ended();
  }
}

function hasRoom({ hasFailed, streams, streamsServed }: WorkerThread): boolean {
  return !hasFailed && streams < MAX_SHARED_STREAMS && streamsServed < MAX_SERVED_STREAMS;
}

/** A thread that is bound to a CPU serves its own test alone. */
function mayShare({ cpus, streamBytesPerSecond }: WorkerRequest): boolean {
  if (cpus > 0 || streamBytesPerSecond === null) return false;
  return streamBytesPerSecond > 0 && streamBytesPerSecond <= SLOW_STREAM_BYTES_PER_SECOND;
}

/** How many Workers a test starts at most. */
export function mostWorkersOf(request: WorkerRequest): number {
  const { streams, cpus } = request;
  return mayShare(request) ? Math.ceil(streams / MAX_SHARED_STREAMS) : workersFor(streams, cpus);
}

/** How many Workers `count` streams get: one each, or the most that deals every Worker streams of one CPU alone. */
export function workersFor(count: number, cpus: number): number {
  if (count <= MAX_WORKERS_PER_TEST) return count;
  const dealt = Math.max(1, cpus);
  return Math.min(count, Math.max(dealt, MAX_WORKERS_PER_TEST - (MAX_WORKERS_PER_TEST % dealt)));
}

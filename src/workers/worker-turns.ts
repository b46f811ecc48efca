import { RperfError } from "../errors.ts";

/** What a pool has of Workers at the same time, at most. */
export interface WorkerBounds {
  /** That live, start or end. */
  readonly workers: number;
  /** Each takes a CPU while it starts: more of them at once only take longer, and what else goes on with them. */
  readonly starting: number;
  /** An engine takes longer to be taken down than some clients take to come and go: with so many under way none is started. */
  readonly ending: number;
}

interface Waiter {
  readonly workers: number;
  readonly resolve: () => void;
}

/**
 * Who may start a Worker, and when. A test is promised all of its Workers before it starts the first, so that no two wait
 * for what the other has, in the order of coming; then tests start theirs one each in turn, so that one of few Workers is
 * soon ready. Whoever goes has no turn.
 */
export class WorkerTurns {
  readonly #bounds: WorkerBounds;
  /** Neither there nor promised. */
  #free: number;
  #starting = 0;
  #ending = 0;
  readonly #forPromise = new Set<Waiter>();
  readonly #forStart = new Set<Waiter>();

  constructor(bounds: WorkerBounds) {
    this.#bounds = bounds;
    this.#free = bounds.workers;
  }

  /**
   * Resolves when so many Workers (no more than there may be) are the caller's to start, which gives back those that it
   * does not start. Rejects with `stopped` when the signal is aborted.
   */
  async promise(workers: number, signal: AbortSignal): Promise<void> {
    await this.#wait(this.#forPromise, workers, signal);
  }

  /** So many that were promised are not started. */
  giveBack(workers: number): void {
    this.#free += workers;
    this.#serve();
  }

  /** Resolves when one of those that were promised may start, up to `started`. Rejects with `stopped` as above. */
  async turn(signal: AbortSignal): Promise<void> {
    await this.#wait(this.#forStart, 1, signal);
  }

  /** It runs, or came to nothing. */
  started(): void {
    this.#starting--;
    this.#serve();
  }

  /** One of those that are there ends, up to `ended`. */
  ending(): void {
    this.#ending++;
  }

  /** There is nothing left of it. */
  ended(): void {
    this.#ending--;
    this.#free++;
    this.#serve();
  }

  async #wait(line: Set<Waiter>, workers: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { workers, resolve };
    const leave = (): void => {
      // Whoever has had its turn knows by the signal.
      if (!line.delete(waiter)) return;
      reject(nobodyWaits());
      this.#serve();
    };
    line.add(waiter);
    signal.addEventListener("abort", leave);
    try {
      if (signal.aborted) leave();
      this.#serve();
      await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #serve(): void {
    for (const waiter of this.#forPromise) {
      if (waiter.workers > this.#free) break;
      this.#free -= waiter.workers;
      this.#forPromise.delete(waiter);
      waiter.resolve();
    }
    for (const waiter of this.#forStart) {
      if (this.#starting >= this.#bounds.starting || this.#ending >= this.#bounds.ending) break;
      this.#starting++;
      this.#forStart.delete(waiter);
      waiter.resolve();
    }
  }
}

/** As the promise, or rejects with `stopped` when the signal is aborted. */
export async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const gone = Promise.withResolvers<never>();
  const leave = (): void => gone.reject(nobodyWaits());
  signal.addEventListener("abort", leave);
  try {
    if (signal.aborted) leave();
    return await Promise.race([gone.promise, promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

export function nobodyWaits(): RperfError {
  return new RperfError("stopped", "nobody waits for the Workers any more");
}

/** One interval cut off a stream's time; all in seconds of the monotonic clock that the stream runs on. */
export interface Cut {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** Cuts a stream's time at exact multiples of its interval, whenever the cutting is done. */
export class IntervalCutter {
  readonly #originSeconds: number;
  readonly #lengthSeconds: number;
  #taken = 0;

  constructor(originSeconds: number, lengthSeconds: number) {
    this.#originSeconds = originSeconds;
    this.#lengthSeconds = lengthSeconds;
  }

  /** Where the interval in hand ends. */
  get boundarySeconds(): number {
    return this.#originSeconds + (this.#taken + 1) * this.#lengthSeconds;
  }

  /** The interval in hand once `nowSeconds` has reached its end, else null; call until it gives null. */
  cutDue(nowSeconds: number): Cut | null {
    const endSeconds = this.boundarySeconds;
    if (nowSeconds < endSeconds) return null;
    return { startSeconds: this.#advance(), endSeconds };
  }

  /** The last interval, which ends with the stream. */
  cutFinal(endSeconds: number): Cut {
    return { startSeconds: this.#advance(), endSeconds };
  }

  #advance(): number {
    return this.#originSeconds + this.#taken++ * this.#lengthSeconds;
  }
}

/** How much of `cut` lies before `boundarySeconds`. */
export function overlapBeforeSeconds(cut: Cut, boundarySeconds: number): number {
  return Math.max(0, Math.min(cut.endSeconds, boundarySeconds) - cut.startSeconds);
}

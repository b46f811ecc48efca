/** Two readings of one wall clock against the monotonic one differ by less, unless the wall clock was set. */
const STEP_SECONDS = 0.0005;

/**
 * Turns the wall-clock times that a kernel puts on packets into monotonic ones. The difference of both clocks is taken
 * once, so that no reading's error shows in the jitter, and anew only when the wall clock was set.
 */
export class ArrivalClock {
  #offsetSeconds: number | null = null;

  /** To be told of both clocks, read at the same moment, before the packets of a wake-up are. */
  observe(wallSeconds: number, monotonicSeconds: number): void {
    const offsetSeconds = wallSeconds - monotonicSeconds;
    if (this.#offsetSeconds === null || Math.abs(offsetSeconds - this.#offsetSeconds) > STEP_SECONDS) {
      this.#offsetSeconds = offsetSeconds;
    }
  }

  /** NaN for NaN, and before any observation. */
  monotonicSecondsOf(wallSeconds: number): number {
    return wallSeconds - (this.#offsetSeconds ?? Number.NaN);
  }
}

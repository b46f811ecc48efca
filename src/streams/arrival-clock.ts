/** Two readings of one wall clock against the monotonic one differ by less, unless the wall clock was set. */
const STEP_SECONDS = 0.0005;
/** No packet waits longer to be read. */
const LONGEST_WAIT_SECONDS = 10;

/**
 * Turns the wall-clock times that a kernel puts on packets into monotonic ones. The difference of both clocks is taken
 * once, so that no reading's error shows in the jitter, and anew only when the wall clock was set.
 */
export class ArrivalClock {
  #offsetSeconds: number | null = null;
  #lastSeconds = -Infinity;

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

  /**
   * When a packet came that is read now. An arrival that is not told counts as now, and so does one that lies in the future
   * or far back because the clock was set while the packet waited; one a little back, as no earlier than the packet before.
   */
  receivedSecondsOf(wallSeconds: number, nowSeconds: number): number {
    const seconds = this.monotonicSecondsOf(wallSeconds);
    const isLikely = seconds <= nowSeconds && seconds > nowSeconds - LONGEST_WAIT_SECONDS;
    this.#lastSeconds = isLikely ? Math.max(seconds, this.#lastSeconds) : nowSeconds;
    return this.#lastSeconds;
  }
}

/** Above either of these, data comes faster than a sleeper wakes. */
const FAST_BYTES_PER_SECOND = 200e6;
const FAST_READS_PER_SECOND = 150_000;
/** How long a reader that found nothing looks again before it sleeps. */
const MOST_SPIN_SECONDS = 60e-6;
/** Weight of one more read in the averages. */
const SMOOTHING = 1 / 32;
/** A pause counts as no more than this, so that one does not outweigh a hundred fast reads. */
const LONGEST_GAP_SECONDS = 0.005;

/** No rest lasts longer … */
const MOST_REST_SECONDS = 0.005;
/** … and one in which fewer reads come than this saves nothing. */
const LEAST_REST_READS = 3;

/**
 * How fast a reader's data comes, and what follows from it.
 *
 * At the highest rates a reader that finds nothing should look again rather than sleep, for as long as data may still
 * come at once: a sleeping receiver costs its sender more than itself, for waking another CPU is slow, above all in a
 * virtual machine. At lower rates it may rest.
 */
export class ReadRate {
  #lastReadSeconds = -Infinity;
  #averageGapSeconds = LONGEST_GAP_SECONDS;
  #averageBytes = 0;

  /** Data was read. */
  read(nowSeconds: number, bytes: number): void {
    const gapSeconds = Math.min(nowSeconds - this.#lastReadSeconds, LONGEST_GAP_SECONDS);
    this.#averageGapSeconds += (gapSeconds - this.#averageGapSeconds) * SMOOTHING;
    this.#averageBytes += (bytes - this.#averageBytes) * SMOOTHING;
    this.#lastReadSeconds = nowSeconds;
  }

  /** There was nothing to read. */
  shouldLookAgain(nowSeconds: number): boolean {
    if (nowSeconds - this.#lastReadSeconds >= MOST_SPIN_SECONDS) return false;
    const gapSeconds = this.#averageGapSeconds;
    return this.#averageBytes > FAST_BYTES_PER_SECOND * gapSeconds || gapSeconds < 1 / FAST_READS_PER_SECOND;
  }

  /** How long to wait, so that at most `mostBytes` are there to be read together; 0 = it is not worth it. */
  restSeconds(mostBytes: number): number {
    if (this.#averageBytes === 0) return 0;
    const restSeconds = Math.min(MOST_REST_SECONDS, (mostBytes * this.#averageGapSeconds) / this.#averageBytes);
    return restSeconds < LEAST_REST_READS * this.#averageGapSeconds ? 0 : restSeconds;
  }
}

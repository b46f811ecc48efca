/** What may wait unsent on any link. */
const LEAST_BYTES = 128 * 1024;
/** On a faster one, as much as it carries in this time. */
const MOST_SECONDS = 0.05;
/** How long the rate is measured for each look at it. */
const WINDOW_SECONDS = 0.1;
/** A change smaller than this is not worth a call. */
const WORTHWHILE = 1.5;

/**
 * How much a TCP socket should take beyond what is under way. On a slow link little, so that it drains soon after the
 * test's end and bytes count as sent only when they are about to be; on a fast one more, or the sender would sleep for
 * every few packets.
 */
export class UnsentLimit {
  bytes = LEAST_BYTES;
  #windowStartSeconds: number | null = null;
  #windowBytes = 0;

  /** To be told of what was sent and when; tells whether `bytes` has changed. */
  sent(nowSeconds: number, bytes: number): boolean {
    this.#windowStartSeconds ??= nowSeconds;
    const windowSeconds = nowSeconds - this.#windowStartSeconds;
    if (windowSeconds < WINDOW_SECONDS) {
      this.#windowBytes += bytes;
      return false;
    }
    const wantedBytes = Math.max(LEAST_BYTES, Math.ceil((this.#windowBytes / windowSeconds) * MOST_SECONDS));
    this.#windowStartSeconds = nowSeconds;
    this.#windowBytes = bytes;
    if (wantedBytes < this.bytes * WORTHWHILE && wantedBytes * WORTHWHILE > this.bytes) return false;
    this.bytes = wantedBytes;
    return true;
  }
}

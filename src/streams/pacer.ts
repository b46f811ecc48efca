/** How far behind its plan a stream may fall before the rest is forgiven: what a stalled link may burst later. */
const MAX_DEBT_SECONDS = 1;
/** An even stream that is so far behind, for its machine is too busy to wake it for each slice … */
const FAR_BEHIND_SECONDS = 0.01;
/** … may send this share of what it owes at once: wake-ups that are always late do not slow it down for good … */
const AT_ONCE_SHARE = 0.1;
/** … but no more than so much time of its rate, and than this. */
const MOST_AT_ONCE_SECONDS = 0.01;
const MOST_AT_ONCE_BYTES = 62_500;
/** Behind its plan, an even stream leaves this much faster until it has caught up. */
const CATCH_UP_SPEED = 2;

export interface Pace {
  /** 0 = no limit. */
  readonly bandwidthBytesPerSecond: number;
  readonly durationSeconds: number;
  /** Bytes become due in slices of this much time, each at its start. */
  readonly sliceSeconds: number;
  /** What leaves at once: a packet, or for TCP a byte. */
  readonly unitBytes: number;
  /** No two slices leave at once, however late they are: what a late wake-up left behind is made up for bit by bit. */
  readonly isEven: boolean;
}

/** Tells how much a stream may send now; times are seconds since its start, and only what it is told moves it on. */
export class Pacer {
  readonly #pace: Pace;
  /** What leaves with one slice of an even stream: at least a unit. */
  readonly #sliceBytes: number;
  /** Of what it owes, far behind the plan. */
  readonly #mostShareBytes: number;
  #forgivenBytes = 0;
  /** Of an even stream: when the next slice may leave. */
  #notBeforeSeconds = -Infinity;

  constructor(pace: Pace) {
    this.#pace = pace;
    this.#sliceBytes = Math.max(pace.unitBytes, pace.bandwidthBytesPerSecond * pace.sliceSeconds);
    this.#mostShareBytes = Math.min(pace.bandwidthBytesPerSecond * MOST_AT_ONCE_SECONDS, MOST_AT_ONCE_BYTES);
  }

  /** Bytes that may leave now; everything the plan holds in the end is bandwidth × duration, exactly. */
  dueBytes(elapsedSeconds: number, sentBytes: number): number {
    const { bandwidthBytesPerSecond, isEven } = this.#pace;
    if (bandwidthBytesPerSecond === 0) return Infinity;
    const owedBytes = this.owedBytes(elapsedSeconds, sentBytes);
    if (!isEven) return owedBytes;
    if (elapsedSeconds < this.#notBeforeSeconds) return Math.min(0, owedBytes);
    const isFarBehind = owedBytes > FAR_BEHIND_SECONDS * bandwidthBytesPerSecond;
    const shareBytes = isFarBehind ? Math.min(owedBytes * AT_ONCE_SHARE, this.#mostShareBytes) : 0;
    return Math.min(owedBytes, Math.max(this.#sliceBytes, shareBytes));
  }

  /** Bytes of the plan that should have left by now and have not; what is more than a second old is forgiven. */
  owedBytes(elapsedSeconds: number, sentBytes: number): number {
    const { bandwidthBytesPerSecond, durationSeconds, sliceSeconds, unitBytes } = this.#pace;
    const plannedSeconds = Math.min(this.#slicesBegun(elapsedSeconds) * sliceSeconds, durationSeconds);
    const owedBytes = bandwidthBytesPerSecond * plannedSeconds - this.#forgivenBytes - sentBytes;
    // A unit may take longer than that to become due: it must not be forgiven before.
    const mostBytes = bandwidthBytesPerSecond * Math.max(MAX_DEBT_SECONDS, sliceSeconds) + unitBytes;
    if (owedBytes <= mostBytes) return owedBytes;
    this.#forgivenBytes += owedBytes - mostBytes;
    return mostBytes;
  }

  /** What is owed by now is owed no more. */
  forgive(elapsedSeconds: number, sentBytes: number): void {
    if (this.#pace.bandwidthBytesPerSecond === 0) return;
    // Which forgives some by itself, before it tells the rest.
    const owedBytes = this.owedBytes(elapsedSeconds, sentBytes);
    this.#forgivenBytes += Math.max(0, owedBytes);
  }

  /** To be told of every sending. */
  sent(elapsedSeconds: number, bytes: number): void {
    const { bandwidthBytesPerSecond, isEven } = this.#pace;
    if (isEven && bytes > 0) this.#notBeforeSeconds = elapsedSeconds + bytes / bandwidthBytesPerSecond / CATCH_UP_SPEED;
  }

  /** When to ask again, having sent what was due. */
  nextSeconds(elapsedSeconds: number, sentBytes: number): number {
    if (this.#isBehind(elapsedSeconds, sentBytes) && this.#notBeforeSeconds > elapsedSeconds) {
      return this.#notBeforeSeconds;
    }
    return this.#slicesBegun(elapsedSeconds) * this.#pace.sliceSeconds;
  }

  /** Whether an even stream should have sent more by now than it was let to. */
  #isBehind(elapsedSeconds: number, sentBytes: number): boolean {
    return this.#pace.isEven && this.owedBytes(elapsedSeconds, sentBytes) >= this.#pace.unitBytes;
  }

  #slicesBegun(elapsedSeconds: number): number {
    // A timer that fires at a slice's start reads it a hair early in floating point.
    return Math.floor(elapsedSeconds / this.#pace.sliceSeconds + 1e-9) + 1;
  }
}

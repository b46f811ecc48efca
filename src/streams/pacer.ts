/** How far behind its plan a stream may fall before the rest is forgiven: what a stalled link may burst later. */
const MAX_DEBT_SECONDS = 1;

export interface Pace {
  /** 0 = no limit. */
  readonly bandwidthBytesPerSecond: number;
  readonly durationSeconds: number;
  /** Bytes become due in slices of this much time, each at its start. */
  readonly sliceSeconds: number;
  /** What leaves at once: a packet, or for TCP a byte. */
  readonly unitBytes: number;
}

/** Tells how much a stream should have sent by now; the only state is what was forgiven. */
export class Pacer {
  readonly #pace: Pace;
  #forgivenBytes = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Bytes that may leave now; everything the plan holds in the end is bandwidth × duration, exactly. */
  dueBytes(elapsedSeconds: number, sentBytes: number): number {
    const { bandwidthBytesPerSecond, durationSeconds, sliceSeconds, unitBytes } = this.#pace;
    if (bandwidthBytesPerSecond === 0) return Infinity;
    const plannedSeconds = Math.min(this.#slicesBegun(elapsedSeconds) * sliceSeconds, durationSeconds);
    const dueBytes = bandwidthBytesPerSecond * plannedSeconds - this.#forgivenBytes - sentBytes;
    // A unit may take longer than that to become due: it must not be forgiven before.
    const mostBytes = bandwidthBytesPerSecond * Math.max(MAX_DEBT_SECONDS, sliceSeconds) + unitBytes;
    if (dueBytes <= mostBytes) return dueBytes;
    this.#forgivenBytes += dueBytes - mostBytes;
    return mostBytes;
  }

  /** When the next slice begins, in seconds since the stream's start. */
  nextSliceSeconds(elapsedSeconds: number): number {
    return this.#slicesBegun(elapsedSeconds) * this.#pace.sliceSeconds;
  }

  #slicesBegun(elapsedSeconds: number): number {
    // A timer that fires at a slice's start reads it a hair early in floating point.
    return Math.floor(elapsedSeconds / this.#pace.sliceSeconds + 1e-9) + 1;
  }
}

import { monotonicSeconds, runAfter } from "../clock.ts";
import type { Configuration } from "../protocol/messages.ts";
import type { Interval } from "../stats/interval.ts";
import type { Claim } from "./class-books.ts";
import { plannedSecondsOf } from "./grant.ts";
import { lastSeconds, LimitWatch, mostSeconds, movedBytesOf, overtimeReason } from "./limit-watch.ts";

/** To be told of each interval of the streams of one direction. */
export type LimitWatcher = (streamIndex: number, interval: Interval) => void;

/**
 * Holds one test to what its class leaves it. Nothing is slowed down by that: a test that is over a limit is to end, which
 * `onOver` tells with the reason, again with every interval in which it is so.
 */
export class TestLimits {
  readonly #claim: Claim;
  readonly #onOver: (why: string) => void;
  #begunSeconds: number | null = null;
  #isEndTold = true;
  #isStopped = false;
  #cancelEnd = (): void => {};

  constructor(claim: Claim, onOver: (why: string) => void) {
    this.#claim = claim;
    this.#onOver = onOver;
  }

  /** Whether the last figures are wanted of streams that nobody else asks for them. */
  get areCounted(): boolean {
    return this.#claim.isCounted;
  }

  watch(configuration: Configuration): LimitWatcher {
    const watch = new LimitWatch(this.#claim.limits, configuration);
    if (plannedSecondsOf(configuration) === null) this.#isEndTold = false;
    return (streamIndex, interval) => {
      const nowSeconds = monotonicSeconds();
      if (movedBytesOf(interval) > 0) this.#startAt(nowSeconds - interval.durationSeconds);
      const ofDay = this.#claim.count(movedBytesOf(interval), nowSeconds);
      const why = watch.told(streamIndex, interval, nowSeconds - (this.#begunSeconds ?? nowSeconds)) ?? ofDay;
      if (why !== null) this.#onOver(why);
    };
  }

  /** Its time begins, unless data have come before; from now on an end that was told is waited for. */
  begin(): void {
    const seconds = (this.#begunSeconds ??= monotonicSeconds());
    this.#endAt(seconds, lastSeconds(this.#claim.limits, this.#isEndTold));
  }

  /** Figures that are told later count, and end nothing. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelEnd();
  }

  #startAt(seconds: number): void {
    if (this.#begunSeconds !== null) return;
    this.#begunSeconds = seconds;
    this.#endAt(seconds, mostSeconds(this.#claim.limits));
  }

  /** Whatever it waits for, it ends by itself in time, or is ended. `most`: behind its begin; null = never. */
  #endAt(begunSeconds: number, most: number | null): void {
    this.#cancelEnd();
    if (most === null || this.#isStopped) return;
    const leftMs = Math.max(0, (begunSeconds + most) * 1000 - performance.now());
    this.#cancelEnd = runAfter(leftMs, () => this.#onOver(overtimeReason(this.#claim.limits)));
  }
}

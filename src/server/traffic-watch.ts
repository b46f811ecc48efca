import { MEASURED_SECONDS } from "./limits.ts";

/** How much more than its limit a direction may measure: clocks of two hosts, packets that were under way. */
export const TOLERANCE = 0.05;
/** What a link held up for this long may come at once: its sender was no faster than it may be. */
const MOST_HELD_UP_SECONDS = 5;
/** A sender that sends in slices begins with a whole one. */
const SLICE_SECONDS = 1;
/** Of the times that intervals tell. */
const ROUNDING_SECONDS = 0.01;
/** A window has no more entries than it has of these. */
const STEP_SECONDS = 0.1;

/** How much had come until then. */
interface Standing {
  readonly seconds: number;
  bytes: number;
}

/**
 * Watches the rate of one direction of a test by what its streams report. It is over the limit when the average of the last
 * 5 s is, and when all that came is more than a sender at the limit can have sent until then. The second lets pass what a
 * link held back and then delivers at once, and the slice with which a sender may begin: a sender that keeps to the limit
 * is never found to be over it.
 */
export class TrafficWatch {
  readonly #bytesPerSecond: number;
  readonly #streamSeconds = new Map<number, number>();
  /** The first is the last one that is as old as the window, once one is. */
  readonly #standings: Standing[] = [{ seconds: 0, bytes: 0 }];
  /** What may still come at once. */
  #creditBytes: number;
  readonly #mostCreditBytes: number;

  /** `unitBytes`: what streams cannot send less of, all of them together; the client tells it, and so it counts up to a slice. */
  constructor(bytesPerSecond: number, unitBytes: number) {
    const sliceBytes = bytesPerSecond * SLICE_SECONDS;
    this.#bytesPerSecond = bytesPerSecond * (1 + TOLERANCE);
    this.#creditBytes = sliceBytes + Math.min(unitBytes, sliceBytes);
    this.#mostCreditBytes = this.#creditBytes + this.#bytesPerSecond * MOST_HELD_UP_SECONDS;
  }

  /** To be told of each interval of each stream. The average in bytes/s where it is over the limit, else null. */
  add(streamIndex: number, bytes: number, durationSeconds: number): number | null {
    const ownSeconds = (this.#streamSeconds.get(streamIndex) ?? 0) + durationSeconds;
    this.#streamSeconds.set(streamIndex, ownSeconds);
    const before = this.#standings.at(-1) ?? { seconds: 0, bytes: 0 };
    // Streams run at the same time, and tell of the same time one after the other.
    const seconds = Math.max(before.seconds, ownSeconds);
    const earnedBytes = (seconds - before.seconds) * this.#bytesPerSecond;
    this.#creditBytes = Math.min(this.#mostCreditBytes, this.#creditBytes + earnedBytes) - bytes;
    const average = this.#average({ seconds, bytes: before.bytes + bytes });
    // What comes at once and is more than 5 s may have will still be so when they are over.
    const yetToEarnBytes = Math.max(0, MEASURED_SECONDS - seconds) * this.#bytesPerSecond;
    return this.#creditBytes + yetToEarnBytes < 0 && average > this.#bytesPerSecond ? average : null;
  }

  /** Over the last 5 s, and as much more as its first interval reaches back; before, as if nothing came until they are over. */
  #average(now: Standing): number {
    const standings = this.#standings;
    const last = standings.at(-1);
    if (last !== undefined && standings.length > 1 && now.seconds - last.seconds < STEP_SECONDS) last.bytes = now.bytes;
    else standings.push(now);
    const isOld = (standing: Standing | undefined): standing is Standing =>
      standing !== undefined && now.seconds - standing.seconds >= MEASURED_SECONDS - ROUNDING_SECONDS;
    while (isOld(standings[1])) standings.shift();
    const first = standings[0];
    return isOld(first) ? (now.bytes - first.bytes) / (now.seconds - first.seconds) : now.bytes / MEASURED_SECONDS;
  }
}

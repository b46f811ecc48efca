import { UDP_HEADER_BYTES } from "../config/limits.ts";
import type { ClassLimits } from "../config/policy.ts";
import type { Configuration } from "../protocol/messages.ts";
import type { Interval } from "../stats/interval.ts";
import { formatRate } from "../units.ts";
import { plannedSecondsOf } from "./grant.ts";
import { MEASURED_SECONDS } from "./limits.ts";
import { TrafficWatch } from "./traffic-watch.ts";

/** How long behind its time a test may still move data: a tenth of its time, within these bounds. */
const GRACE_RATIO = 0.1;
const LEAST_GRACE_SECONDS = 2;
const MOST_GRACE_SECONDS = 10;
/** As long is waited for what a slow link may still bring where the end was told. */
const MOST_DRAIN_SECONDS = 30;
/** What a slow link may still bring behind that where the end was told: what is under way, and no more. */
const MOST_LATE_BYTES = 4 * 1024 * 1024;

/** What a class leaves one direction of a test, measured; nothing is slowed down by it. */
export class LimitWatch {
  readonly #limits: ClassLimits;
  readonly #traffic: TrafficWatch | null;
  #lateBytesLeft: number;

  constructor(limits: ClassLimits, configuration: Configuration) {
    const { family, streams, lengthBytes } = configuration;
    const { bytesPerSecond } = limits;
    this.#lateBytesLeft = plannedSecondsOf(configuration) === null ? 0 : MOST_LATE_BYTES;
    const unitBytes = streams * (lengthBytes + (family === "udp" ? UDP_HEADER_BYTES : 0));
    this.#limits = limits;
    this.#traffic = bytesPerSecond === null ? null : new TrafficWatch(bytesPerSecond, unitBytes);
  }

  /** Of one stream, told so long behind the test's begin. Why the test must end, or null. */
  told(streamIndex: number, interval: Interval, sinceBeginSeconds: number): string | null {
    const { name } = this.#limits;
    const bytes = movedBytesOf(interval);
    const average = this.#traffic?.add(streamIndex, bytes, interval.durationSeconds) ?? null;
    if (average !== null) {
      const limit = formatRate(this.#limits.bytesPerSecond ?? 0, "megabit");
      return `the limit of class ${name} is ${limit} in one direction, and ${MEASURED_SECONDS} s had ${formatRate(average, "megabit")}`;
    }
    const isLate = sinceBeginSeconds - interval.durationSeconds > (mostSeconds(this.#limits) ?? Infinity);
    if (isLate) this.#lateBytesLeft -= bytes;
    return this.#lateBytesLeft < 0 ? overtimeReason(this.#limits) : null;
  }
}

/** So long behind its begin a test of the class may move data, what is under way apart; null = for ever. */
export function mostSeconds({ durationSeconds }: ClassLimits): number | null {
  if (durationSeconds === null) return null;
  return durationSeconds + Math.min(MOST_GRACE_SECONDS, Math.max(LEAST_GRACE_SECONDS, durationSeconds * GRACE_RATIO));
}

/** So long behind its begin it ends, whatever still comes or is waited for; null = never. */
export function lastSeconds(limits: ClassLimits, isEndTold: boolean): number | null {
  const { durationSeconds } = limits;
  return isEndTold && durationSeconds !== null ? durationSeconds + MOST_DRAIN_SECONDS : mostSeconds(limits);
}

/** Why a test ends behind that. */
export function overtimeReason({ name, durationSeconds }: ClassLimits): string {
  return `the limit of class ${name} is ${durationSeconds} s`;
}

/** As the side that told it counts: UDP with its headers. */
export function movedBytesOf(interval: Interval): number {
  return interval.kind === "send" ? interval.bytesSent : interval.bytesReceived;
}

import { REPORT_INTERVAL_SECONDS, UNREACHABLE_BYTES_PER_SECOND } from "../config/limits.ts";
import type { ClassLimits, TestDirection } from "../config/policy.ts";
import { RperfError } from "../errors.ts";
import type { Configuration } from "../protocol/messages.ts";
import { formatBandwidth, formatBytes, formatRate } from "../units.ts";
import { plannedSecondsOf, rateOf } from "./grant.ts";

/** What is measured to hold a limit is measured over so much time. */
export const MEASURED_SECONDS = 5;

/** Throws `peer-protocol` naming the limit that a configuration is over. `otherStreams`: of the test's other direction. */
export function checkLimits(limits: ClassLimits, configuration: Configuration, otherStreams: number): void {
  const { streams, durationSeconds, bytesPerSecond } = limits;
  const { family } = configuration;
  const direction = directionOf(configuration);
  if (!limits.directions.includes(direction)) throw refusal(limits, `no ${direction} tests`);
  if (!limits.families.includes(family)) throw refusal(limits, `no ${family.toUpperCase()} tests`);
  const allStreams = configuration.streams + otherStreams;
  if (streams !== null && allStreams > streams) {
    const both = otherStreams > 0 ? " in both directions together" : "";
    throw refusal(limits, `at most ${streams} ${streams === 1 ? "stream" : "streams"}${both}, not ${allStreams}`);
  }
  const seconds = plannedSecondsOf(configuration);
  if (durationSeconds !== null && seconds !== null && seconds > durationSeconds) {
    throw refusal(limits, `at most ${durationSeconds} s, not ${seconds} s`);
  }
  if (bytesPerSecond !== null) checkRate(limits, bytesPerSecond, configuration);
  if (isMeasured(limits)) checkInterval(limits, configuration);
}

/** Bytes that a configuration is to move; null where it does not tell, or has no limit. */
export function plannedBytesOf(configuration: Configuration): number | null {
  const rate = askedRateOf(configuration);
  const seconds = plannedSecondsOf(configuration);
  return rate === null || rate === 0 || seconds === null ? null : rate * seconds * configuration.streams;
}

/** Whoever is not let in is told why by this. */
function refusal({ name }: ClassLimits, allowed: string): RperfError {
  return new RperfError("peer-protocol", `this server allows class ${name} ${allowed}`);
}

/** `leftBytes` of the day's. Throws `peer-protocol` where what is planned is more. */
export function checkDay(limits: ClassLimits, leftBytes: number, plannedBytes: number | null): void {
  const { bytesPerDay } = limits;
  if (bytesPerDay === null || (leftBytes > 0 && (plannedBytes ?? 0) <= leftBytes)) return;
  const left = `${formatBytes(bytesPerDay)} in 24 hours, of which ${formatBytes(Math.max(0, leftBytes))} are left`;
  throw refusal(limits, plannedBytes === null ? left : `${left}, not ${formatBytes(plannedBytes)}`);
}

function checkRate(limits: ClassLimits, bytesPerSecond: number, configuration: Configuration): void {
  const rate = askedRateOf(configuration);
  const { streams } = configuration;
  // What is not told is measured.
  if (rate === null || (rate > 0 && rate * streams <= bytesPerSecond)) return;
  const most = `at most ${formatRate(bytesPerSecond, "megabit")} in one direction`;
  const asked = rate === 0 ? "unlimited" : formatRate(rate * streams, "megabit");
  const each = Math.floor(bytesPerSecond / streams);
  const remedy = each === 0 ? "fewer streams" : `--bandwidth ${formatBandwidth(each)}${streams > 1 ? " a stream" : ""}`;
  throw refusal(limits, `${most}, not ${asked}: ask for ${remedy}`);
}

/** Streams that report more seldom could move too much between two looks. */
function checkInterval(limits: ClassLimits, { extensions }: Configuration): void {
  const seconds = extensions?.intervalSeconds ?? REPORT_INTERVAL_SECONDS;
  if (seconds <= REPORT_INTERVAL_SECONDS) return;
  throw refusal(
    limits,
    `an interval of at most ${REPORT_INTERVAL_SECONDS} s, by which it is watched, not ${seconds} s`,
  );
}

function isMeasured({ durationSeconds, bytesPerSecond, bytesPerDay }: ClassLimits): boolean {
  return durationSeconds !== null || bytesPerSecond !== null || bytesPerDay !== null;
}

/** 0 = no limit; null = not known. */
function askedRateOf(configuration: Configuration): number | null {
  const rate = rateOf(configuration);
  return rate !== null && rate >= UNREACHABLE_BYTES_PER_SECOND ? 0 : rate;
}

function directionOf({ role }: Configuration): TestDirection {
  return role === "download" ? "forward" : "reverse";
}

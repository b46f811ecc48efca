import { type NumberRule, parseNumber } from "../config/checks.ts";
import { DEFAULT_DRAIN_SECONDS } from "../config/defaults.ts";
import { MAX_DURATION_SECONDS } from "../config/limits.ts";
import { RperfError } from "../errors.ts";
import type { ROOT_OPTIONS } from "./options.ts";
import type { ParsedOptions } from "./strict-parse.ts";

/** How a server is begun and ended, beside what it serves. */
export interface ServerOperation {
  /** How long running tests may go on once it is to end. */
  readonly drainSeconds: number;
  /** Whether it ends behind the first client's test. */
  readonly isOneOff: boolean;
  /** Without a test for so long it ends; null = never. */
  readonly idleTimeoutSeconds: number | null;
  /** Where its process id is written; null = nowhere. */
  readonly pidFile: string | null;
}

const RULES = {
  drain: { name: "--drain", min: 0, max: MAX_DURATION_SECONDS, isWhole: false },
  idleTimeout: { name: "--idle-timeout", min: 0, max: MAX_DURATION_SECONDS, isWhole: false, isAboveMin: true },
} as const satisfies Record<string, NumberRule>;

/** Throws with code `usage` where a value, or a combination, cannot be. */
export function operationOf(parsed: ParsedOptions<typeof ROOT_OPTIONS>): ServerOperation {
  if (parsed.isOn("one-off") && parsed.has("client-limit")) {
    throw new RperfError("usage", "--one-off and --client-limit exclude each other: it serves one client");
  }
  const drain = parsed.value("drain");
  const idleTimeout = parsed.value("idle-timeout");
  return {
    drainSeconds: drain === undefined ? DEFAULT_DRAIN_SECONDS : parseNumber(RULES.drain, drain),
    isOneOff: parsed.isOn("one-off"),
    idleTimeoutSeconds: idleTimeout === undefined ? null : parseNumber(RULES.idleTimeout, idleTimeout),
    pidFile: parsed.value("pid-file") ?? null,
  };
}

import { RperfError } from "../errors.ts";
import type { RateUnit } from "../units.ts";

/** How results are printed; `megabit` and `megabyte` are text in that unit. */
export const FORMATS = ["json", "megabit", "megabyte"] as const satisfies readonly ("json" | RateUnit)[];

export type Format = (typeof FORMATS)[number];

/** How the log is written. */
export const LOG_FORMATS = ["text", "json"] as const;

export type LogFormat = (typeof LOG_FORMATS)[number];

/** What a client prints: with `json-stream` one object a line as things happen. */
export type ClientFormat = Format | "json-stream";

export const DEFAULT_FORMAT: Format = "megabit";

/** `text` has passed the strict parse, so anything that is no format was not given. */
export function formatOf(text: string | undefined): Format {
  return FORMATS.find((format) => format === text) ?? DEFAULT_FORMAT;
}

/** The same with the switch `--json-stream`, which JSON alone agrees with. */
export function clientFormatOf(text: string | undefined, isStream: boolean): ClientFormat {
  if (!isStream) return formatOf(text);
  if (text === undefined || text === "json") return "json-stream";
  throw new RperfError("usage", `--json-stream and --format ${text} exclude each other`);
}

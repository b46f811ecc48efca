import type { RateUnit } from "../units.ts";

/** How results are printed; `megabit` and `megabyte` are text in that unit. */
export const FORMATS = ["json", "megabit", "megabyte"] as const satisfies readonly ("json" | RateUnit)[];

export type Format = (typeof FORMATS)[number];

export const DEFAULT_FORMAT: Format = "megabit";

/** `text` has passed the strict parse, so anything that is no format was not given. */
export function formatOf(text: string | undefined): Format {
  return FORMATS.find((format) => format === text) ?? DEFAULT_FORMAT;
}

import { RperfError } from "./errors.ts";

/** How rates are shown. */
export type RateUnit = "megabit" | "megabyte";

/** Bytes per second in one unit of each suffix: small letters count decimal bits, capitals decimal bytes. */
const BYTES_PER_SUFFIX: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3 / 8,
  m: 1e6 / 8,
  g: 1e9 / 8,
  K: 1e3,
  M: 1e6,
  G: 1e9,
};

const BITS_PER_BYTE = 8;
const SIGNIFICANT_DIGITS = 4;
const MAX_DECIMALS = 6;

/** Bytes in one unit of each suffix of an amount: decimal, as those of a rate. */
const AMOUNT_PER_SUFFIX: Readonly<Record<string, number>> = { "": 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/**
 * Reads a bandwidth such as `125000`, `1m` or `0.5G` and gives whole bytes per second; `name` is what to blame.
 * Only plain decimals are taken: no sign, no exponent, no spaces.
 */
export function parseBandwidth(text: string, name = "--bandwidth"): number {
  const exact = parseSuffixed(text, BYTES_PER_SUFFIX);
  if (exact === null) {
    const allowed = "a number of bytes/s, or of bits with k, m or g, or of bytes with K, M or G";
    throw new RperfError("usage", `${name} must be ${allowed}, not "${text}"`);
  }
  const bytesPerSecond = Math.round(exact);
  // 0 means unlimited, so a rate must not become 0 by rounding.
  if (exact > 0 && bytesPerSecond === 0) {
    throw new RperfError("usage", `${name} must be 0 (unlimited) or at least 1 byte/s, not "${text}"`);
  }
  return bytesPerSecond;
}

/** Reads an amount of data such as `5000000`, `1.5G` or `2T` and gives whole bytes; `name` is what to blame. */
export function parseBytes(text: string, name: string): number {
  const bytes = parseSuffixed(text, AMOUNT_PER_SUFFIX);
  if (bytes !== null) return Math.round(bytes);
  throw new RperfError("usage", `${name} must be a number of bytes, or of them with K, M, G or T, not "${text}"`);
}

/** A plain decimal and one of the suffixes; null for anything else. */
function parseSuffixed(text: string, perSuffix: Readonly<Record<string, number>>): number | null {
  const [, digits, suffix] = /^(\d+(?:\.\d*)?|\.\d+)([A-Za-z]?)$/.exec(text) ?? [];
  const scale = suffix !== undefined && Object.hasOwn(perSuffix, suffix) ? perSuffix[suffix] : undefined;
  return digits === undefined || scale === undefined ? null : Number(digits) * scale;
}

/** Whole bytes per second as `parseBandwidth` reads them: in bits where that is shorter. */
export function formatBandwidth(bytesPerSecond: number): string {
  for (const suffix of ["g", "m", "k"]) {
    const text = `${bytesPerSecond / (BYTES_PER_SUFFIX[suffix] ?? 1)}${suffix}`;
    if (/^[1-9]\d*(\.\d{1,2})?[a-z]$/.test(text) && parseBandwidth(text) === bytesPerSecond) return text;
  }
  return String(bytesPerSecond);
}

function megabitsFromBytes(bytes: number): number {
  return (bytes * BITS_PER_BYTE) / 1e6;
}

function megabytesFromBytes(bytes: number): number {
  return bytes / 1e6;
}

/** A rate, always in the unit asked for: "1.000 Mb/s", "94.12 Mb/s", "23412 Mb/s". */
export function formatRate(bytesPerSecond: number, unit: RateUnit): string {
  return unit === "megabit"
    ? `${formatNumber(megabitsFromBytes(bytesPerSecond))} Mb/s`
    : `${formatNumber(megabytesFromBytes(bytesPerSecond))} MB/s`;
}

/** An amount of data in decimal units: "512 B", "125.0 kB", "1.250 GB". */
export function formatBytes(bytes: number): string {
  const size = Math.abs(toSignificant(bytes));
  if (size < 1e3) return `${Math.round(bytes)} B`;
  if (size < 1e6) return `${formatNumber(bytes / 1e3)} kB`;
  if (size < 1e9) return `${formatNumber(bytes / 1e6)} MB`;
  if (size < 1e12) return `${formatNumber(bytes / 1e9)} GB`;
  return `${formatNumber(bytes / 1e12)} TB`;
}

/** A span of time in the largest unit that leaves a whole part: "10.00 s", "1.234 ms", "0.500 µs"; never minutes. */
export function formatSeconds(seconds: number): string {
  const size = Math.abs(toSignificant(seconds));
  if (size === 0 || size >= 1) return `${formatNumber(seconds)} s`;
  if (size >= 1e-3) return `${formatNumber(seconds * 1e3)} ms`;
  return `${formatNumber(seconds * 1e6)} µs`;
}

/** A share of one whole: "0.00%", "12.50%", "100.00%". */
export function formatPercent(ratio: number): string {
  return `${(ratio * 100).toFixed(2)}%`;
}

/** Four significant digits, no exponent, all digits of the whole part, at most six decimals. */
function formatNumber(value: number): string {
  if (value === 0) return (0).toFixed(SIGNIFICANT_DIGITS - 1);
  const magnitude = Math.floor(Math.log10(Math.abs(toSignificant(value))));
  const decimals = Math.min(MAX_DECIMALS, Math.max(0, SIGNIFICANT_DIGITS - 1 - magnitude));
  return value.toFixed(decimals);
}

/** The value as far as it is shown, so that 9.9996 counts as 10 and 999,999 B as 1 MB. */
function toSignificant(value: number): number {
  return Number(value.toPrecision(SIGNIFICANT_DIGITS));
}

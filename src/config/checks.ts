import { RperfError } from "../errors.ts";
import { MAX_KERNEL_NAME_BYTES } from "./limits.ts";

/** What a numeric setting may be; `name` is how a message calls it: the flag of the command line. */
export interface NumberRule {
  readonly name: string;
  readonly min: number;
  /** Infinity where only the type of number bounds it. */
  readonly max: number;
  readonly isWhole: boolean;
  /** True when `min` itself is not allowed. */
  readonly isAboveMin?: boolean;
}

/** What a system may call a congestion control; Linux's are of this kind. */
export function isCongestionName(name: string): boolean {
  return /^[a-z0-9_-]+$/.test(name) && name.length <= MAX_KERNEL_NAME_BYTES;
}

/** A value that is not among those allowed. */
export function refuse(name: string, allowed: string, value: unknown): never {
  throw new RperfError("usage", `${name} must be ${allowed}, not ${describeValue(value)}`);
}

/** Gives the number back, or throws naming the setting and what it may be. */
export function checkNumber(rule: NumberRule, value: unknown): number {
  return isAllowed(rule, value) ? value : refuse(rule.name, describeRule(rule), value);
}

/** Reads a plain decimal: no sign, no exponent, no spaces, none of JavaScript's other notations. */
export function parseNumber(rule: NumberRule, text: string): number {
  const pattern = rule.isWhole ? /^\d+$/ : /^(\d+(\.\d*)?|\.\d+)$/;
  const value = pattern.test(text) ? Number(text) : NaN;
  return isAllowed(rule, value) ? value : refuse(rule.name, describeRule(rule), text);
}

export function checkBoolean(name: string, value: unknown): boolean {
  return typeof value === "boolean" ? value : refuse(name, "true or false", value);
}

/** An options object of the library with no keys but the known ones: a misspelt one would be left out in silence. */
export function checkKeys(what: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(what, "an object", value);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new RperfError("usage", `${what} has no field "${unknown}"; its fields are ${known.join(", ")}`);
  }
}

function isAllowed(rule: NumberRule, value: unknown): value is number {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (rule.isWhole && !Number.isSafeInteger(value)) return false;
  return (rule.isAboveMin === true ? value > rule.min : value >= rule.min) && value <= rule.max;
}

function describeRule(rule: NumberRule): string {
  const kind = rule.isWhole ? "a whole number" : "a number";
  if (rule.max === Infinity) return `${kind}, ${rule.isAboveMin === true ? "more than" : "at least"} ${rule.min}`;
  return rule.isAboveMin === true
    ? `${kind} above ${rule.min} and at most ${rule.max}`
    : `${kind} from ${rule.min} to ${rule.max}`;
}

function describeValue(value: unknown): string {
  if (typeof value === "string" || typeof value === "number") return `"${value}"`;
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a value of type ${typeof value}`;
}

import { isIP } from "node:net";
import { checkKeys, checkNumber, type NumberRule, refuse } from "./checks.ts";
import { FAMILIES, TEST_DIRECTIONS } from "./choices.ts";
import { MAX_BANDWIDTH_BYTES_PER_SECOND, MAX_DURATION_SECONDS, MAX_STREAMS } from "./limits.ts";
import { type ClassLimits, type IdentityRule, PUBLIC, type TestDirection, UNLIMITED } from "./policy.ts";
import type { Family } from "./types.ts";

/** What the clients of one class may have; what is null or left out is not limited. */
export interface ClassOptions {
  /** Tests at the same time, of all clients of the class. */
  readonly clients?: number | null | undefined;
  /** The same of one address, or of one network of 64 bits of IPv6. */
  readonly clientsPerAddress?: number | null | undefined;
  /** Of one test, both directions together. */
  readonly streams?: number | null | undefined;
  readonly durationSeconds?: number | null | undefined;
  /** Of one test in one direction, all streams together. */
  readonly bytesPerSecond?: number | null | undefined;
  /** Of one client in 24 hours, both directions together. */
  readonly bytesPerDay?: number | null | undefined;
  readonly directions?: readonly TestDirection[] | undefined;
  readonly families?: readonly Family[] | undefined;
}

/** Whom a rule is for: either an address, or a network such as 192.0.2.0/24, or the id of a key. */
export interface IdentityOptions {
  readonly address?: string | undefined;
  readonly key?: string | undefined;
  readonly class: string;
}

/** What each limit is called where it is set. */
export type ClassSpelling = Readonly<Record<keyof ClassOptions, string>>;

/** As the fields of `ClassOptions` are. */
export const LIBRARY_SPELLING: ClassSpelling = {
  clients: "clients",
  clientsPerAddress: "clientsPerAddress",
  streams: "streams",
  durationSeconds: "durationSeconds",
  bytesPerSecond: "bytesPerSecond",
  bytesPerDay: "bytesPerDay",
  directions: "directions",
  families: "families",
};

/** Limits that are numbers, by what they may be. */
export const CLASS_RULES = {
  clients: { min: 1, max: Infinity, isWhole: true },
  clientsPerAddress: { min: 1, max: Infinity, isWhole: true },
  streams: { min: 1, max: MAX_STREAMS, isWhole: true },
  durationSeconds: { min: 0, max: MAX_DURATION_SECONDS, isWhole: false, isAboveMin: true },
  bytesPerSecond: { min: 1, max: MAX_BANDWIDTH_BYTES_PER_SECOND, isWhole: true },
  bytesPerDay: { min: 1, max: Infinity, isWhole: true },
} as const satisfies Partial<Record<keyof ClassOptions, Omit<NumberRule, "name">>>;

/** Where nobody is to be let in by default. */
export const REFUSE = "refuse";
/** Made of the flags that limit those who would have no limits else. */
export const FLAGS_CLASS = "default";
/** Names that mean something already. */
const RESERVED = [UNLIMITED.name, FLAGS_CLASS, REFUSE];
const CLASS_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
const MAX_KEY_ID_CHARACTERS = 64;

/** All classes there are: those given, and the ready ones. `where` is what messages call the whole. */
export function checkClasses(where: string, value: unknown, spelling: ClassSpelling): readonly ClassLimits[] {
  const own = Object.entries(checkObject(where, value)).map(([name, limits]) => {
    if (!CLASS_NAME.test(name)) refuse(`a name in ${where}`, "1 to 32 letters, digits and any of _ . -", name);
    if (RESERVED.includes(name)) refuse(`a name in ${where}`, `none of ${RESERVED.join(", ")}`, name);
    return checkClass(`${where}.${name}`, name, limits, spelling);
  });
  const ready = [PUBLIC, UNLIMITED].filter(({ name }) => own.every((other) => other.name !== name));
  return [...own, ...ready];
}

function checkClass(where: string, name: string, value: unknown, spelling: ClassSpelling): ClassLimits {
  const fields = checkObject(where, value);
  checkKeys(where, fields, Object.values(spelling));
  const number = (field: keyof typeof CLASS_RULES): number | null => {
    const limit = fields[spelling[field]];
    return limit === undefined || limit === null
      ? null
      : checkNumber({ ...CLASS_RULES[field], name: `${where}.${spelling[field]}` }, limit);
  };
  const list = <T extends string>(field: keyof ClassOptions, all: readonly T[]): readonly T[] =>
    checkList(`${where}.${spelling[field]}`, fields[spelling[field]] ?? all, all);
  return {
    name,
    clients: number("clients"),
    clientsPerAddress: number("clientsPerAddress"),
    streams: number("streams"),
    durationSeconds: number("durationSeconds"),
    bytesPerSecond: number("bytesPerSecond"),
    bytesPerDay: number("bytesPerDay"),
    directions: list("directions", TEST_DIRECTIONS),
    families: list("families", FAMILIES),
  };
}

/** Some of `all`, and at least one. */
function checkList<T extends string>(name: string, value: unknown, all: readonly T[]): readonly T[] {
  const allowed = `a list of ${all.join(" and ")}, or of one of them`;
  if (!Array.isArray(value) || value.length === 0) return refuse(name, allowed, value);
  const listed: readonly unknown[] = value;
  const unknown = listed.find((item) => !all.some((known) => known === item));
  if (unknown !== undefined) return refuse(name, allowed, unknown);
  if (new Set(listed).size < listed.length) refuse(name, "a list that names nothing twice", value);
  return all.filter((item) => listed.includes(item));
}

/** The rules in their order. `classes` are the names there are. */
export function checkIdentities(where: string, value: unknown, classes: readonly string[]): readonly IdentityRule[] {
  if (!Array.isArray(value)) return refuse(where, "a list", value);
  const items: readonly unknown[] = value;
  return items.map((item, index) => {
    const name = `${where}[${index}]`;
    const fields = checkObject(name, item);
    checkKeys(name, fields, ["address", "key", "class"]);
    const { address, key } = fields;
    if ((address === undefined) === (key === undefined)) refuse(name, "given either an address or a key", item);
    return {
      network: address === undefined ? null : checkNetwork(`${name}.address`, address),
      keyId: key === undefined ? null : checkKeyId(`${name}.key`, key),
      className: checkClassName(`${name}.class`, fields["class"], classes),
    };
  });
}

/** The name of the class of whom no identity names; null = refused. */
export function checkDefaultClass(name: string, value: unknown, classes: readonly string[]): string | null {
  const checked = checkClassName(name, value, [...classes, REFUSE]);
  return checked === REFUSE ? null : checked;
}

function checkClassName(name: string, value: unknown, classes: readonly string[]): string {
  const known = classes.find((one) => one === value);
  return known ?? refuse(name, `one of ${classes.join(", ")}`, value);
}

/** An address alone stands for itself. */
function checkNetwork(name: string, value: unknown): string {
  const allowed = "an IP address or a network such as 192.0.2.0/24 or 2001:db8::/32";
  if (typeof value !== "string") return refuse(name, allowed, value);
  const [, address = "", prefix] = /^([\da-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const bits = { 4: 32, 6: 128 }[isIP(address)];
  if (bits === undefined || Number(prefix ?? bits) > bits) refuse(name, allowed, value);
  return prefix === undefined ? `${address}/${bits}` : value;
}

function checkKeyId(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= MAX_KEY_ID_CHARACTERS) return value;
  return refuse(name, `the id of a key, 1 to ${MAX_KEY_ID_CHARACTERS} characters`, value);
}

/** A copy of what is an object and no list. */
export function checkObject(name: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(name, "an object", value);
  return Object.fromEntries(Object.entries(value));
}

// What the tests of the decoders share: messages with one field replaced by each kind of value in turn.
import { expect } from "bun:test";
import { RperfError } from "../../../src/errors.ts";
import { decodeClientMessage, decodeServerMessage } from "../../../src/protocol/decode.ts";

export type Json = Readonly<Record<string, unknown>>;
export type Label = keyof typeof VALUES | "missing";

/** JSON can tell infinity only as a number too large for a double. */
const INFINITY_TEXT = "1e999";
const INFINITY_STAND_IN = "\u0000infinity";
export const STREAMS = 2;

/** What every field of every message is replaced with, one after the other. */
const VALUES = {
  null: null,
  string: "string",
  true: true,
  "-1": -1,
  "2^53": 2 ** 53,
  infinity: INFINITY_STAND_IN,
  "0.5": 0.5,
  list: [],
  object: {},
} as const;
export const LABELS: readonly Label[] = ["missing", ...(Object.keys(VALUES) as (keyof typeof VALUES)[])];

export const decodeClient = (body: Uint8Array): unknown => decodeClientMessage(body);
export const decodeServer = (body: Uint8Array): unknown => decodeServerMessage(body, STREAMS);

export function bodyOf(value: unknown): Uint8Array {
  const text = JSON.stringify(value).replaceAll(JSON.stringify(INFINITY_STAND_IN), INFINITY_TEXT);
  return new TextEncoder().encode(text);
}

/** `message` with the field at `path` ("a.b", "a[0]") replaced, or left out. */
export function replaced(message: Json, path: string, label: Label): Json {
  const keys = path.replaceAll("]", "").split(/[.[]/);
  const copy = structuredClone(message) as Record<string, unknown>;
  let holder = copy;
  for (const key of keys.slice(0, -1)) holder = holder[key] as Record<string, unknown>;
  const last = keys.at(-1) ?? "";
  if (label === "missing") delete holder[last];
  else holder[last] = VALUES[label];
  return copy;
}

export function refusalOf(decode: () => unknown): RperfError | null {
  try {
    decode();
    return null;
  } catch (error) {
    if (error instanceof RperfError) return error;
    throw error;
  }
}

/** The replacements that each field takes; all others are refused. A field not named here takes anything. */
export type Allowed = Readonly<Record<string, readonly Label[]>>;

export const NONE: readonly Label[] = [];

/** A message of this kind is taken with exactly these replacements of a field; every refusal names the field. */
export function expectTakes(
  decode: (body: Uint8Array) => unknown,
  message: Json,
  path: string,
  labels: readonly Label[],
): void {
  // An item cannot be missing from a list: the list is then shorter.
  const tried = path.endsWith("]") ? LABELS.filter((label) => label !== "missing") : LABELS;
  const taken = tried.filter((label) => {
    const refusal = refusalOf(() => decode(bodyOf(replaced(message, path, label))));
    if (refusal === null) return true;
    expect(refusal.code).toBe("peer-protocol");
    expect(refusal.message).toContain(path);
    return false;
  });
  expect(taken).toEqual(tried.filter((label) => labels.includes(label)));
}

import { RperfError } from "../errors.ts";
import { MAX_KEY_ID_CHARACTERS, MAX_SECRET_BYTES, MIN_SECRET_BYTES } from "./limits.ts";

/** A secret that both ends know, and the name that one tells the other to say which. */
export interface Key {
  readonly id: string;
  /** MIN_SECRET_BYTES to MAX_SECRET_BYTES long. */
  readonly secret: Uint8Array;
}

/** Secrets by their ids, in the order in which they were given. */
export type Keys = ReadonlyMap<string, Uint8Array>;

const ID_RULE = `1 to ${MAX_KEY_ID_CHARACTERS} of A-Z a-z 0-9 . _ -`;
const SECRET_RULE = `${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes in base64`;
/** What the environment gives a key by. */
export const KEY_VARIABLE = "RPERF_KEY";

export function isKeyId(text: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(text) && text.length <= MAX_KEY_ID_CHARACTERS;
}

/**
 * The keys of a key file: one "ID SECRET" a line; blank lines and those that begin with # say nothing. Throws `usage` with
 * `path` and the line of what is wrong, never with what stands there: it may be a secret.
 */
export function parseKeys(text: string, path: string): Keys {
  const keys = new Map<string, Uint8Array>();
  for (const [index, line] of text.split("\n").entries()) {
    const content = line.trim();
    if (content === "" || content.startsWith("#")) continue;
    const where = `${path} line ${index + 1}`;
    const { id, secret } = parseKey(content, where);
    if (keys.has(id)) throw new RperfError("usage", `${where}: the id of this key is that of an earlier one`);
    keys.set(id, secret);
  }
  if (keys.size === 0) throw new RperfError("usage", `${path} holds no key; rperf keygen makes one`);
  return keys;
}

/** One "ID SECRET", as `rperf keygen` prints it; throws `usage` with `where`. */
export function parseKey(text: string, where: string): Key {
  const [id = "", encoded = "", ...rest] = text.trim().split(/\s+/);
  if (encoded === "" || rest.length > 0) {
    throw new RperfError("usage", `${where}: a key is its id, a space and its secret`);
  }
  if (!isKeyId(id)) throw new RperfError("usage", `${where}: the id of a key must be ${ID_RULE}`);
  const secret = decodeSecret(encoded);
  if (secret === null) throw new RperfError("usage", `${where}: the secret of a key must be ${SECRET_RULE}`);
  return { id, secret };
}

/** As a key file has it. */
export function formatKey({ id, secret }: Key): string {
  return `${id} ${secret.toBase64()}`;
}

/** A client's key; null = none. The value is not told: it may be a secret. */
export function checkClientKey(value: unknown): Key | null {
  return value === undefined || value === null ? null : checkKey(value);
}

/** A server's keys, in a Map that nobody else changes. */
export function checkServerKeys(value: unknown): Keys {
  if (value === undefined) return new Map();
  if (!(value instanceof Map)) throw new RperfError("usage", "keys must be a Map of secrets by their ids");
  const keys = [...value].map(([id, secret]) => checkKey({ id, secret }));
  return new Map(keys.map(({ id, secret }) => [id, secret]));
}

function checkKey(value: unknown): Key {
  if (typeof value === "object" && value !== null && "id" in value && "secret" in value) {
    const { id, secret } = value;
    if (typeof id === "string" && isKeyId(id) && isSecret(secret)) return { id, secret };
  }
  const secretRule = `${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`;
  throw new RperfError("usage", `a key must have an id, ${ID_RULE}, and a secret, ${secretRule}`);
}

function isSecret(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length >= MIN_SECRET_BYTES && value.length <= MAX_SECRET_BYTES;
}

function decodeSecret(encoded: string): Uint8Array | null {
  try {
    const secret = Uint8Array.fromBase64(encoded, { lastChunkHandling: "strict" });
    return isSecret(secret) ? secret : null;
  } catch {
    return null;
  }
}

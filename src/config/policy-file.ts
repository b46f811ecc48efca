import { messageOf, RperfError } from "../errors.ts";
import { parseBandwidth, parseBytes } from "../units.ts";
import { checkBoolean, checkKeys, checkNumber, refuse } from "./checks.ts";
import { AUTH_MODES } from "./choices.ts";
import {
  checkClasses,
  checkDefaultClass,
  checkIdentities,
  type ClassOptions,
  type ClassSpelling,
  checkObject,
  REFUSE,
} from "./class-options.ts";
import { repeatedKey } from "./repeated-key.ts";
import type { ServerOptions } from "./server-config.ts";
import type { AuthMode, ClassLimits } from "./policy.ts";

/** What a policy file says; undefined is what it leaves out. */
export interface PolicyFile {
  readonly options: Pick<ServerOptions, SharedField>;
  /** As it stands there, relative to the policy file; undefined = none. */
  readonly keyFile: string | undefined;
}

type SharedField = "clientLimit" | "queueLimit" | "auth" | "allowsLowPorts" | "classes" | "identities" | "defaultClass";

/** What the file calls its settings. */
const KEYS = {
  clientLimit: "client_limit",
  queueLimit: "queue",
  auth: "auth",
  allowsLowPorts: "allow_low_ports",
  classes: "classes",
  identities: "identities",
  defaultClass: "default",
  keyFile: "key_file",
} as const satisfies Record<SharedField | "keyFile", string>;

const SPELLING: ClassSpelling = {
  clients: "clients",
  clientsPerAddress: "clients_per_address",
  streams: "streams",
  durationSeconds: "duration",
  bytesPerSecond: "bandwidth",
  bytesPerDay: "bytes_per_day",
  directions: "directions",
  families: "families",
};

/**
 * Reads a policy, `name` being the file's. Throws an RperfError of code `usage` that names the file, the path of the
 * setting and what it may be.
 */
export function parsePolicyFile(name: string, text: string): PolicyFile {
  try {
    const value: unknown = Bun.YAML.parse(text);
    const twice = repeatedKey(text);
    if (twice !== null) throw new RperfError("usage", `${twice} is given twice`);
    // Nothing but comments: nothing is set.
    return readPolicy(value ?? {});
  } catch (error) {
    throw new RperfError("usage", `${name}: ${messageOf(error)}`, { cause: error });
  }
}

function readPolicy(value: unknown): PolicyFile {
  const fields = checkObject("the policy", value);
  checkKeys("the policy", fields, Object.values(KEYS));
  const setting = <T>(field: keyof typeof KEYS, read: (name: string, value: unknown) => T): T | undefined => {
    const name = KEYS[field];
    return fields[name] === undefined ? undefined : read(name, fields[name]);
  };
  const raw = setting("classes", readClasses) ?? {};
  const classes = checkClasses(KEYS.classes, raw, SPELLING);
  const names = classes.map(({ name }) => name);
  return {
    options: {
      clientLimit: setting("clientLimit", checkCount),
      queueLimit: setting("queueLimit", checkCount),
      auth: setting("auth", checkAuth),
      allowsLowPorts: setting("allowsLowPorts", checkBoolean),
      classes: optionsOf(classes.filter(({ name }) => Object.hasOwn(raw, name))),
      identities: setting("identities", (name, list) =>
        checkIdentities(name, list, names).map(({ network, keyId, className }) => ({
          address: network ?? undefined,
          key: keyId ?? undefined,
          class: className,
        })),
      ),
      defaultClass: setting("defaultClass", (name, chosen) => checkDefaultClass(name, chosen, names) ?? REFUSE),
    },
    keyFile: setting("keyFile", checkPath),
  };
}

function optionsOf(classes: readonly ClassLimits[]): Readonly<Record<string, ClassOptions>> {
  return Object.fromEntries(classes.map(({ name, ...limits }) => [name, limits]));
}

/** Rates and amounts become numbers; the rest is left to the check of all limits. */
function readClasses(where: string, value: unknown): Readonly<Record<string, unknown>> {
  const classes = Object.entries(checkObject(where, value));
  return Object.fromEntries(classes.map(([name, limits]) => [name, readClass(`${where}.${name}`, limits)]));
}

function readClass(where: string, limits: unknown): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(checkObject(where, limits)).map(([key, value]) => {
      const name = `${where}.${key}`;
      // To the library null is no limit; here it is what a line without a value says.
      if (value === null) refuse(name, "given a value, or left out for no limit", value);
      if (typeof value !== "string") return [key, value];
      if (key === SPELLING.bytesPerSecond) return [key, parseBandwidth(value, name)];
      return [key, key === SPELLING.bytesPerDay ? parseBytes(value, name) : value];
    }),
  );
}

function checkCount(name: string, value: unknown): number {
  return checkNumber({ name, min: 0, max: Infinity, isWhole: true }, value);
}

function checkAuth(name: string, value: unknown): AuthMode {
  return AUTH_MODES.find((mode) => mode === value) ?? refuse(name, `one of ${AUTH_MODES.join(", ")}`, value);
}

function checkPath(name: string, value: unknown): string {
  return typeof value === "string" && value !== "" ? value : refuse(name, "the path of a file", value);
}

import { RperfError } from "../errors.ts";
import { checkAffinity } from "./affinity.ts";
import { checkBoolean, checkKeys, checkNumber, type NumberRule, refuse } from "./checks.ts";
import * as defaults from "./defaults.ts";
import { deepFreeze } from "./freeze.ts";
import { MAX_QUEUE } from "./limits.ts";
import { checkServerKeys, type Keys } from "./keys.ts";
import { checkDevice, checkLocalAddress } from "./local-end.ts";
import { checkPortPools, type PortPoolsOptions } from "./port-pool.ts";
import { AUTH_MODES } from "./choices.ts";
import { type ClassPolicyOptions, classPolicyOf, LIMIT_RULES } from "./class-policy.ts";
import type { AuthMode, IdentityRule, Policy } from "./policy.ts";
import { checkTlsIdentity, type TlsIdentity } from "./tls.ts";
import type { ServerConfig } from "./types.ts";

/** What a caller asks of a server; everything has a default. */
export interface ServerOptions extends ClassPolicyOptions {
  /** IP address to listen on; by default all of them. */
  readonly bindAddress?: string | undefined;
  /** Listens on all IPv6 addresses, and on those of IPv4 where the host allows it; a `bindAddress` must be one of IPv6. */
  readonly ipv6?: boolean | undefined;
  /** 0 = any free port. */
  readonly port?: number | undefined;
  /** 0 = any number. */
  readonly clientLimit?: number | undefined;
  /** Clients beyond the limit that may wait for a place; 0 = none. */
  readonly queueLimit?: number | undefined;
  /** Whether a reverse test as in 0.1.8 may go to the client's ports below 1024. */
  readonly allowsLowPorts?: boolean | undefined;
  readonly affinity?: readonly number[] | undefined;
  readonly portPools?: PortPoolsOptions | undefined;
  /** The interface of its sockets (SO_BINDTODEVICE); by default any. */
  readonly device?: string | null | undefined;
  readonly keys?: Keys | undefined;
  /** Of the control port; by default none. */
  readonly tls?: TlsIdentity | null | undefined;
}

/** The rules of a server's numbers, named as their flags. */
export const SERVER_RULES = {
  port: { name: "--port", min: 0, max: 65_535, isWhole: true },
  clientLimit: { name: "--client-limit", min: 0, max: Infinity, isWhole: true },
  queueLimit: { name: "--queue", min: 0, max: MAX_QUEUE, isWhole: true },
  ...LIMIT_RULES,
} as const satisfies Record<string, NumberRule>;

const FIELDS: Record<keyof ServerOptions, true> = {
  bindAddress: true,
  ipv6: true,
  port: true,
  clientLimit: true,
  queueLimit: true,
  auth: true,
  allowsLowPorts: true,
  classes: true,
  identities: true,
  defaultClass: true,
  isPublic: true,
  maxTimeSeconds: true,
  maxBytesPerSecond: true,
  maxStreams: true,
  maxPerAddress: true,
  affinity: true,
  portPools: true,
  device: true,
  keys: true,
  tls: true,
};

/**
 * Checks every field, type included, and fills in what is left out.
 * Throws an `RperfError` of code `usage` that names the flag and what it may be.
 */
export function makeServerConfig(options: ServerOptions): ServerConfig {
  checkKeys("options", options, Object.keys(FIELDS));
  return deepFreeze<ServerConfig>({
    bindAddress: chooseBindAddress(options),
    port: checkNumber(SERVER_RULES.port, options.port ?? defaults.DEFAULT_PORT),
    policy: makePolicy(options),
    affinity: checkAffinity(options.affinity),
    portPools: checkPortPools(options.portPools ?? {}),
    device: checkDevice(options.device),
    tls: checkTlsIdentity(options.tls),
  });
}

/** Who may do what, by the options alone. Throws as above. */
export function makePolicy(options: ServerOptions): Policy {
  const keys = checkServerKeys(options.keys);
  const auth = checkAuth(options.auth, keys);
  const classPolicy = classPolicyOf(options);
  checkKeyRules(classPolicy.rules, keys, auth);
  return {
    clientLimit: checkNumber(SERVER_RULES.clientLimit, options.clientLimit ?? defaults.DEFAULT_CLIENT_LIMIT),
    queueLimit: checkNumber(SERVER_RULES.queueLimit, options.queueLimit ?? defaults.DEFAULT_QUEUE_LIMIT),
    auth,
    keys,
    ...classPolicy,
    allowsLowPorts: checkBoolean("--allow-low-ports", options.allowsLowPorts ?? false),
  };
}

function chooseBindAddress(options: ServerOptions): string {
  const isIpv6 = checkBoolean("--version6", options.ipv6 ?? false);
  const address = checkLocalAddress(options.bindAddress, isIpv6);
  return address ?? (isIpv6 ? defaults.DEFAULT_BIND_ADDRESS_V6 : defaults.DEFAULT_BIND_ADDRESS_V4);
}

/** A rule for a key that nobody can have fits nobody: whom it was meant for would be of another class. */
function checkKeyRules(rules: readonly IdentityRule[], keys: Keys, auth: AuthMode): void {
  for (const [index, { keyId }] of rules.entries()) {
    if (keyId === null) continue;
    const name = `identities[${index}].key`;
    if (auth === "off")
      throw new RperfError("usage", `${name} "${keyId}" has no meaning where no client is asked for a key`);
    if (!keys.has(keyId)) refuse(name, "the id of a key that the server has", keyId);
  }
}

function checkAuth(asked: unknown, keys: Keys): AuthMode {
  if (asked === undefined) return keys.size > 0 ? "required" : "off";
  const mode = AUTH_MODES.find((candidate) => candidate === asked);
  if (mode === undefined) return refuse("--auth", `one of ${AUTH_MODES.join(", ")}`, asked);
  if (mode === "off" || keys.size > 0) return mode;
  throw new RperfError("usage", `--auth ${mode} needs keys: --key-file, key_file or RPERF_KEY`);
}

import { isIP } from "node:net";
import { checkAffinity } from "./affinity.ts";
import { checkBoolean, checkKeys, checkNumber, type NumberRule, refuse } from "./checks.ts";
import * as defaults from "./defaults.ts";
import { deepFreeze } from "./freeze.ts";
import { checkPortPools, type PortPoolsOptions } from "./port-pool.ts";
import type { ServerConfig } from "./types.ts";

/** What a caller asks of a server; everything has a default. */
export interface ServerOptions {
  /** IP address to listen on; by default all of them. */
  readonly bindAddress?: string | undefined;
  /** Listens on all IPv6 addresses, and on those of IPv4 where the host allows it; not used with `bindAddress`. */
  readonly ipv6?: boolean | undefined;
  /** 0 = any free port. */
  readonly port?: number | undefined;
  /** 0 = any number. */
  readonly clientLimit?: number | undefined;
  readonly affinity?: readonly number[] | undefined;
  readonly portPools?: PortPoolsOptions | undefined;
}

/** The rules of a server's numbers, named as their flags. */
export const SERVER_RULES = {
  port: { name: "--port", min: 0, max: 65_535, isWhole: true },
  clientLimit: { name: "--client-limit", min: 0, max: Infinity, isWhole: true },
} as const satisfies Record<string, NumberRule>;

const FIELDS: Record<keyof ServerOptions, true> = {
  bindAddress: true,
  ipv6: true,
  port: true,
  clientLimit: true,
  affinity: true,
  portPools: true,
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
    clientLimit: checkNumber(SERVER_RULES.clientLimit, options.clientLimit ?? defaults.DEFAULT_CLIENT_LIMIT),
    affinity: checkAffinity(options.affinity),
    portPools: checkPortPools(options.portPools ?? {}),
  });
}

function chooseBindAddress(options: ServerOptions): string {
  const isIpv6 = checkBoolean("--version6", options.ipv6 ?? false);
  const address: unknown = options.bindAddress;
  if (address === undefined) return isIpv6 ? defaults.DEFAULT_BIND_ADDRESS_V6 : defaults.DEFAULT_BIND_ADDRESS_V4;
  return typeof address === "string" && isIP(address) !== 0 ? address : refuse("bindAddress", "an IP address", address);
}

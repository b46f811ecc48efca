import { checkAffinity } from "./affinity.ts";
import { checkBoolean, checkKeys, checkNumber, type NumberRule } from "./checks.ts";
import * as defaults from "./defaults.ts";
import { deepFreeze } from "./freeze.ts";
import { checkDevice, checkLocalAddress } from "./local-end.ts";
import { checkPortPools, type PortPoolsOptions } from "./port-pool.ts";
import type { ServerConfig } from "./types.ts";

/** What a caller asks of a server; everything has a default. */
export interface ServerOptions {
  /** IP address to listen on; by default all of them. */
  readonly bindAddress?: string | undefined;
  /** Listens on all IPv6 addresses, and on those of IPv4 where the host allows it; a `bindAddress` must be one of IPv6. */
  readonly ipv6?: boolean | undefined;
  /** 0 = any free port. */
  readonly port?: number | undefined;
  /** 0 = any number. */
  readonly clientLimit?: number | undefined;
  readonly affinity?: readonly number[] | undefined;
  readonly portPools?: PortPoolsOptions | undefined;
  /** The interface of its sockets (SO_BINDTODEVICE); by default any. */
  readonly device?: string | null | undefined;
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
  device: true,
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
    device: checkDevice(options.device),
  });
}

function chooseBindAddress(options: ServerOptions): string {
  const isIpv6 = checkBoolean("--version6", options.ipv6 ?? false);
  const address = checkLocalAddress(options.bindAddress, isIpv6);
  return address ?? (isIpv6 ? defaults.DEFAULT_BIND_ADDRESS_V6 : defaults.DEFAULT_BIND_ADDRESS_V4);
}

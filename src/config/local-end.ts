import { isIP } from "node:net";
import { RperfError } from "../errors.ts";
import { checkKeys, checkNumber, type NumberRule, refuse } from "./checks.ts";
import { MAX_KERNEL_NAME_BYTES } from "./limits.ts";
import type { PortRange } from "./types.ts";

const CLIENT_PORT: NumberRule = { name: "each port of --client-port", min: 1, max: 65_535, isWhole: true };

/** An IP address, with a zone id or without; with `isIpv6Asked` one of IPv6. */
export function checkLocalAddress(address: unknown, isIpv6Asked: boolean): string | null {
  if (address === undefined || address === null) return null;
  if (typeof address !== "string" || isIP(address) === 0) return refuse("--bind", "an IP address", address);
  return isIpv6Asked && isIP(address) === 4 ? refuse("--bind with --version6", "an IPv6 address", address) : address;
}

/** The name of a network interface, as Linux bounds it (dev_valid_name in net/core/dev.c). */
export function checkDevice(name: unknown): string | null {
  if (name === undefined || name === null) return null;
  const isName = typeof name === "string" && /^[^\s/\p{Cc}]+$/u.test(name);
  return isName && Buffer.byteLength(name) <= MAX_KERNEL_NAME_BYTES
    ? name
    : refuse("--bind-dev", `an interface's name, at most ${MAX_KERNEL_NAME_BYTES} bytes without "/" or space`, name);
}

/** Reads `7000` or `7000-7003`. */
export function parseClientPorts(text: string): PortRange {
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined) return refuse("--client-port", 'a port or a range of them, such as "7000-7003"', text);
  return checkRange({ first: Number(first), last: Number(last ?? first) });
}

/** `socketCount` data sockets need a port each. */
export function checkClientPorts(range: PortRange | null | undefined, socketCount: number): PortRange | null {
  if (range === undefined || range === null) return null;
  checkKeys("clientPorts", range, ["first", "last"]);
  const ports = checkRange(range);
  if (ports.last - ports.first + 1 < socketCount) {
    throw new RperfError(
      "usage",
      `--client-port must give a port to each of ${socketCount} data sockets, not "${ports.first}-${ports.last}"`,
    );
  }
  return ports;
}

function checkRange(range: PortRange): PortRange {
  const first = checkNumber(CLIENT_PORT, range.first);
  const last = checkNumber(CLIENT_PORT, range.last);
  if (first > last) refuse("--client-port", "given with its lower port first", `${first}-${last}`);
  return { first, last };
}

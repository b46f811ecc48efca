import { isIPv4, isIPv6 } from "node:net";
import type { AddressFamilies } from "./platform.ts";

/*
 * Linux, in host order unless told (ip(7), ipv6(7)):
 *
 *   struct sockaddr_in
 *   0            2               4                    8               16
 *   +------------+---------------+--------------------+---------------+
 *   | u16 family | u16 port, net | address, 4 bytes   | 8 bytes of 0  |
 *   +------------+---------------+--------------------+---------------+
 *
 *   struct sockaddr_in6
 *   0            2               4                    8                   24           28
 *   +------------+---------------+--------------------+-------------------+------------+
 *   | u16 family | u16 port, net | u32 flow info, net | address, 16 bytes | u32 scope  |
 *   +------------+---------------+--------------------+-------------------+------------+
 */
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;
const PORT = 2;
const IPV4_ADDRESS = 4;
const IPV6_ADDRESS = 8;
const IPV6_SCOPE = 24;
/** struct sockaddr_storage: room for any address. */
export const ANY_ADDRESS_BYTES = 128;
/** ::ffff:0:0/96, RFC 4291, section 2.5.5.2. */
const MAPPED_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

export type IpVersion = 4 | 6;

export interface Endpoint {
  /** As text; of IPv6 in its short spelling, with a zone where it needs one. */
  readonly address: string;
  readonly port: number;
}

/** The interfaces of this machine, for the zones of link-local addresses (RFC 4007, section 11). */
export interface Zones {
  /** Null = there is none of this name. */
  indexOf(name: string): number | null;
  nameOf(index: number): string | null;
}

/**
 * The address as a socket of this version takes it; an address of null is that of any interface. An IPv4 address is
 * mapped for a socket of IPv6, and a mapped one is taken for what it is by a socket of IPv4. Null = there is no such
 * address of this version, or no such zone.
 */
export function encodeSocketAddress(
  families: AddressFamilies,
  ipVersion: IpVersion,
  endpoint: { readonly address: string | null; readonly port: number },
  zones: Zones,
): Uint8Array<ArrayBuffer> | null {
  const address = endpoint.address === null ? new Uint8Array(16) : addressBytes(endpoint.address);
  if (address === null) return null;
  // Over a buffer of its own, as every memory that the system is told of (datagram-reader.ts).
  const bytes = new Uint8Array(new ArrayBuffer(ipVersion === 4 ? IPV4_BYTES : IPV6_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint16(PORT, endpoint.port);
  if (ipVersion === 4) {
    if (endpoint.address !== null && !isMapped(address)) return null;
    view.setUint16(0, families.ipv4, true);
    bytes.set(address.subarray(12), IPV4_ADDRESS);
    return bytes;
  }
  const scope = scopeOf(endpoint.address, zones);
  if (scope === null) return null;
  view.setUint16(0, families.ipv6, true);
  bytes.set(address, IPV6_ADDRESS);
  view.setUint32(IPV6_SCOPE, scope, true);
  return bytes;
}

/** What the system told; null where it is an address of another kind. */
export function decodeSocketAddress(families: AddressFamilies, bytes: Uint8Array, zones: Zones): Endpoint | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = ipVersionOf(families, bytes);
  if (version === null) return null;
  const port = view.getUint16(PORT);
  if (version === 4) return { address: bytes.subarray(IPV4_ADDRESS, IPV4_ADDRESS + 4).join("."), port };
  const address = ipv6Text(bytes.subarray(IPV6_ADDRESS, IPV6_ADDRESS + 16));
  const scope = view.getUint32(IPV6_SCOPE, true);
  return { address: scope === 0 ? address : `${address}%${zones.nameOf(scope) ?? scope}`, port };
}

/** Null where it is neither, or less than a whole one. */
export function ipVersionOf(families: AddressFamilies, bytes: Uint8Array): IpVersion | null {
  const family = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8);
  if (family === families.ipv4 && bytes.length >= IPV4_BYTES) return 4;
  return family === families.ipv6 && bytes.length >= IPV6_BYTES ? 6 : null;
}

/** The 16 bytes of an IPv6 address, or of an IPv4 address mapped to one; null where the text is neither. */
function addressBytes(text: string): Uint8Array | null {
  if (isIPv4(text)) return Uint8Array.from([...MAPPED_PREFIX, ...text.split(".").map(Number)]);
  const [withoutZone = ""] = text.split("%", 1);
  if (!isIPv6(withoutZone)) return null;
  // Not by URL, which of Bun 1.4.5 takes `::2:3:4:5:192.0.2.1` for invalid.
  const [head = [], tail = []] = withoutZone.split("::").map(groupBytes);
  return Uint8Array.from([...head, ...new Uint8Array(16 - head.length - tail.length), ...tail]);
}

/** Of groups that follow each other; the last may be an IPv4 address. */
function groupBytes(groups: string): readonly number[] {
  if (groups === "") return [];
  return groups.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** A number as it is, a name by its interface; 0 = no zone, null = no such zone. */
function scopeOf(address: string | null, zones: Zones): number | null {
  const at = address?.indexOf("%") ?? -1;
  if (address === null || at < 0) return 0;
  const zone = address.slice(at + 1);
  if (!/^\d{1,10}$/.test(zone)) return zone === "" ? null : zones.indexOf(zone);
  const index = Number(zone);
  return index < 2 ** 32 ? index : null;
}

/** RFC 5952; a mapped address ends as IPv4 is written. */
export function ipv6Text(bytes: Uint8Array): string {
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12, 16).join(".")}`;
  const group = (index: number) => (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16);
  const groups = Array.from({ length: 8 }, (_, index) => group(index)).join(":");
  return new URL(`http://[${groups}]`).hostname.slice(1, -1);
}

function isMapped(bytes: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
}

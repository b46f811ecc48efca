// An IP packet's outer facts. What is no UDP or TCP, or a fragment behind the first, has no ports and no payload.
//
// RFC 791 §3.1, RFC 8200 §3 and §4.5, RFC 768, RFC 9293 §3.1.
import type { Match } from "./settings.ts";

const UDP = 17;
const TCP = 6;
const IPV6_FRAGMENT = 44;
const IPV6_HEADER_BYTES = 40;
const FRAGMENT_HEADER_BYTES = 8;
const UDP_HEADER_BYTES = 8;
/** Behind rperf's test id. */
const PACKET_ID_OFFSET = 16;

export interface Packet {
  readonly bytes: Buffer;
  readonly protocol: "udp" | "tcp" | "other";
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Where the UDP or TCP header begins. */
  readonly headerAt: number;
  readonly payloadBytes: number;
}

export function parsePacket(bytes: Buffer): Packet {
  const isV6 = bytes.readUInt8(0) >> 4 === 6;
  let number = isV6 ? bytes.readUInt8(6) : bytes.readUInt8(9);
  let headerAt = isV6 ? IPV6_HEADER_BYTES : (bytes.readUInt8(0) & 0x0f) * 4;
  let fragmentOffset = isV6 ? 0 : bytes.readUInt16BE(6) & 0x1fff;
  if (isV6 && number === IPV6_FRAGMENT) {
    number = bytes.readUInt8(headerAt);
    fragmentOffset = bytes.readUInt16BE(headerAt + 2) >> 3;
    headerAt += FRAGMENT_HEADER_BYTES;
  }
  if ((number !== UDP && number !== TCP) || fragmentOffset !== 0) {
    return { bytes, protocol: "other", sourcePort: 0, destinationPort: 0, headerAt, payloadBytes: 0 };
  }
  const payloadBytes =
    number === UDP
      ? bytes.readUInt16BE(headerAt + 4) - UDP_HEADER_BYTES // of the whole datagram, fragmented or not
      : bytes.length - headerAt - (bytes.readUInt8(headerAt + 12) >> 4) * 4;
  return {
    bytes,
    protocol: number === UDP ? "udp" : "tcp",
    sourcePort: bytes.readUInt16BE(headerAt),
    destinationPort: bytes.readUInt16BE(headerAt + 2),
    headerAt,
    payloadBytes,
  };
}

export function matches(packet: Packet, { protocol, port, minPayloadBytes, maxPayloadBytes }: Match): boolean {
  if (protocol !== undefined && packet.protocol !== protocol) return false;
  if (port !== undefined && packet.sourcePort !== port && packet.destinationPort !== port) return false;
  if (minPayloadBytes !== undefined && packet.payloadBytes < minPayloadBytes) return false;
  return maxPayloadBytes === undefined || packet.payloadBytes <= maxPayloadBytes;
}

/** Equal for packets of one flow: addresses and ports as they stand in the packet. */
export function flowKeyOf({ bytes, headerAt }: Packet): string {
  const isV6 = bytes.readUInt8(0) >> 4 === 6;
  const addresses = isV6 ? bytes.toString("latin1", 8, IPV6_HEADER_BYTES) : bytes.toString("latin1", 12, 20);
  return addresses + bytes.toString("latin1", headerAt, headerAt + 4);
}

export function endsOf({ bytes, sourcePort, destinationPort }: Packet): { from: string; to: string } {
  const isV6 = bytes.readUInt8(0) >> 4 === 6;
  const address = (at: number) =>
    isV6
      ? `[${Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(at + 2 * i).toString(16)).join(":")}]`
      : bytes.subarray(at, at + 4).join(".");
  return {
    from: `${address(isV6 ? 8 : 12)}:${sourcePort}`,
    to: `${address(isV6 ? 24 : 16)}:${destinationPort}`,
  };
}

/** Of an rperf data packet; of others whatever stands there, and 0 where they are too short. */
export function packetIdOf({ bytes, headerAt }: Packet): number {
  const at = headerAt + UDP_HEADER_BYTES + PACKET_ID_OFFSET;
  return at + 8 > bytes.length ? 0 : Number(bytes.readBigUInt64BE(at));
}

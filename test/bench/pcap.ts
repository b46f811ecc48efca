// Reads captures as tcpdump writes them: the classic file format (draft-ietf-opsawg-pcap), Ethernet framing, as Linux
// gives its loopback, and IPv4. Pure.

/*
 * file:    magic u32 | major u16 | minor u16 | reserved u32 ×2 | snap length u32 | link type u32       24 bytes
 * record:  seconds u32 | fraction u32 | captured bytes u32 | bytes on the wire u32 | captured bytes    16 bytes and data
 *
 * The magic tells the byte order, and what the fraction counts: microseconds or nanoseconds.
 */
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const LINK_TYPE_ETHERNET = 1;

const ETHERNET_HEADER_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;
const IP_PROTOCOL_TCP = 6;
const IP_PROTOCOL_UDP = 17;
const UDP_HEADER_BYTES = 8;

/** One TCP segment or UDP datagram; with segmentation offload it may hold the payload of many. */
export interface CapturedPacket {
  readonly family: "tcp" | "udp";
  /** Nanoseconds after the capture's `originUnixSeconds`: exact in a double, as nanoseconds since 1970 are not. */
  readonly atNanoseconds: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What it carried on the wire, of which the capture may hold less. */
  readonly payloadBytes: number;
}

export interface Capture {
  /** A whole number: the second in which the first record was taken. */
  readonly originUnixSeconds: number;
  /** In the order of the file; other packets than TCP and UDP over IPv4 are left out. */
  readonly packets: readonly CapturedPacket[];
}

/** Throws when `bytes` is no such capture, or ends within a record. */
export function parsePcap(bytes: Uint8Array): Capture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FILE_HEADER_BYTES) throw new Error("no capture: shorter than its header");
  const { littleEndian, nanosecondsPerUnit } = readMagic(view);
  const linkType = view.getUint32(20, littleEndian);
  if (linkType !== LINK_TYPE_ETHERNET) throw new Error(`a capture of link type ${linkType}, not Ethernet`);

  let originUnixSeconds = 0;
  const packets: CapturedPacket[] = [];
  for (let at = FILE_HEADER_BYTES; at < bytes.length;) {
    if (at + RECORD_HEADER_BYTES > bytes.length) throw new Error("the capture ends within a record's header");
    const unixSeconds = view.getUint32(at, littleEndian);
    const fraction = view.getUint32(at + 4, littleEndian);
    const capturedBytes = view.getUint32(at + 8, littleEndian);
    const wireBytes = view.getUint32(at + 12, littleEndian);
    const dataAt = at + RECORD_HEADER_BYTES;
    if (dataAt + capturedBytes > bytes.length) throw new Error("the capture ends within a record");
    if (at === FILE_HEADER_BYTES) originUnixSeconds = unixSeconds;
    const atNanoseconds = (unixSeconds - originUnixSeconds) * 1e9 + fraction * nanosecondsPerUnit;
    const packet = readFrame(bytes.subarray(dataAt, dataAt + capturedBytes), wireBytes, atNanoseconds);
    if (packet !== null) packets.push(packet);
    at = dataAt + capturedBytes;
  }
  return { originUnixSeconds, packets };
}

function readMagic(view: DataView): { littleEndian: boolean; nanosecondsPerUnit: number } {
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(0, littleEndian);
    if (magic === MAGIC_NANOSECONDS) return { littleEndian, nanosecondsPerUnit: 1 };
    if (magic === MAGIC_MICROSECONDS) return { littleEndian, nanosecondsPerUnit: 1000 };
  }
  throw new Error("no capture: unknown magic number");
}

/*
 * Ethernet:  addresses 12 | type u16
 * IPv4:      version, header words u4 ×2 | … | protocol u8 at 9 | …            (RFC 791 §3.1)
 * TCP:       source port u16 | destination port u16 | … | header words u4 at 12 (RFC 9293 §3.1)
 * UDP:       source port u16 | destination port u16 | length u16 | checksum u16 (RFC 768)
 *
 * The length fields are not read: an offloaded packet's may not fit them.
 */
function readFrame(frame: Uint8Array, wireBytes: number, atNanoseconds: number): CapturedPacket | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < ETHERNET_HEADER_BYTES + 20 || view.getUint16(12) !== ETHERTYPE_IPV4) return null;
  const protocol = view.getUint8(ETHERNET_HEADER_BYTES + 9);
  const transportAt = ETHERNET_HEADER_BYTES + (view.getUint8(ETHERNET_HEADER_BYTES) & 0x0f) * 4;
  const family = protocol === IP_PROTOCOL_TCP ? "tcp" : protocol === IP_PROTOCOL_UDP ? "udp" : null;
  if (family === null || frame.length < transportAt + (family === "tcp" ? 20 : UDP_HEADER_BYTES)) return null;
  const headerBytes = family === "tcp" ? (view.getUint8(transportAt + 12) >> 4) * 4 : UDP_HEADER_BYTES;
  return {
    family,
    atNanoseconds,
    sourcePort: view.getUint16(transportAt),
    destinationPort: view.getUint16(transportAt + 2),
    payloadBytes: Math.max(0, wireBytes - transportAt - headerBytes),
  };
}

/** The packets of the one direction between two ports that carried the most bytes, in their order. */
export function mainFlow(packets: readonly CapturedPacket[]): readonly CapturedPacket[] {
  const flows = new Map<string, { bytes: number; readonly packets: CapturedPacket[] }>();
  for (const packet of packets) {
    const name = `${packet.family} ${packet.sourcePort} ${packet.destinationPort}`;
    const flow = flows.get(name) ?? { bytes: 0, packets: [] };
    flow.bytes += packet.payloadBytes;
    flow.packets.push(packet);
    flows.set(name, flow);
  }
  return [...flows.values()].toSorted((a, b) => b.bytes - a.bytes)[0]?.packets ?? [];
}

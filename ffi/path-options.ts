import { constants } from "node:os";
import { notSupported, refused } from "./libc.ts";
import { readInteger, readOption, setInteger, setOption, TCP_LEVEL } from "./option-calls.ts";
import { type Outcome, type PathNumbers, platform } from "./platform.ts";
import type { IpVersion } from "./socket-address.ts";

/** Of a name with its closing zero: TCP_CA_NAME_MAX, and IFNAMSIZ of an interface (include/net/tcp.h, netdevice(7)). */
const NAME_BYTES = 16;
/** The lower two bits of the byte are the network's own (RFC 3168, section 5). */
const ECN_BITS = 2;

/** Has a TCP connection run by this algorithm, as `bbr`; ENOENT = this system has it not, EPERM = it is not for all. */
export function setCongestionControl(fd: number, name: string): Outcome<null> {
  const what = `congestion control by ${name}`;
  return withPath(what, ({ congestion }) => setName(fd, TCP_LEVEL, congestion, name, what));
}

/** The algorithm in force. */
export function readCongestionControl(fd: number): Outcome<string> {
  const what = "reading the congestion control";
  return withPath(what, ({ congestion }) => readName(fd, TCP_LEVEL, congestion, what));
}

/**
 * Marks what the socket sends (RFC 2474): 0 to 63. A socket of IPv6 marks the IPv4 packets too that it sends to a mapped
 * address.
 */
export function setDscp(fd: number, ipVersion: IpVersion, dscp: number): Outcome<null> {
  const what = `marking packets with DSCP ${dscp}`;
  return withPath<null>(what, ({ trafficClass }) => {
    // The kernel would take the lowest byte of any number.
    if (!Number.isInteger(dscp) || dscp < 0 || dscp > 63) return refused(what, constants.errno.EINVAL);
    for (const version of ipVersion === 6 ? ([6, 4] as const) : ([4] as const)) {
      const { level, option } = trafficClass[version];
      const outcome = setInteger(fd, level, option, dscp << ECN_BITS, what);
      if (!outcome.ok) return outcome;
    }
    return { ok: true, value: null };
  });
}

/** The mark in force. */
export function readDscp(fd: number, ipVersion: IpVersion): Outcome<number> {
  const what = "reading the DSCP";
  return withPath(what, ({ trafficClass }) => {
    const { level, option } = trafficClass[ipVersion];
    const read = readInteger(fd, level, option, what);
    return read.ok ? { ok: true, value: read.value >> ECN_BITS } : read;
  });
}

/** Bounds the data of a TCP segment, both ways where it is asked for before the connection is made (TCP_MAXSEG). */
export function limitSegment(fd: number, bytes: number): Outcome<null> {
  const what = `segments of ${bytes} bytes`;
  return withPath(what, ({ largestSegment }) => setInteger(fd, TCP_LEVEL, largestSegment, bytes, what));
}

/** The most data of a segment sent: on a connection what the path and the peer leave of it, options taken off. */
export function readSegmentLimit(fd: number): Outcome<number> {
  const what = "reading the size of segments";
  return withPath(what, ({ largestSegment }) => readInteger(fd, TCP_LEVEL, largestSegment, what));
}

/** Has all packets leave and come by this interface (SO_BINDTODEVICE); ENODEV = there is none of this name. */
export function bindToDevice(fd: number, device: string): Outcome<null> {
  const what = `binding to the interface ${device}`;
  return withPath(what, (path) => setName(fd, platform.socketLevel, path.bindToDevice, device, what, "ENODEV"));
}

/** The interface it is bound to; "" = none. */
export function readDevice(fd: number): Outcome<string> {
  const what = "reading the interface";
  return withPath(what, (path) => readName(fd, platform.socketLevel, path.bindToDevice, what));
}

/** Bounds how long a TCP connection waits before it sends again (TCP_RTO_MAX_MS, Linux 6.15): 1,000 to 120,000 ms. */
export function limitRetransmitWait(fd: number, milliseconds: number): Outcome<null> {
  const what = `sending again within ${milliseconds} ms`;
  return withPath(what, (path) => setInteger(fd, TCP_LEVEL, path.longestRetransmitWait, milliseconds, what));
}

/** The longest such wait, in milliseconds. */
export function readRetransmitWait(fd: number): Outcome<number> {
  const what = "reading how long it waits to send again";
  return withPath(what, (path) => readInteger(fd, TCP_LEVEL, path.longestRetransmitWait, what));
}

function withPath<Value>(what: string, use: (path: PathNumbers) => Outcome<Value>): Outcome<Value> {
  return platform.path === null ? notSupported(what) : use(platform.path);
}

/** A longer name than any is refused: the kernel would take its beginning for the whole. */
function setName(
  fd: number,
  level: number,
  option: number,
  name: string,
  what: string,
  unknown: "ENOENT" | "ENODEV" = "ENOENT",
): Outcome<null> {
  const bytes = new TextEncoder().encode(`${name}\0`);
  if (bytes.length > NAME_BYTES || bytes.length === 1) return refused(what, constants.errno[unknown]);
  return setOption(fd, level, option, bytes, what);
}

function readName(fd: number, level: number, option: number, what: string): Outcome<string> {
  const bytes = new Uint8Array(new ArrayBuffer(NAME_BYTES));
  const read = readOption(fd, level, option, bytes, what);
  return read.ok
    ? { ok: true, value: new TextDecoder().decode(bytes.subarray(0, read.value)).replace(/\0.*$/s, "") }
    : read;
}

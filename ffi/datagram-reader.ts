import { directIoCalls, ptr } from "./libc.ts";
import { type DirectIoNumbers, platform } from "./platform.ts";
import { NOT_NOW, outcomeOf } from "./direct-io.ts";
import { ipv6Text } from "./socket-address.ts";

/** The largest datagram, or group of datagrams that the kernel gathered (udp(7), UDP_GRO). */
const MAX_DATAGRAM_BYTES = 65_536;
/** struct sockaddr_storage. */
const ADDRESS_BYTES = 128;
/** AF_INET. */
const IPV4_FAMILY = 2;
/** Family with port, and address, of sockaddr_in; all of sockaddr_in6, whose flow is told as 0 (ffi/socket-address.ts). */
const IPV4_SOURCE_WORDS = 2;
const SOURCE_WORDS = 7;
const CONTROL_BYTES = 128;
const NANOSECONDS_PER_SECOND = 1e9;

/*
 * struct msghdr where pointers have 64 bits, of glibc and musl (recvmsg(2)):
 *
 *   0          8              16     24       32        40              48
 *   +----------+--------------+------+--------+---------+---------------+-------+
 *   | name *   | u32 name len | iov *| iov len| control*| control len   | flags |
 *   +----------+--------------+------+--------+---------+---------------+-------+
 */
const MESSAGE_BYTES = 56;
const NAME_LENGTH = 8;
const CONTROL_LENGTH = 40;
/* struct cmsghdr: u64 length (of header and data), i32 level, i32 type; data; padding to 8 bytes (cmsg(3)). */
const CMSG_HEADER_BYTES = 16;

/** The words of an address: only `isFrom` looks into it. */
export type DatagramSource = Int32Array<ArrayBuffer>;

/** Reads a UDP socket's datagrams into one memory, with what the kernel tells of each. */
export class DatagramReader {
  readonly bytes = new Uint8Array(MAX_DATAGRAM_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  readonly words = new Int32Array(this.bytes.buffer);
  /** The size of each packet in what was read, where the kernel gathered several; the last may be shorter. Else 0. */
  segmentBytes = 0;
  /** On the system's wall clock, as `wallSeconds` gives it; NaN = not told. */
  arrivalWallSeconds = Number.NaN;
  readonly #options: DirectIoNumbers;
  readonly #libc: NonNullable<ReturnType<typeof directIoCalls>>;
  // Over buffers of their own: the engine moves the memory of a small array when a view of it is first asked for.
  readonly #address = new Uint8Array(new ArrayBuffer(ADDRESS_BYTES));
  /** The same memory. */
  readonly #source = new Int32Array(this.#address.buffer, 0, SOURCE_WORDS);
  readonly #control = new DataView(new ArrayBuffer(CONTROL_BYTES));
  readonly #vector = new BigUint64Array(new ArrayBuffer(16));
  readonly #message = new DataView(new ArrayBuffer(MESSAGE_BYTES));
  readonly #messageAddress = ptr(this.#message);
  readonly #time = new DataView(new ArrayBuffer(16));
  readonly #timeAddress = ptr(this.#time);
  /** Times are told since this second: near zero, a number keeps its nanoseconds. */
  readonly #baseSecond: number;

  constructor(options: DirectIoNumbers, libc: NonNullable<ReturnType<typeof directIoCalls>>) {
    this.#options = options;
    this.#libc = libc;
    this.#vector[0] = BigInt(ptr(this.bytes));
    this.#vector[1] = BigInt(MAX_DATAGRAM_BYTES);
    const pointers: readonly (readonly [number, Uint8Array | BigUint64Array | DataView])[] = [
      [0, this.#address],
      [16, this.#vector],
      [32, this.#control],
    ];
    for (const [offset, target] of pointers) this.#message.setBigUint64(offset, BigInt(ptr(target)), true);
    this.#message.setBigUint64(24, 1n, true);
    this.#baseSecond = 0;
    this.#baseSecond = Math.floor(this.wallSeconds());
  }

  /** Reads one datagram or one group, without waiting: its bytes, `NOT_NOW`, or a refusal (direct-io.ts). */
  read(fd: number): number {
    this.#message.setUint32(NAME_LENGTH, ADDRESS_BYTES, true);
    this.#message.setUint32(CONTROL_LENGTH, CONTROL_BYTES, true);
    const { calls, errno } = this.#libc;
    const result = outcomeOf(calls.recvmsg(fd, this.#messageAddress, this.#options.dontWait), errno);
    if (result > NOT_NOW) this.#readControl();
    return result;
  }

  /** The system's wall clock now, since a second of this reader's own. */
  wallSeconds(): number {
    this.#libc.calls.clock_gettime(this.#options.wallClock, this.#timeAddress);
    return secondsAt(this.#time, 0, this.#baseSecond);
  }

  /** Where the last datagram came from, as text without a port and a zone. */
  address(): string {
    return this.#address[0] === IPV4_FAMILY
      ? this.#address.subarray(4, 8).join(".")
      : ipv6Text(this.#address.subarray(8, 24));
  }

  /** Which port the last datagram came from. */
  port(): number {
    return ((this.#address[2] ?? 0) << 8) | (this.#address[3] ?? 0);
  }

  /** Where the last datagram came from, to be kept for `isFrom`. */
  source(): DatagramSource {
    return this.#source.slice();
  }

  /** Whether the last datagram came from there: address, port and zone. */
  isFrom(source: DatagramSource): boolean {
    const last = this.#source;
    const first = last[0] ?? 0;
    if (first !== source[0]) return false;
    // What is behind an address of IPv4 may be left of an earlier one of IPv6.
    const words = (first & 0xffff) === IPV4_FAMILY ? IPV4_SOURCE_WORDS : SOURCE_WORDS;
    for (let word = 1; word < words; word++) if (last[word] !== source[word]) return false;
    return true;
  }

  #readControl(): void {
    this.segmentBytes = 0;
    this.arrivalWallSeconds = Number.NaN;
    const control = this.#control;
    const end = this.#message.getUint32(CONTROL_LENGTH, true);
    for (let at = 0; at + CMSG_HEADER_BYTES <= end;) {
      const length = control.getUint32(at, true);
      if (length < CMSG_HEADER_BYTES) return;
      const level = control.getInt32(at + 8, true);
      const type = control.getInt32(at + 12, true);
      const data = at + CMSG_HEADER_BYTES;
      if (level === this.#options.udp.level && type === this.#options.udp.receiveOffload) {
        this.segmentBytes = control.getInt32(data, true);
      } else if (level === platform.socketLevel && type === this.#options.arrivalTimes) {
        this.arrivalWallSeconds = secondsAt(control, data, this.#baseSecond);
      }
      at += (length + 7) & ~7;
    }
  }
}

/** A struct timespec, in seconds since `baseSecond`; 32 bits of them last until 2106. */
function secondsAt(view: DataView, at: number, baseSecond: number): number {
  return view.getUint32(at, true) - baseSecond + view.getUint32(at + 8, true) / NANOSECONDS_PER_SECOND;
}

/** For this thread; null where the system has no such calls. What was read stays until the next read. */
export function openDatagramReader(): DatagramReader | null {
  const options = platform.directIo;
  const libc = directIoCalls();
  return options === null || libc === null ? null : new DatagramReader(options, libc);
}

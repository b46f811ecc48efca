import { directIoCalls, ptr } from "./libc.ts";
import { type DirectIoNumbers, platform } from "./platform.ts";
import { NOT_NOW, outcomeOf } from "./direct-io.ts";

/** The largest datagram, or group of datagrams that the kernel gathered (udp(7), UDP_GRO). */
const MAX_DATAGRAM_BYTES = 65_536;
/** struct sockaddr_storage. */
const ADDRESS_BYTES = 128;
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

  /** Where the last datagram came from, as text without a port. */
  address(): string {
    const isIpv4 = (this.#address[0] ?? 0) === 2;
    if (isIpv4) return this.#address.subarray(4, 8).join(".");
    const groups = Array.from({ length: 8 }, (_, i) => {
      const at = 8 + 2 * i;
      return (((this.#address[at] ?? 0) << 8) | (this.#address[at + 1] ?? 0)).toString(16);
    });
    // In the usual short spelling.
    return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
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

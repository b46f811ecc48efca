import { constants } from "node:os";
import { directIoCalls, notSupported, ptr, rawSocketCalls, refused } from "./libc.ts";
import { type Outcome, platform } from "./platform.ts";

/*
 * unix(7), in host order:
 *
 *   struct sockaddr_un
 *   0            2
 *   +------------+---------------------------------------------+
 *   | u16 family | path and a zero, or a zero and a name        |
 *   +------------+---------------------------------------------+
 */
const PATH = 2;
/** sizeof(sun_path): a path with its closing zero, an abstract name with its leading one. */
const MOST_PATH_BYTES = 108;
const MICROSECONDS_PER_SECOND = 1_000_000n;
const NANOSECONDS_PER_MICROSECOND = 1000n;

/** Sends datagrams to one unix socket; never waits. */
export interface UnixDatagrams {
  send(text: string): Outcome<null>;
}

/** `address`: a path, or "@" and an abstract name. The socket is this process's until its end. */
export function openUnixDatagrams(address: string): Outcome<UnixDatagrams> {
  const numbers = platform.rawSockets;
  const io = platform.directIo;
  const libc = rawSocketCalls();
  if (numbers === null || io === null || libc === null) return notSupported("a unix socket for datagrams");
  const { calls, errno } = libc;
  const what = `sending to ${address}`;
  const name = encodeUnixAddress(numbers.unixFamily, address);
  if (name === null) return refused(what, constants.errno.ENAMETOOLONG);
  const fd = calls.socket(numbers.unixFamily, numbers.types.udp | numbers.typeFlags, 0);
  if (fd < 0) return refused("a unix socket for datagrams", errno());
  return {
    ok: true,
    value: {
      send(text) {
        const bytes = new Uint8Array(new TextEncoder().encode(text));
        const sent = calls.sendto(fd, ptr(bytes), bytes.length, io.noSignal, ptr(name), name.length);
        return sent < 0 ? refused(what, errno()) : { ok: true, value: null };
      },
    },
  };
}

/** Of CLOCK_MONOTONIC, which all processes of a system share; null where there is none. */
export function monotonicMicroseconds(): bigint | null {
  const io = platform.directIo;
  const libc = directIoCalls();
  if (io === null || libc === null) return null;
  // struct timespec: i64 seconds, i64 nanoseconds.
  const time = new BigInt64Array(new ArrayBuffer(16));
  if (libc.calls.clock_gettime(io.monotonicClock, ptr(time)) !== 0) return null;
  return (time[0] ?? 0n) * MICROSECONDS_PER_SECOND + (time[1] ?? 0n) / NANOSECONDS_PER_MICROSECOND;
}

/** Null = it is too long, or of neither kind. */
function encodeUnixAddress(family: number, address: string): Uint8Array<ArrayBuffer> | null {
  const isAbstract = address.startsWith("@");
  if (!isAbstract && !address.startsWith("/")) return null;
  const path = new TextEncoder().encode(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (path.length > MOST_PATH_BYTES) return null;
  const bytes = new Uint8Array(new ArrayBuffer(PATH + path.length));
  new DataView(bytes.buffer).setUint16(0, family, true);
  bytes.set(path, PATH);
  return bytes;
}

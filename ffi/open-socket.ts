import { constants } from "node:os";
import { errorName, notSupported, ptr, rawSocketCalls, refused } from "./libc.ts";
import { readInteger, setInteger } from "./option-calls.ts";
import { bindToDevice } from "./path-options.ts";
import { type Outcome, platform, type RawSocketNumbers } from "./platform.ts";
import {
  ANY_ADDRESS_BYTES,
  decodeSocketAddress,
  encodeSocketAddress,
  type Endpoint,
  type IpVersion,
  ipVersionOf,
  type Zones,
} from "./socket-address.ts";
import { WRITABLE } from "./wait.ts";

const WHAT = "making a socket past Bun";
/** IF_NAMESIZE of if_nametoindex(3), with the closing zero. */
const INTERFACE_NAME_BYTES = 16;

export interface SocketRequest {
  readonly transport: "tcp" | "udp";
  readonly ipVersion: IpVersion;
  /** Null = any. */
  readonly localAddress: string | null;
  /** 0 = one that the system chooses. */
  readonly localPort: number;
  /** Whether other sockets that ask for it too may have the same port (SO_REUSEPORT). */
  readonly reusePort: boolean;
  /** The interface that all packets leave and come by (SO_BINDTODEVICE); null = as the routes say. */
  readonly device: string | null;
  /** Whether a socket of IPv6 has nothing to do with IPv4; absent = as the system has it. */
  readonly v6Only?: boolean;
}

interface Raw {
  readonly numbers: RawSocketNumbers;
  readonly calls: NonNullable<ReturnType<typeof rawSocketCalls>>["calls"];
  readonly errno: () => number;
  readonly zones: Zones;
}

/**
 * A socket that never waits and that no child process inherits, bound where an address or a port is asked for. It is to
 * be closed by whoever gets it (`closeDescriptor`), unless Bun adopts it. Where anything is refused it is closed already.
 */
export function openSocket(request: SocketRequest): Outcome<number> {
  const raw = openRaw();
  if (raw === null) return notSupported(WHAT);
  const { calls, errno, numbers } = raw;
  const { transport, ipVersion } = request;
  const family = ipVersion === 4 ? numbers.families.ipv4 : numbers.families.ipv6;
  const fd = calls.socket(family, numbers.types[transport] | numbers.typeFlags, 0);
  if (fd < 0) return refused(`a socket of ${transport.toUpperCase()} over IPv${ipVersion}`, errno());
  const prepared = prepare(raw, fd, request);
  if (prepared.ok) return { ok: true, value: fd };
  calls.close(fd);
  return prepared;
}

/**
 * Connects, or begins to: a TCP connection "in-progress" is over with it once `isWritable`, and `connectionError` tells
 * how it went.
 */
export function connectSocket(fd: number, address: string, port: number): Outcome<"connected" | "in-progress"> {
  const raw = openRaw();
  if (raw === null) return notSupported(WHAT);
  const what = `connecting to ${address} port ${port}`;
  // A socket has a name of its own family before it has an address.
  const local = readName(raw.calls.getsockname, fd);
  if (local === null) return refused(what, raw.errno());
  const version = ipVersionOf(raw.numbers.families, local);
  const target =
    version === null ? null : encodeSocketAddress(raw.numbers.families, version, { address, port }, raw.zones);
  if (target === null) return refused(what, constants.errno.EAFNOSUPPORT);
  if (raw.calls.connect(fd, ptr(target), target.length) === 0) return { ok: true, value: "connected" };
  const number = raw.errno();
  return number === constants.errno.EINPROGRESS ? { ok: true, value: "in-progress" } : refused(what, number);
}

/** The error that waits at a socket, such as ECONNREFUSED, and is taken from it by this; null = none (SO_ERROR). */
export function connectionError(fd: number): Outcome<string | null> {
  const raw = openRaw();
  if (raw === null) return notSupported(WHAT);
  const read = readInteger(fd, platform.socketLevel, raw.numbers.error, "reading the error of a socket");
  return read.ok ? { ok: true, value: read.value === 0 ? null : errorName(read.value) } : read;
}

/** Whether a write would not wait for now; also true of a socket in error, and of no socket: the next call tells. */
export function isWritable(fd: number): boolean {
  const raw = openRaw();
  if (raw === null) return false;
  // struct pollfd: i32 fd, i16 events, i16 revents.
  const polled = new Int32Array(new ArrayBuffer(8));
  polled[0] = fd;
  polled[1] = WRITABLE;
  return raw.calls.poll(ptr(polled), 1, 0) !== 0;
}

/** Where a socket is; its port is 0 while it has none. */
export function localEndpoint(fd: number): Outcome<Endpoint> {
  return readEndpoint(fd, "getsockname", "reading the address of a socket");
}

/** Whom a socket is connected to. */
export function remoteEndpoint(fd: number): Outcome<Endpoint> {
  return readEndpoint(fd, "getpeername", "reading the address of a socket's peer");
}

/**
 * close(2): of a connection with neither a shutdown nor a reset, so that it goes on where another descriptor has it. The
 * number may be another's right behind it: once only, and never of what Bun has.
 */
export function closeDescriptor(fd: number): Outcome<null> {
  const raw = openRaw();
  if (raw === null) return notSupported("closing a descriptor");
  // Linux has closed it whatever it says (close(2), "Dealing with error returns").
  return raw.calls.close(fd) === 0 ? { ok: true, value: null } : refused("closing a descriptor", raw.errno());
}

/** The options before the name: they say which names are free. */
function prepare(raw: Raw, fd: number, request: SocketRequest): Outcome<null> {
  const { ipv6, reuseAddress, reusePort } = raw.numbers;
  const { transport, ipVersion, localAddress, localPort, device, v6Only } = request;
  const steps: (() => Outcome<null>)[] = [];
  if (ipVersion === 6 && v6Only !== undefined) {
    steps.push(() => setInteger(fd, ipv6.level, ipv6.only, v6Only ? 1 : 0, "keeping IPv4 apart"));
  }
  // What is left of earlier connections is not to keep a port from its next listener (socket(7)).
  if (transport === "tcp" && localPort !== 0) {
    steps.push(() => setInteger(fd, platform.socketLevel, reuseAddress, 1, `using port ${localPort} again`));
  }
  if (request.reusePort) steps.push(() => setInteger(fd, platform.socketLevel, reusePort, 1, "sharing a port"));
  if (device !== null) steps.push(() => bindToDevice(fd, device));
  if (localAddress !== null || localPort !== 0) steps.push(() => bind(raw, fd, request));
  for (const step of steps) {
    const outcome = step();
    if (!outcome.ok) return outcome;
  }
  return { ok: true, value: null };
}

function bind(raw: Raw, fd: number, { ipVersion, localAddress, localPort }: SocketRequest): Outcome<null> {
  const where = localAddress ?? "any address";
  const what = `binding to ${localPort === 0 ? where : `${where} port ${localPort}`}`;
  const name = { address: localAddress, port: localPort };
  const address = encodeSocketAddress(raw.numbers.families, ipVersion, name, raw.zones);
  if (address === null) return refused(what, constants.errno.EAFNOSUPPORT);
  const status = raw.calls.bind(fd, ptr(address), address.length);
  return status === 0 ? { ok: true, value: null } : refused(what, raw.errno());
}

function readEndpoint(fd: number, call: "getsockname" | "getpeername", what: string): Outcome<Endpoint> {
  const raw = openRaw();
  if (raw === null) return notSupported(what);
  const name = readName(raw.calls[call], fd);
  if (name === null) return refused(what, raw.errno());
  const endpoint = decodeSocketAddress(raw.numbers.families, name, raw.zones);
  return endpoint === null ? refused(what, constants.errno.EAFNOSUPPORT) : { ok: true, value: endpoint };
}

/** The bytes of a name; null = refused. */
function readName(call: Raw["calls"]["getsockname"], fd: number): Uint8Array | null {
  const bytes = new Uint8Array(new ArrayBuffer(ANY_ADDRESS_BYTES));
  const length = new Uint32Array([bytes.length]);
  return call(fd, ptr(bytes), ptr(length)) === 0 ? bytes.subarray(0, length[0] ?? 0) : null;
}

function openRaw(): Raw | null {
  const numbers = platform.rawSockets;
  const libc = rawSocketCalls();
  if (numbers === null || libc === null) return null;
  const { calls, errno } = libc;
  return {
    numbers,
    calls,
    errno,
    zones: {
      indexOf: (name) => {
        const text = new TextEncoder().encode(`${name}\0`);
        const index = text.length > INTERFACE_NAME_BYTES ? 0 : calls.if_nametoindex(ptr(text));
        return index === 0 ? null : index;
      },
      nameOf: (index) => {
        const text = new Uint8Array(new ArrayBuffer(INTERFACE_NAME_BYTES));
        if (calls.if_indextoname(index, ptr(text)) === null) return null;
        return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
      },
    },
  };
}

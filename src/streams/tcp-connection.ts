import { closeDescriptor, connectionError, connectSocket, isWritable, openSocket } from "../../ffi/open-socket.ts";
import { DeadlineError, withDeadline } from "../clock.ts";
import { CONNECT_TIMEOUT_SECONDS } from "../config/limits.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { ipVersionOf } from "../protocol/address.ts";
import { connectDescriptor } from "./connect-descriptor.ts";
import { applyPathBeforeConnect, hasOwnName } from "./path.ts";
import type { PathSpec } from "./spec.ts";

/** How often a connection in progress is looked at. */
const CONNECT_POLL_MS = 2;

/** Whoever a data connection belongs to for now. */
export interface ConnectionOwner {
  data(socket: DataSocket, chunk: Uint8Array): void;
  writable(): void;
  /** The peer sends no more; it may still read. */
  ended(socket: DataSocket): void;
  /** It is closed (null), or it broke; may be called again. */
  over(socket: DataSocket, failure: string | null): void;
}

/** Of a connection that waits for its owner. */
export const NOBODY: ConnectionOwner = { data: () => {}, writable: () => {}, ended: () => {}, over: () => {} };

/** Carries its owner, which may change. */
export type DataSocket = Bun.Socket<ConnectionOwner>;

/** The events of Bun's sockets, handed to the owner that each socket carries. */
export const connectionHandlers = {
  data: (socket: DataSocket, chunk: Uint8Array) => socket.data.data(socket, chunk),
  drain: (socket: DataSocket) => socket.data.writable(),
  end: (socket: DataSocket) => socket.data.ended(socket),
  // Bun tells of a reset here, and not in `error`.
  close: (socket: DataSocket, error?: Error) => socket.data.over(socket, error === undefined ? null : messageOf(error)),
  error: (socket: DataSocket, error: Error) => socket.data.over(socket, messageOf(error)),
};

/** A data connection to `address`; throws `connect-timeout`, `stream-failed`, `bind-failed` or `option-refused`. */
export async function connectData(
  { address, port }: { readonly address: string; readonly port: number },
  path: PathSpec,
  owner: ConnectionOwner,
): Promise<DataSocket> {
  const where = `${address} port ${port}`;
  const connecting = hasOwnName(path)
    ? openConnection(address, port, path).then((fd) => adoptConnection(fd, owner))
    : Bun.connect<ConnectionOwner>({
        hostname: address,
        port,
        data: owner,
        allowHalfOpen: true,
        socket: connectionHandlers,
      });
  return connected(connecting, where);
}

/** Goes on with a connection that another thread, or this one past Bun, has made. */
export function adoptConnection(descriptor: number, owner: ConnectionOwner): Promise<DataSocket> {
  return connectDescriptor<ConnectionOwner>({
    fd: descriptor,
    data: owner,
    allowHalfOpen: true,
    socket: connectionHandlers,
  });
}

/**
 * The descriptor of a connection from a socket of our own, for what Bun's cannot be told before it connects; to be adopted.
 * Rejects with DeadlineError, `bind-failed`, `option-refused`, or with the system's code.
 */
export async function openConnection(address: string, port: number, path: PathSpec): Promise<number> {
  const { localAddress, localPort, device } = path;
  const ipVersion = ipVersionOf(address);
  const opened = openSocket({ transport: "tcp", ipVersion, localAddress, localPort, device, reusePort: false });
  if (!opened.ok) throw new RperfError("bind-failed", opened.message);
  const fd = opened.value;
  try {
    applyPathBeforeConnect(fd, path);
    await completeConnection(fd, address, port);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

async function completeConnection(fd: number, address: string, port: number): Promise<void> {
  const begun = connectSocket(fd, address, port);
  if (!begun.ok) throw Object.assign(new Error(begun.message), { code: begun.code });
  const givenUpAtMs = performance.now() + CONNECT_TIMEOUT_SECONDS * 1000;
  while (begun.value === "in-progress" && !isWritable(fd)) {
    if (performance.now() > givenUpAtMs) throw new DeadlineError();
    await Bun.sleep(CONNECT_POLL_MS);
  }
  const failure = connectionError(fd);
  if (failure.ok && failure.value !== null) throw Object.assign(new Error(failure.value), { code: failure.value });
}

/** The socket; one that opens only after the deadline is closed. */
async function connected(connecting: Promise<DataSocket>, where: string): Promise<DataSocket> {
  try {
    return await withDeadline(connecting, CONNECT_TIMEOUT_SECONDS * 1000);
  } catch (cause) {
    connecting.then((socket) => socket.terminate()).catch(() => {});
    if (cause instanceof RperfError) throw cause;
    if (cause instanceof DeadlineError) {
      const message = `the other side at ${where} did not answer within ${CONNECT_TIMEOUT_SECONDS} s`;
      throw new RperfError("connect-timeout", message, { cause });
    }
    const why = systemCodeOf(cause) ?? messageOf(cause);
    throw new RperfError("stream-failed", `no data connection to ${where}: ${why}`, { cause });
  }
}

// Sockets whose descriptors the tests of ffi/ use, past Bun.
import { descriptorOf } from "../../../ffi/descriptor.ts";
import { type Outcome, platform } from "../../../ffi/platform.ts";
import { testsUnless } from "../../support/conditional.ts";

/** Tests of calls past Bun's sockets. */
export const direct = testsUnless(
  platform.directIo === null ? `sockets are not used past Bun on ${platform.name}` : null,
);

/** A descriptor that no process has: the system allows fewer. */
export const NO_DESCRIPTOR = 2 ** 30;

export interface Connection {
  /** What is written here … */
  readonly near: Bun.Socket;
  readonly nearFd: number;
  /** … arrives here, and Bun does not read it. */
  readonly far: Bun.Socket;
  readonly farFd: number;
  close(): void;
}

export function fdOf(socket: object): number {
  return descriptorOf(socket) ?? NaN;
}

export async function connectTcp(): Promise<Connection> {
  const accepted = Promise.withResolvers<Bun.Socket>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        socket.pause();
        accepted.resolve(socket);
      },
      data: () => {},
    },
  });
  const near = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data: () => {} } });
  const far = await accepted.promise;
  listener.stop(false);
  return {
    near,
    nearFd: fdOf(near),
    far,
    farFd: fdOf(far),
    close: () => {
      near.terminate();
      far.terminate();
    },
  };
}

export type ConnectedDatagrams = Bun.udp.ConnectedSocket<"buffer">;

/** Sends to a port of this machine. */
export async function connectUdp(port: number, hostname = "127.0.0.1"): Promise<ConnectedDatagrams> {
  return Bun.udpSocket({
    hostname: hostname.includes(":") ? "::" : "0.0.0.0",
    connect: { hostname, port },
    socket: { error: () => {} },
  });
}

/** Asks again and again, and gives Bun no turn meanwhile: it closes the sockets that it finds broken. */
export function untilReached<Value>(ask: () => Value, isReached: (value: Value) => boolean): Value {
  const givenUpAtMs = performance.now() + 5_000;
  for (;;) {
    const value = ask();
    if (isReached(value)) return value;
    if (performance.now() > givenUpAtMs) throw new Error(`at the end it was ${JSON.stringify(value)}`);
  }
}

/** The value; throws what was refused. */
export function granted<Value>(outcome: Outcome<Value>): Value {
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.value;
}

/** Bun goes on with an open socket, and closes it. */
export async function adopt(fd: number, handlers: Bun.SocketHandler): Promise<Bun.Socket> {
  // Bun takes a descriptor here (FdSocketOptions), its types only leave it out of this call.
  const options: Bun.FdSocketOptions & { readonly hostname: string; readonly port: number } = {
    fd,
    hostname: "",
    port: 0,
    socket: handlers,
  };
  return Bun.connect(options);
}

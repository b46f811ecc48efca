// A server by hand: speaks the protocol as far as a test lets it.
import { createServer, type Server, type Socket } from "node:net";

import { within } from "./eventually.ts";
import { frameOf, type RawMessage, unframe } from "./raw-client.ts";

/** A test's part of one control connection: what came last, and the ways to answer. */
export interface FakeSession {
  readonly socket: Socket;
  /** Where the client may send its TCP data: read and thrown away. */
  readonly dataPort: number;
  readonly send: (message: object) => void;
}

export interface FakeServer {
  readonly port: number;
  /** Every message that came, of all connections. */
  readonly messages: readonly RawMessage[];
  stop(): void;
}

async function listen(server: Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await within("a listener", promise);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listener without a port");
  return address.port;
}

/** Starts on a free port of 127.0.0.1; `onMessage` answers each message, and `onConnect` each connection. */
export async function startFakeServer(
  onMessage: (message: RawMessage, session: FakeSession) => void,
  onConnect: (session: FakeSession) => void = () => {},
): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const messages: RawMessage[] = [];
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const data = createServer((socket) => {
    keep(socket);
    socket.resume();
  });
  const dataPort = await listen(data);
  const control = createServer((socket) => {
    keep(socket);
    const session: FakeSession = {
      socket,
      dataPort,
      send: (message) => void socket.write(frameOf(JSON.stringify(message))),
    };
    onConnect(session);
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      const unframed = unframe(Buffer.concat([rest, chunk]));
      rest = unframed.rest;
      for (const message of unframed.messages) {
        messages.push(message);
        onMessage(message, session);
      }
    });
  });
  const port = await listen(control);
  return {
    port,
    messages,
    stop() {
      control.close();
      data.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** As a well-behaved server answers a configuration. */
export function answerConfiguration(message: RawMessage, { send, dataPort }: FakeSession): void {
  const streams = Number(message["streams"]);
  if (message["role"] === "upload") send({ kind: "connect-ready" });
  else send({ kind: "connect", stream_ports: Array.from({ length: streams }, () => dataPort) });
}

// Clients by hand with a test under way, of every way in which data find their streams.
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";

import { within } from "./eventually.ts";
import {
  connectTcp,
  downloadConfiguration,
  frameOf,
  type RawClient,
  tcpBuffer,
  udpPacket,
  unframe,
  uploadConfiguration,
} from "./raw-client.ts";

const HOST = "127.0.0.1";

export interface Mode {
  readonly family: "tcp" | "udp";
  readonly direction: "forward" | "reverse";
  /** How data find their streams; all but the first are resumable, and UDP then counts exactly. */
  readonly way: "0.1.8" | "extension" | "single port";
}

export const MODES: readonly Mode[] = (["0.1.8", "extension", "single port"] as const).flatMap((way) =>
  (["tcp", "udp"] as const).flatMap((family) =>
    (["forward", "reverse"] as const).map((direction) => ({ family, direction, way })),
  ),
);

export interface Running {
  readonly client: RawClient;
  /** Of the server's results. */
  readonly resultKind: "send" | "receive";
  /** Of a sender: all is sent, and the server knows it. */
  readonly finish: () => void;
  /** Nothing is sent any more, and nobody is told. */
  readonly stall: () => void;
  /** Its own sockets. */
  close(): void;
}

type DataPath = Pick<Running, "finish" | "stall" | "close">;

/** Where a test's data go at the server, if anywhere, and where they come from at the client; its id. */
export interface DataPorts {
  readonly testId: readonly number[];
  readonly server: number | null;
  readonly client: number | null;
}

interface RunOptions {
  /** How long the test is to take. */
  readonly seconds: number;
  /** Called when the server has answered, before the client comes to the data ports. */
  readonly onPorts?: (ports: DataPorts) => Promise<void>;
}

/** Brings a client on a fresh connection to where data flow. */
export async function runByHand(
  client: RawClient,
  serverPort: number,
  mode: Mode,
  { seconds, onPorts = async () => {} }: RunOptions,
): Promise<Running> {
  const extensions =
    mode.way === "0.1.8"
      ? {}
      : {
          extensions: {
            version: 2,
            duration: seconds,
            bandwidth: 100_000,
            accounting: true,
            resume: { timeout: 3 },
            dial: "client",
            single_port: mode.way === "single port",
          },
        };
  const path =
    mode.direction === "forward"
      ? await runForward(client, serverPort, mode, { extensions, onPorts })
      : await runReverse(client, serverPort, mode, { seconds, extensions, onPorts });
  return { client, resultKind: mode.direction === "forward" ? "receive" : "send", ...path };
}

interface Details extends Required<RunOptions> {
  /** Of the configuration: none, or those of ours. */
  readonly extensions: object;
}

async function runForward(
  client: RawClient,
  serverPort: number,
  mode: Mode,
  { extensions, onPorts }: Pick<Details, "extensions" | "onPorts">,
): Promise<DataPath> {
  const configuration = downloadConfiguration({ family: mode.family, ...extensions });
  const [port = 0] = await client.configure(configuration);
  const { test_id: testId } = configuration;
  await onPorts({ testId, server: port, client: null });
  if (mode.family === "tcp") {
    const data = mode.way === "single port" ? await openHanded(serverPort, testId) : null;
    client.send({ kind: "begin" });
    const socket = data ?? (await connectTcp(port));
    const timer = setInterval(() => socket.write(tcpBuffer(testId)), 20);
    const stall = () => clearInterval(timer);
    return {
      stall,
      finish() {
        stall();
        socket.end();
      },
      close() {
        stall();
        socket.destroy();
      },
    };
  }
  const socket = await openUdp();
  if (mode.way === "single port") await sayHello(socket, serverPort, testId);
  client.send({ kind: "begin" });
  let sent = 0;
  const timer = setInterval(() => socket.send(udpPacket(testId, sent++), port, HOST), 20);
  return {
    stall: () => clearInterval(timer),
    finish() {
      clearInterval(timer);
      if (mode.way === "0.1.8") socket.send(Buffer.from(testId), port, HOST);
      else client.send({ kind: "sent", stream_idx: 0, packets: sent, omitted_packets: 0 });
    },
    close() {
      clearInterval(timer);
      socket.close();
    },
  };
}

async function runReverse(
  client: RawClient,
  serverPort: number,
  { family, way }: Mode,
  { seconds, extensions, onPorts }: Details,
): Promise<DataPath> {
  const udp = family === "udp" ? await openUdp() : null;
  const listener = family === "tcp" && way === "0.1.8" ? await listenTcp() : null;
  const own = udp?.address().port ?? listener?.port ?? null;
  const changes = { family, duration: seconds, ...(own === null ? {} : { stream_ports: [own] }), ...extensions };
  const configuration = uploadConfiguration(changes);
  const { test_id: testId } = configuration;
  client.send(configuration);
  const answer = (await client.nextOf("connect-ready")) as { extensions?: { stream_ports: number[] } };
  const [port = 0] = answer.extensions?.stream_ports ?? [];
  await onPorts({ testId, server: way === "0.1.8" ? null : port, client: own });
  const sockets: Socket[] = [];
  if (udp !== null && way !== "0.1.8") await sayHello(udp, port, testId);
  if (family === "tcp" && way === "single port") sockets.push(await openHanded(serverPort, testId));
  if (family === "tcp" && way === "extension") {
    const dialled = await connectTcp(port);
    dialled.write(Buffer.from(testId));
    dialled.resume();
    sockets.push(dialled);
  }
  client.send({ kind: "begin" });
  return {
    finish() {},
    stall() {},
    close() {
      udp?.close();
      listener?.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function openUdp(): Promise<Datagrams> {
  const socket = createSocket("udp4");
  // The server's port may be gone.
  socket.on("error", () => {});
  await new Promise<void>((resolve) => void socket.bind(0, HOST, () => resolve()));
  return socket;
}

async function listenTcp(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
  });
  await new Promise<void>((resolve) => void server.listen(0, HOST, () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listener without a port");
  return {
    port: address.port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** As src/protocol/udp-hello.ts draws it. */
export function helloPacket(testId: readonly number[], streamIndex = 0): Buffer {
  return Buffer.from([...testId, 0x52, 0x48, 1, 0, streamIndex >> 8, streamIndex & 0xff, 0, 0]);
}

/** Until it is answered. */
async function sayHello(socket: Datagrams, port: number, testId: readonly number[]): Promise<void> {
  const hello = helloPacket(testId);
  const answered = new Promise<void>((resolve) => void socket.once("message", () => resolve()));
  const timer = setInterval(() => socket.send(hello, port, HOST), 20);
  await within("an answer to a hello", answered).finally(() => clearInterval(timer));
}

/** A connection to the control port that becomes a stream's. */
async function openHanded(port: number, testId: readonly number[]): Promise<Socket> {
  const socket = connect({ port, host: HOST });
  socket.on("error", () => {});
  const ready = new Promise<void>((resolve, reject) => {
    socket.once("data", (chunk: Buffer) => {
      const [message] = unframe(chunk).messages;
      if (message?.["kind"] === "data-ready") resolve();
      else reject(new Error(`the server answered ${JSON.stringify(message)}`));
    });
  });
  socket.write(frameOf(JSON.stringify({ kind: "data", test_id: testId, stream_idx: 0 })));
  await within("data-ready", ready);
  return socket;
}

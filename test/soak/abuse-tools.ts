// The servers that abuse.ts is about: how each is started and asked for a good test, and what an attacker says to it.
import { connect, type Socket } from "node:net";

import { within } from "../support/eventually.ts";
import { rperf, run } from "../support/process.ts";
import { downloadConfiguration, RawClient, uploadConfiguration } from "../support/raw-client.ts";

export interface Peer {
  readonly name: string;
  /** With room for so many clients, where the program has such a limit; 0 = for any number. */
  readonly serverCommand: (port: number, clientLimit: number) => readonly string[];
  /** One second of TCP to it; null unless it completed with data. */
  readonly clientCommand: (host: string, port: number) => readonly string[];
  readonly didComplete: (stdout: string) => boolean;
  /** A client that gets UDP for ten minutes, at 8 Mb/s. */
  readonly reverseUdpCommand: (host: string, port: number) => readonly string[];
  /** Sizes that no machine has, each over a connection of its own. */
  readonly hugeSizes: readonly ((port: number) => Promise<void>)[];
  /** One message whose field is of the wrong type. */
  readonly wrongType: (port: number) => Promise<void>;
  /**
   * Has the server send UDP in reverse, and somebody at THIRD_PARTY say one datagram to it first: how many bytes come there
   * within the time given.
   */
  readonly thirdParty: (port: number, forMs: number) => Promise<number>;
}

export const HOST = "127.0.0.1";
const THIRD_PARTY = "127.0.0.2";
const TEST_MS = 20_000;
const SHORT_DATAGRAM = Buffer.from("39383736", "hex");

/** Whether a good test passes. */
export async function serves(peer: Peer, port: number, host = HOST): Promise<boolean> {
  const done = await run(peer.clientCommand(host, port), { timeoutMs: TEST_MS }).catch(() => null);
  return done !== null && done.code === 0 && peer.didComplete(done.stdout);
}

/** A socket that only counts what comes to the third party. */
async function listenAsThirdParty(): Promise<{
  readonly bytes: () => number;
  say(port: number, datagram: Uint8Array): void;
  close(): void;
}> {
  let bytes = 0;
  const socket = await Bun.udpSocket({
    hostname: THIRD_PARTY,
    socket: { data: (_socket, datagram) => void (bytes += datagram.length), error: () => {} },
  });
  return {
    bytes: () => bytes,
    say: (port, datagram) => void socket.send(datagram, port, HOST),
    close: () => socket.close(),
  };
}

async function sayAndLeave(port: number, ...messages: readonly object[]): Promise<void> {
  const client = await RawClient.connect(port, HOST);
  for (const message of messages) {
    client.send(message);
    await Bun.sleep(300);
  }
  client.reset();
}

interface RperfDocument {
  readonly success: boolean;
  readonly summary: { readonly bytes_received: number };
}

/** What is common to the two that speak one protocol. */
function rperfPeer(name: string, command: readonly string[]): Omit<Peer, "thirdParty"> {
  return {
    name,
    serverCommand: (port, clientLimit) => [...command, "-s", "-p", `${port}`, "--client-limit", `${clientLimit}`],
    clientCommand: (host, port) => [...command, "-c", host, "-p", `${port}`, "-t", "1", "-f", "json"],
    didComplete: (stdout) => {
      try {
        const { success, summary } = JSON.parse(stdout) as RperfDocument;
        return success && summary.bytes_received > 0;
      } catch {
        return false;
      }
    },
    reverseUdpCommand: (host, port) => [
      ...command,
      "-c",
      host,
      "-p",
      `${port}`,
      "-u",
      "-R",
      "-t",
      "600",
      "-b",
      "1000000",
    ],
    hugeSizes: [
      (port) => sayAndLeave(port, downloadConfiguration({ streams: 2 ** 40 }), { kind: "begin" }),
      (port) => sayAndLeave(port, uploadConfiguration({ length: 2 ** 45, stream_ports: [9] }), { kind: "begin" }),
    ],
    wrongType: (port) => sayAndLeave(port, downloadConfiguration({ receive_buffer: "x" })),
  };
}

const UDP_UPLOAD = { family: "udp", bandwidth: 1_000_000, duration: 600 };

/** Its data ports hear a short datagram, and even a good hello, of another address. */
async function ourThirdParty(port: number, forMs: number): Promise<number> {
  const third = await listenAsThirdParty();
  const client = await RawClient.connect(port, HOST);
  const configuration = uploadConfiguration({ ...UDP_UPLOAD, extensions: { version: 1, dial: "client" } });
  client.send(configuration);
  const answer = (await client.nextOf("connect-ready")) as {
    readonly extensions: { readonly stream_ports: readonly number[] };
  };
  const [dataPort = 0] = answer.extensions.stream_ports;
  const hello = Uint8Array.from([...configuration.test_id, 0x52, 0x48, 1, 0, 0, 0, 0, 0]);
  for (const datagram of [SHORT_DATAGRAM, hello]) third.say(dataPort, datagram);
  client.send({ kind: "begin" });
  await Bun.sleep(forMs);
  client.reset();
  third.close();
  return third.bytes();
}

/** It has no data port in reverse: it sends to the control connection's address. */
async function originalThirdParty(port: number, forMs: number): Promise<number> {
  const third = await listenAsThirdParty();
  const sink = await Bun.udpSocket({ hostname: HOST, socket: { data: () => {}, error: () => {} } });
  const client = await RawClient.connect(port, HOST);
  await client.configure(uploadConfiguration({ ...UDP_UPLOAD, stream_ports: [sink.port] }));
  third.say(port, SHORT_DATAGRAM);
  client.send({ kind: "begin" });
  await Bun.sleep(forMs);
  client.reset();
  third.close();
  sink.close();
  return third.bytes();
}

export const OURS: Peer = {
  ...rperfPeer("this rperf", rperf()),
  thirdParty: ourThirdParty,
};

export function original(path: string): Peer {
  return { ...rperfPeer("the original 0.1.8", [path]), thirdParty: originalThirdParty };
}

/** States of iperf3's control connection, as its documentation of the protocol names them. */
const CREATE_STREAMS = 10;
const PARAM_EXCHANGE = 9;

/** A control connection up to where the parameters are told. */
async function tellIperf3(port: number, parameters: unknown): Promise<Socket> {
  const socket = connect({ host: HOST, port });
  socket.on("error", () => {});
  await within("a connection", new Promise<void>((resolve) => socket.once("connect", () => resolve())), 5_000);
  // 36 characters and a zero byte tie the connections of a test together.
  socket.write(`${crypto.randomUUID()}\0`);
  await state(socket, PARAM_EXCHANGE);
  const body = Buffer.from(JSON.stringify(parameters));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  socket.write(Buffer.concat([length, body]));
  return socket;
}

/** Resolves when the server's state is this one; or after 2 s, whatever it is. */
async function state(socket: Socket, wanted: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (chunk: Buffer) => {
    if (chunk.includes(wanted)) resolve();
  };
  socket.on("data", look);
  await Promise.race([promise, Bun.sleep(2_000)]);
  socket.off("data", look);
}

const IPERF3_PARAMETERS = {
  omit: 0,
  time: 600,
  num: 0,
  blockcount: 0,
  parallel: 1,
  bandwidth: 8_000_000,
  pacing_timer: 1_000,
  client_version: "3.21",
};

async function tellAndLeave(port: number, changes: object): Promise<void> {
  const socket = await tellIperf3(port, { ...IPERF3_PARAMETERS, tcp: true, len: 131_072, ...changes });
  await Bun.sleep(500);
  socket.resetAndDestroy();
}

async function iperf3ThirdParty(port: number, forMs: number): Promise<number> {
  const third = await listenAsThirdParty();
  const parameters = { ...IPERF3_PARAMETERS, udp: true, reverse: true, len: 1_448 };
  const socket = await tellIperf3(port, parameters);
  await state(socket, CREATE_STREAMS);
  third.say(port, SHORT_DATAGRAM);
  await Bun.sleep(forMs);
  socket.resetAndDestroy();
  third.close();
  return third.bytes();
}

export function iperf3(path: string): Peer {
  return {
    name: "iperf3 3.21",
    serverCommand: (port) => [path, "-s", "-p", `${port}`],
    clientCommand: (host, port) => [path, "-c", host, "-p", `${port}`, "-t", "1", "-b", "8M", "-J"],
    didComplete: (stdout) => {
      try {
        const { end } = JSON.parse(stdout) as { readonly end: { readonly sum_received?: { readonly bytes: number } } };
        return (end.sum_received?.bytes ?? 0) > 0;
      } catch {
        return false;
      }
    },
    reverseUdpCommand: (host, port) => [path, "-c", host, "-p", `${port}`, "-u", "-R", "-t", "600", "-b", "8M"],
    hugeSizes: [
      (port) => tellAndLeave(port, { parallel: 2 ** 40 }),
      (port) => tellAndLeave(port, { reverse: true, len: 2 ** 45 }),
    ],
    wrongType: (port) => tellAndLeave(port, { parallel: "x" }),
    thirdParty: iperf3ThirdParty,
  };
}

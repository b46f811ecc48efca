// The control protocol by hand, for messages that no well-behaved client sends. Deliberately not made of src/.
import { connect, type Socket } from "node:net";

import { within } from "./eventually.ts";

/** One message as it comes over the wire. */
export type RawMessage = Readonly<Record<string, unknown>>;

/** One frame: the length in two bytes, big-endian, then the body. */
export function frameOf(body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The messages that are complete at the front of `bytes`, and what is left behind them. */
export function unframe(bytes: Buffer): { readonly messages: RawMessage[]; readonly rest: Buffer } {
  const messages: RawMessage[] = [];
  let rest = bytes;
  while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
    const end = 2 + rest.readUInt16BE(0);
    messages.push(JSON.parse(rest.subarray(2, end).toString("utf8")) as RawMessage);
    rest = rest.subarray(end);
  }
  return { messages, rest };
}

export function newTestId(): number[] {
  return [...crypto.getRandomValues(new Uint8Array(16))];
}

/** A configuration under which the server receives; a good one until `changes` spoil it. */
export function downloadConfiguration(changes: RawMessage = {}) {
  return {
    kind: "configuration",
    family: "tcp",
    role: "download",
    test_id: newTestId(),
    streams: 1,
    length: 1024,
    receive_buffer: 0,
    ...changes,
  };
}

/** A configuration under which the server sends; a good one until `changes` spoil it. */
export function uploadConfiguration(changes: RawMessage = {}) {
  return {
    kind: "configuration",
    family: "tcp",
    role: "upload",
    test_id: newTestId(),
    streams: 1,
    length: 1024,
    bandwidth: 100_000,
    duration: 1,
    send_interval: 0.05,
    send_buffer: 0,
    no_delay: false,
    // Of the registered ones, which the system gives nobody.
    stream_ports: [4009],
    ...changes,
  };
}

/** A control connection made by hand. */
export class RawClient {
  readonly #socket: Socket;
  readonly #messages: RawMessage[] = [];
  readonly #closed: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #taken = 0;
  #onChange: () => void = () => {};
  #isClosed = false;
  /** "address:port" of this end, as the server's events name it. */
  readonly name: string;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.name = `${socket.localAddress}:${socket.localPort}`;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      const { messages, rest } = unframe(Buffer.concat([this.#rest, chunk]));
      this.#messages.push(...messages);
      this.#rest = rest;
      this.#onChange();
    });
    socket.on("error", () => {});
    this.#closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#isClosed = true;
        this.#onChange();
        resolve();
      });
    });
  }

  /** `localAddress`: where it comes from, as 127.0.0.2. */
  static async connect(port: number, host = "127.0.0.1", localAddress?: string): Promise<RawClient> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) });
    socket.once("connect", resolve);
    socket.once("error", reject);
    await within(`a connection to ${host} port ${port}`, promise);
    return new RawClient(socket);
  }

  /** Everything that has come so far. */
  get messages(): readonly RawMessage[] {
    return this.#messages;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** All in one write. */
  send(...messages: readonly object[]): void {
    this.sendBytes(Buffer.concat(messages.map((message) => frameOf(JSON.stringify(message)))));
  }

  /** Writes bytes as they are. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Sends a configuration and gives the answer's ports: none for an upload. */
  async configure(configuration: object): Promise<readonly number[]> {
    this.send(configuration);
    const answer = await this.next();
    if (answer["kind"] !== "connect" && answer["kind"] !== "connect-ready") {
      throw new Error(`the server answered ${JSON.stringify(answer)}`);
    }
    const ports = answer["stream_ports"] ?? [];
    if (!Array.isArray(ports)) throw new Error(`stream_ports is ${JSON.stringify(ports)}`);
    return ports.map(Number);
  }

  /** The next message that has not been taken yet. */
  async next(timeoutMs = 8_000): Promise<RawMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<RawMessage>();
    const check = () => {
      const message = this.#messages[this.#taken];
      if (message !== undefined) {
        this.#taken += 1;
        this.#onChange = () => {};
        resolve(message);
      } else if (this.#isClosed) reject(new Error("the server closed without another message"));
    };
    this.#onChange = check;
    check();
    return within("a message of the server", promise, timeoutMs);
  }

  /** The next message of this kind; others before it are dropped. */
  async nextOf(kind: string, timeoutMs = 8_000): Promise<RawMessage> {
    for (;;) {
      const message = await this.next(timeoutMs);
      if (message["kind"] === kind) return message;
    }
  }

  /** Resolves when the connection is over. */
  async closed(timeoutMs = 8_000): Promise<void> {
    await within("the server's close", this.#closed, timeoutMs);
  }

  /** Closes in good order (FIN). */
  end(): void {
    this.#socket.end();
  }

  /** Stops reading: what the server sends from now on stays in the buffers. */
  pause(): void {
    this.#socket.pause();
  }

  /** Closes by a reset (RST). */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

/** What a sender writes first and over and over: the test id, then byte i = i mod 256. */
export function tcpBuffer(testId: readonly number[], length = 1024): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => testId[index] ?? index % 256));
}

/** A data packet as a sender makes it. */
export function udpPacket(testId: readonly number[], packetId: number, length = 1024): Buffer {
  const packet = Buffer.from(Array.from({ length }, (_, index) => testId[index] ?? index % 256));
  const nowMs = Date.now();
  packet.writeBigUInt64BE(BigInt(packetId), 16);
  packet.writeBigUInt64BE(BigInt(Math.floor(nowMs / 1000)), 24);
  packet.writeUInt32BE((nowMs % 1000) * 1_000_000, 32);
  return packet;
}

/** A plain TCP connection, for data streams by hand. */
export async function connectTcp(port: number, host = "127.0.0.1", localAddress?: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) });
  socket.once("connect", resolve);
  socket.on("error", reject);
  await within(`a connection to ${host} port ${port}`, promise);
  return socket;
}

/** A UDP socket for data packets by hand. */
export interface Datagrams {
  /** Whether the system took it: a port that nobody listens on (yet, or any more) is no error. */
  send(datagram: Uint8Array, port: number, host?: string): boolean;
  close(): void;
}

export async function openDatagrams(): Promise<Datagrams> {
  const socket = await Bun.udpSocket({ socket: { error: () => {} } });
  return {
    send(datagram, port, host = "127.0.0.1") {
      try {
        return socket.send(datagram, port, host);
      } catch {
        return false;
      }
    },
    close: () => socket.close(),
  };
}

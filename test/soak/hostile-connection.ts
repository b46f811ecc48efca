// A connection to a server by hand, for whoever means no good: it looks at what it is told, and keeps little of it.
import { createConnection, type Socket } from "node:net";

import { frameOf, type RawMessage, unframe } from "../support/raw-client.ts";

const MOST_ANSWER_BYTES = 1 << 20;

/** Where the server is, and where the connection comes from; null = the system's choice. */
export interface Origin {
  readonly host: string;
  readonly port: number;
  readonly localAddress?: string | null;
}

export class Session {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #takenBytes = 0;
  readonly #messages: RawMessage[] = [];
  #wake: () => void = () => {};
  isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#takenBytes += chunk.length;
      if (this.#takenBytes > MOST_ANSWER_BYTES) return;
      try {
        const { messages, rest } = unframe(Buffer.concat([this.#rest, chunk]));
        this.#messages.push(...messages);
        this.#rest = rest;
      } catch {
        // TLS and the like are answered in frames too, or not at all.
      }
      this.#wake();
    });
    socket.on("error", () => {});
    socket.once("close", () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  get wasRefused(): boolean {
    return this.#messages.some(({ kind }) => kind === "error");
  }

  send(message: object): void {
    this.write(frameOf(JSON.stringify(message)));
  }

  write(bytes: Uint8Array | string): boolean {
    return this.isClosed || !this.#socket.writable ? false : this.#socket.write(bytes);
  }

  /** A message of this kind, or null when the session ends or the time is over before one comes. */
  async answer(kind: string, timeoutMs = 2_000): Promise<RawMessage | null> {
    const untilMs = performance.now() + timeoutMs;
    for (;;) {
      const found = this.#messages.find((message) => message["kind"] === kind);
      const leftMs = untilMs - performance.now();
      if (found !== undefined || this.isClosed || leftMs <= 0) return found ?? null;
      await this.#change(leftMs);
    }
  }

  /** Until the other side closes, but no longer than this. */
  async closed(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    while (!this.isClosed && performance.now() < untilMs) await this.#change(untilMs - performance.now());
  }

  pause(): void {
    this.#socket.pause();
  }

  end(): void {
    this.#socket.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  async #change(mostMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, Math.max(1, mostMs));
    await promise;
    clearTimeout(timer);
    this.#wake = () => {};
  }
}

/** Null where there is no connection to be had. */
export async function open({ host, port, localAddress = null }: Origin): Promise<Session | null> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ host, port, ...(localAddress === null ? {} : { localAddress }) });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  socket.setTimeout(5_000, () => resolve(false));
  const isOpen = await promise;
  socket.setTimeout(0);
  if (isOpen) return new Session(socket);
  socket.destroy();
  return null;
}

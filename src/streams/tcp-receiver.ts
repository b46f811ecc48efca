import { descriptorOf } from "../../ffi/descriptor.ts";
import { type DirectIo, NOT_NOW, refusalName } from "../../ffi/direct-io.ts";
import type { Clock } from "../clock.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import type { Cut } from "../stats/interval-cutter.ts";
import { type ConnectionSource, connectionSourceOf } from "./connection-source.ts";
import type { ReceiveEvents, ReceiveTransport } from "./receiver.ts";
import { NO_TOTALS } from "../results/types.ts";
import { grantReceiveBuffer, tellReceiveBuffer } from "./socket-facts.ts";
import type { Emit, Handed, ReceiverSpec, StreamReport } from "./spec.ts";
import type { DataSocket } from "./tcp-connection.ts";
import { ListenSource } from "./tcp-listen-source.ts";

/** Reads the one connection that belongs to the stream. */
export class TcpReceiveTransport implements ReceiveTransport {
  readonly #spec: ReceiverSpec;
  readonly #clock: Clock;
  readonly #io: DirectIo | null;
  readonly #emit: Emit;
  readonly #source: ConnectionSource;
  #socket: DataSocket | null = null;
  #bytesReceived = 0;
  #events: ReceiveEvents | null = null;

  constructor(spec: ReceiverSpec, clock: Clock, io: DirectIo | null, emit: Emit) {
    this.#spec = spec;
    this.#clock = clock;
    this.#io = io;
    this.#emit = emit;
    this.#source = connectionSourceOf(spec);
  }

  async open(events: ReceiveEvents): Promise<number | null> {
    this.#events = events;
    const port = await this.#source.open({
      onConnection: (socket, countedBytes) => this.#admit(socket, countedBytes, events),
      onWarning: (message) => events.onWarning(message),
    });
    if (this.#source instanceof ListenSource) grantReceiveBuffer(this.#source.descriptor, this.#spec, {}, this.#emit);
    return port;
  }

  start(): void {}

  take(handed: Handed): void {
    if (handed.family === "tcp") this.#source.take(handed.descriptor);
  }

  get directDescriptor(): number | null {
    return this.#io === null || this.#socket === null ? null : descriptorOf(this.#socket);
  }

  readonly mostWaitingBytes = 0;

  wake(): void {}

  drain(nowSeconds: number): number {
    const fd = this.directDescriptor;
    if (this.#io === null || this.#events === null || fd === null) return 0;
    const bytes = this.#io.discard(fd);
    if (bytes > 0) {
      this.#events.onData(nowSeconds);
      this.#bytesReceived += bytes;
      return bytes;
    }
    if (bytes === 0) this.#over(null);
    else if (bytes < NOT_NOW) this.#over(refusalName(bytes));
    return 0;
  }

  interval(cut: Cut, timestampSeconds: number): ReceiveInterval {
    const bytesReceived = this.#bytesReceived;
    this.#bytesReceived = 0;
    const durationSeconds = cut.endSeconds - cut.startSeconds;
    return { family: "tcp", kind: "receive", timestampSeconds, durationSeconds, bytesReceived };
  }

  /** A connection ends by itself, and tells all by it. */
  hasAll(): boolean {
    return false;
  }

  report(): StreamReport {
    return { totals: NO_TOTALS, sent: null };
  }

  close(): void {
    this.#source.close();
    // A paused socket would not hear of its peer's end, and stay open.
    this.#socket?.resume();
    this.#socket?.end();
    this.#socket = null;
  }

  #admit(socket: DataSocket, countedBytes: number, events: ReceiveEvents): void {
    this.#socket = socket;
    socket.data = {
      data: (_, chunk) => {
        if (socket !== this.#socket) return;
        events.onData(this.#clock.monotonicSeconds());
        this.#bytesReceived += chunk.length;
      },
      writable: () => {},
      ended: () => {
        if (socket === this.#socket) this.#over(null);
      },
      over: (_, failure) => {
        if (socket === this.#socket) this.#over(failure);
      },
    };
    const fd = descriptorOf(socket);
    if (this.#source instanceof ListenSource) tellReceiveBuffer(fd, this.#spec, {}, this.#emit);
    else grantReceiveBuffer(fd, this.#spec, {}, this.#emit);
    // From here on it is read past Bun, which would make a copy of everything.
    if (this.#io !== null) socket.pause();
    if (countedBytes > 0) events.onData(this.#clock.monotonicSeconds());
    this.#bytesReceived += countedBytes;
    events.onSocket();
  }

  #over(failure: string | null): void {
    if (failure === null) this.#events?.onEnd(this.#clock.monotonicSeconds());
    else this.#events?.onLost(`receiving from ${this.#socket?.remoteAddress}: ${failure}`);
  }
}

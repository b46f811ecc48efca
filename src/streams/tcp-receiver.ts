import { descriptorOf } from "../../ffi/descriptor.ts";
import { type DirectIo, NOT_NOW, refusalName } from "../../ffi/direct-io.ts";
import type { Clock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { PreambleMatcher } from "../protocol/tcp-data.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import type { Cut } from "../stats/interval-cutter.ts";
import { bindFromPool } from "./bind-from-pool.ts";
import type { ReceiveEvents, ReceiveTransport } from "./receiver.ts";
import { grantReceiveBuffer, tellReceiveBuffer } from "./socket-facts.ts";
import type { Emit, ReceiverSpec } from "./spec.ts";

/** Connections that may wait for their first bytes at a time; the oldest makes room for one more. */
const MAX_CANDIDATES = 32;

/** What is known of one accepted connection. */
interface Candidate {
  readonly matcher: PreambleMatcher;
  /** Bytes of the preamble, which count once the connection is admitted. */
  seenBytes: number;
}

/** Listens until a connection opens with the test id, then reads that one alone. */
export class TcpReceiveTransport implements ReceiveTransport {
  readonly #spec: ReceiverSpec;
  readonly #clock: Clock;
  readonly #io: DirectIo | null;
  readonly #emit: Emit;
  readonly #candidates = new Set<Bun.Socket<Candidate>>();
  #listener: Bun.TCPSocketListener<Candidate> | null = null;
  #admitted: Bun.Socket<Candidate> | null = null;
  #bytesReceived = 0;
  #hasSeenForeign = false;
  #events: ReceiveEvents | null = null;

  constructor(spec: ReceiverSpec, clock: Clock, io: DirectIo | null, emit: Emit) {
    this.#spec = spec;
    this.#clock = clock;
    this.#io = io;
    this.#emit = emit;
  }

  async open(events: ReceiveEvents): Promise<number> {
    this.#events = events;
    this.#listener = await bindFromPool(this.#spec, (port) =>
      Bun.listen<Candidate>({
        hostname: this.#spec.bindAddress,
        port,
        // The pool promises its ports: another socket on the same one must be an error.
        exclusive: true,
        socket: {
          open: (socket) => this.#accept(socket),
          data: (socket, chunk) => this.#data(socket, chunk, events),
          end: (socket) => this.#over(socket, events, null),
          // Bun tells of a reset here, and not in `error`.
          close: (socket, error) => this.#over(socket, events, error === undefined ? null : messageOf(error)),
          error: (socket, error) => this.#over(socket, events, messageOf(error)),
        },
      }),
    );
    // Accepted sockets inherit the buffer, and with it the window scale of the handshake (tcp(7)).
    grantReceiveBuffer(descriptorOf(this.#listener), this.#spec, {}, this.#emit);
    return this.#listener.port;
  }

  get directDescriptor(): number | null {
    return this.#io === null || this.#admitted === null ? null : descriptorOf(this.#admitted);
  }

  readonly mostWaitingBytes = 0;

  wake(): void {}

  drain(nowSeconds: number): number {
    const fd = this.directDescriptor;
    if (this.#io === null || this.#admitted === null || this.#events === null || fd === null) return 0;
    const bytes = this.#io.discard(fd);
    if (bytes > 0) {
      this.#events.onData(nowSeconds);
      this.#bytesReceived += bytes;
      return bytes;
    }
    if (bytes === 0) this.#over(this.#admitted, this.#events, null);
    else if (bytes < NOT_NOW) this.#over(this.#admitted, this.#events, refusalName(bytes));
    return 0;
  }

  take(cut: Cut, timestampSeconds: number): ReceiveInterval {
    const bytesReceived = this.#bytesReceived;
    this.#bytesReceived = 0;
    const durationSeconds = cut.endSeconds - cut.startSeconds;
    return { family: "tcp", kind: "receive", timestampSeconds, durationSeconds, bytesReceived };
  }

  close(): void {
    this.#listener?.stop(true);
    this.#listener = null;
    for (const socket of this.#candidates) socket.terminate();
    this.#candidates.clear();
    // A paused socket would not hear of its peer's end, and stay open.
    this.#admitted?.resume();
    this.#admitted?.end();
    this.#admitted = null;
  }

  #accept(socket: Bun.Socket<Candidate>): void {
    socket.data = { matcher: new PreambleMatcher(this.#spec.testId), seenBytes: 0 };
    if (this.#admitted !== null) {
      socket.terminate();
      return;
    }
    this.#candidates.add(socket);
    const [oldest] = this.#candidates;
    if (this.#candidates.size <= MAX_CANDIDATES || oldest === undefined) return;
    this.#candidates.delete(oldest);
    oldest.terminate();
  }

  #data(socket: Bun.Socket<Candidate>, chunk: Uint8Array, events: ReceiveEvents): void {
    if (socket === this.#admitted) {
      events.onData(this.#clock.monotonicSeconds());
      this.#bytesReceived += chunk.length;
      return;
    }
    if (!this.#candidates.has(socket)) return;
    socket.data.seenBytes += chunk.length;
    const verdict = socket.data.matcher.push(chunk);
    if (verdict === "match") this.#admit(socket, events);
    else if (verdict === "mismatch") this.#reject(socket, events);
  }

  #admit(socket: Bun.Socket<Candidate>, events: ReceiveEvents): void {
    this.#admitted = socket;
    this.#candidates.delete(socket);
    for (const other of this.#candidates) other.terminate();
    this.#candidates.clear();
    this.#listener?.stop(false);
    tellReceiveBuffer(descriptorOf(socket), this.#spec, {}, this.#emit);
    // From here on it is read past Bun, which would make a copy of everything.
    if (this.#io !== null) socket.pause();
    events.onData(this.#clock.monotonicSeconds());
    this.#bytesReceived += socket.data.seenBytes;
  }

  #reject(socket: Bun.Socket<Candidate>, events: ReceiveEvents): void {
    this.#candidates.delete(socket);
    const address = socket.remoteAddress;
    socket.terminate();
    if (this.#hasSeenForeign) return;
    this.#hasSeenForeign = true;
    events.onWarning(`connections of another origin arrive on port ${this.#listener?.port} (from ${address}); closed`);
  }

  #over(socket: Bun.Socket<Candidate>, events: ReceiveEvents, failure: string | null): void {
    this.#candidates.delete(socket);
    if (socket !== this.#admitted) return;
    if (failure === null) events.onEnd(this.#clock.monotonicSeconds());
    else events.onLost(`receiving from ${socket.remoteAddress}: ${failure}`);
  }
}

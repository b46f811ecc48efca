import { descriptorOf } from "../../ffi/descriptor.ts";
import { type Address, type DirectIo, NOT_NOW, refusalName } from "../../ffi/direct-io.ts";
import { limitPacingRate, limitUnsent } from "../../ffi/sockopt.ts";
import { withDeadline } from "../clock.ts";
import { RperfError } from "../errors.ts";
import { unmapAddress } from "../protocol/address.ts";
import { makeTcpBuffer, TEST_ID_BYTES } from "../protocol/tcp-data.ts";
import { type ConnectionSource, connectionSourceOf } from "./connection-source.ts";
import { ConnectionWitness } from "./connection-witness.ts";
import type { PacingAbilities } from "./pace-plan.ts";
import { applyPath, checkPath } from "./path.ts";
import type { SendEvents, SendProgress, SendTransport } from "./sender.ts";
import { spareCompiler } from "./spare-compiler.ts";
import { grantSendBuffer } from "./socket-facts.ts";
import type { Emit, Handed, SenderSpec } from "./spec.ts";
import type { DataSocket } from "./tcp-connection.ts";
import { UnsentLimit } from "./unsent-limit.ts";

/** One write where no length was asked for: large, for the calls cost more than the copies; and still in the cache. */
const AUTO_WRITE_BYTES = 512 * 1024;
/** Such a write holds this much time of a rate at most. */
const AUTO_WRITE_SECONDS = 0.01;
/** How long a sender that has started waits for the connection on which it is to send. */
const PEER_TIMEOUT_MS = 3000;
/** The kernel spreads what is written at once over a bit less than its time, and so never lags behind. */
const KERNEL_PACE_FACTOR = 1.1;

/** Behind the last byte: as long as the peer takes any, but not for ever; its own end tells then what came. */
const DRAIN_TIMEOUT_MS = 1500;
const DRAIN_STALL_MS = 500;
const DRAIN_POLL_MS = 5;
/** What a FIN counts for in the queue. */
const FIN_BYTES = 1;

/** Writes what the pace allows, at most one buffer at once. */
export class TcpSendTransport implements SendTransport {
  readonly #spec: SenderSpec;
  readonly #io: DirectIo | null;
  readonly #emit: Emit;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #address: Address | null;
  /** The most of one write for now. */
  #writeBytes: number;
  readonly #source: ConnectionSource;
  readonly #connection = Promise.withResolvers<void>();
  #socket: DataSocket | null = null;
  #events: SendEvents | null = null;
  #isPacedByKernel = false;
  readonly #unsent = new UnsentLimit();
  #hasSentPreamble = false;
  #witness: ConnectionWitness | null = null;
  #failure: string | null = null;
  /** Whether a FIN was queued behind the data. */
  #hasEnded = false;
  #undeliveredBytes: number | null = null;

  constructor(spec: SenderSpec, io: DirectIo | null, emit: Emit) {
    this.#spec = spec;
    this.#io = io;
    this.#emit = emit;
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#write]);
    this.#buffer = makeTcpBuffer(spec.testId, writeBytesOf(spec));
    this.#address = io?.addressOf(this.#buffer.buffer) ?? null;
    this.#writeBytes = Math.min(spec.lengthBytes, this.#buffer.length);
    this.#source = connectionSourceOf(spec);
  }

  async prepare(events: SendEvents): Promise<number | null> {
    this.#events = events;
    checkPath(this.#spec);
    this.#witness = this.#io === null ? null : await ConnectionWitness.open(this.#io);
    return this.#source.open({
      onConnection: (socket) => this.#connected(socket),
      onWarning: (message) => this.#emit({ type: "warning", message }),
    });
  }

  take(handed: Handed): void {
    if (handed.family === "tcp") this.#source.take(handed.descriptor);
  }

  async open(): Promise<void> {
    await this.#source.start();
    if (this.#socket !== null) return;
    await withDeadline(this.#connection.promise, PEER_TIMEOUT_MS).catch(() => {
      const message = `the receiver did not open its data connection within ${PEER_TIMEOUT_MS / 1000} s`;
      throw new RperfError("connect-timeout", message);
    });
  }

  get abilities(): PacingAbilities {
    return { mostBatchPackets: 1, isPacedByKernel: this.#isPacedByKernel };
  }

  get awaitedDescriptor(): number | null {
    return this.#io === null || this.#socket === null ? null : descriptorOf(this.#socket);
  }

  leastBytes(): number {
    // The preamble goes first and at once, however slow the rate: it is what admits the connection.
    return this.#hasSentPreamble ? 1 : -Infinity;
  }

  send(dueBytes: number, wallSeconds: number): SendProgress {
    const wantedBytes = Math.max(dueBytes, this.#hasSentPreamble ? 1 : TEST_ID_BYTES);
    const offeredBytes = Math.min(wantedBytes, this.#writeBytes);
    const takenBytes = this.#write(offeredBytes);
    this.#hasSentPreamble ||= takenBytes > 0;
    if (this.#unsent.sent(wallSeconds, takenBytes)) this.#suitLink();
    return { bytes: takenBytes, packets: 0, isBlocked: takenBytes < offeredBytes, isRefused: false };
  }

  async finish(): Promise<void> {
    this.#end();
    await this.#drain();
    this.close();
    if (this.#failure !== null && this.#undeliveredBytes !== 0) throw new Error(this.#failure);
  }

  get undeliveredBytes(): number | null {
    return this.#undeliveredBytes;
  }

  close(): void {
    const witness = this.#witness;
    if (witness !== null) {
      this.#undeliveredBytes = this.#readUndelivered(witness);
      this.#witness = null;
      witness.close();
    }
    this.#end();
  }

  #end(): void {
    this.#source.close();
    this.#socket?.end();
    this.#hasEnded = true;
  }

  /** Resolves once all has arrived, the connection broke, or nothing more is to be waited for. */
  async #drain(): Promise<void> {
    const startMs = performance.now();
    let leastBytes = Infinity;
    let progressMs = startMs;
    for (let nowMs = startMs; nowMs - startMs < DRAIN_TIMEOUT_MS; nowMs = performance.now()) {
      const bytes = this.#witness === null ? null : this.#readUndelivered(this.#witness);
      if (bytes === null || bytes === 0 || this.#failure !== null) return;
      if (bytes < leastBytes) progressMs = nowMs;
      else if (nowMs - progressMs >= DRAIN_STALL_MS) return;
      leastBytes = Math.min(leastBytes, bytes);
      await Bun.sleep(DRAIN_POLL_MS);
    }
  }

  #readUndelivered(witness: ConnectionWitness): number | null {
    const bytes = witness.unacknowledgedBytes();
    return bytes === null ? null : Math.max(0, bytes - (this.#hasEnded ? FIN_BYTES : 0));
  }

  #connected(socket: DataSocket): void {
    const where = this.#where(socket);
    this.#socket = socket;
    socket.data = {
      data: () => {},
      writable: () => this.#events?.onWritable(),
      // A receiver has nothing to say: that it says so, by half a close, means nothing.
      ended: () => {},
      // Bun also reports the close that `finish` asked for; the sender knows that it is over by then.
      over: (_, failure) => {
        if (failure !== null) this.#failure = `sending to ${where}: ${failure}`;
        this.#events?.onLost(this.#failure ?? `the receiver at ${where} closed the connection`);
      },
    };
    socket.setNoDelay(this.#spec.noDelay);
    const fd = descriptorOf(socket);
    if (fd !== null) this.#witness?.watch(fd);
    if (fd !== null) applyPath(fd, "tcp", socket.remoteAddress, this.#spec.path);
    this.#limitUnsent();
    const pacing = this.#askForPacing(fd);
    grantSendBuffer(fd, this.#spec, { pacing, writeBytes: this.#buffer.length }, this.#emit);
    this.#connection.resolve();
  }

  #where(socket: DataSocket): string {
    const { endpoint } = this.#spec;
    if (endpoint.type === "connect" || endpoint.type === "dial") return `${endpoint.address} port ${endpoint.port}`;
    return `${unmapAddress(socket.remoteAddress)} port ${socket.remotePort}`;
  }

  /** As much as may wait unsent holds four writes: on a slow link they are short, and its queue is not flooded. */
  #suitLink(): void {
    this.#limitUnsent();
    if (this.#spec.writeSize === "length") return;
    this.#writeBytes = Math.max(
      this.#spec.lengthBytes,
      Math.min(Math.floor(this.#unsent.bytes / 4), this.#buffer.length),
    );
  }

  /** Without it (Windows) a slow link only takes longer to drain. */
  #limitUnsent(): void {
    const fd = this.#socket === null ? null : descriptorOf(this.#socket);
    if (fd !== null) limitUnsent(fd, this.#unsent.bytes);
  }

  #write(bytes: number): number {
    const socket = this.#socket;
    if (socket === null) return 0;
    const fd = this.awaitedDescriptor;
    if (fd === null || this.#io === null || this.#address === null)
      return Math.max(0, socket.write(this.#buffer, 0, bytes));
    const taken = this.#io.send(fd, this.#address, bytes);
    if (taken >= NOT_NOW) return Math.max(0, taken);
    throw new Error(`sending to ${this.#where(socket)}: ${refusalName(taken)}`);
  }

  /** Even pacing below a rate of the kernel's; the slices of the original are left as they are. */
  #askForPacing(fd: number | null): "kernel" | "user" | null {
    const { bandwidthBytesPerSecond, pacing } = this.#spec;
    if (bandwidthBytesPerSecond === 0) return null;
    if (fd === null || pacing === "slices") return "user";
    this.#isPacedByKernel = limitPacingRate(fd, Math.ceil(bandwidthBytesPerSecond * KERNEL_PACE_FACTOR)).ok;
    return this.#isPacedByKernel ? "kernel" : "user";
  }
}

/** The most that one write holds: as much is kept for each stream. */
export function writeBytesOf({
  writeSize,
  lengthBytes,
  bandwidthBytesPerSecond,
}: Pick<SenderSpec, "writeSize" | "lengthBytes" | "bandwidthBytesPerSecond">): number {
  if (writeSize === "length") return lengthBytes;
  if (bandwidthBytesPerSecond === 0) return AUTO_WRITE_BYTES;
  return Math.min(AUTO_WRITE_BYTES, Math.max(lengthBytes, Math.ceil(bandwidthBytesPerSecond * AUTO_WRITE_SECONDS)));
}

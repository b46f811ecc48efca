import { descriptorOf } from "../../ffi/descriptor.ts";
import { type Address, type DirectIo, NOT_NOW, refusalName } from "../../ffi/direct-io.ts";
import { limitPacingRate, limitUnsent } from "../../ffi/sockopt.ts";
import { DeadlineError, withDeadline } from "../clock.ts";
import { CONNECT_TIMEOUT_SECONDS } from "../config/limits.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { makeTcpBuffer, TEST_ID_BYTES } from "../protocol/tcp-data.ts";
import type { PacingAbilities } from "./pace-plan.ts";
import type { SendEvents, SendProgress, SendTransport } from "./sender.ts";
import { spareCompiler } from "./spare-compiler.ts";
import { grantSendBuffer } from "./socket-facts.ts";
import type { Emit, SenderSpec } from "./spec.ts";
import { UnsentLimit } from "./unsent-limit.ts";

/** One write where no length was asked for: large, for the calls cost more than the copies; and still in the cache. */
const AUTO_WRITE_BYTES = 512 * 1024;
/** Such a write holds this much time of a rate at most. */
const AUTO_WRITE_SECONDS = 0.01;
/** The kernel spreads what is written at once over a bit less than its time, and so never lags behind. */
const KERNEL_PACE_FACTOR = 1.1;

/** Writes what the pace allows, at most one buffer at once. */
export class TcpSendTransport implements SendTransport {
  readonly #spec: SenderSpec;
  readonly #io: DirectIo | null;
  readonly #emit: Emit;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #address: Address | null;
  /** The most of one write for now. */
  #writeBytes: number;
  #socket: Bun.Socket | null = null;
  #isPacedByKernel = false;
  readonly #unsent = new UnsentLimit();
  #hasSentPreamble = false;

  constructor(spec: SenderSpec, io: DirectIo | null, emit: Emit) {
    this.#spec = spec;
    this.#io = io;
    this.#emit = emit;
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#write]);
    this.#buffer = makeTcpBuffer(spec.testId, writeBytesOf(spec));
    this.#address = io?.addressOf(this.#buffer.buffer) ?? null;
    this.#writeBytes = Math.min(spec.lengthBytes, this.#buffer.length);
  }

  async check(): Promise<void> {}

  async open(events: SendEvents): Promise<void> {
    const { remoteAddress, remotePort } = this.#spec;
    const where = `${remoteAddress} port ${remotePort}`;
    const connecting = Bun.connect({
      hostname: remoteAddress,
      port: remotePort,
      socket: {
        data: () => {},
        drain: () => events.onWritable(),
        // Bun also reports the close that `finish` asked for; the sender knows that it is over by then.
        close: () => events.onLost(`the receiver at ${where} closed the connection`),
        error: (_socket, error) => events.onLost(`sending to ${where}: ${messageOf(error)}`),
      },
    });
    const socket = await connected(connecting, where);
    this.#socket = socket;
    socket.setNoDelay(this.#spec.noDelay);
    const fd = descriptorOf(socket);
    this.#limitUnsent();
    const pacing = this.#askForPacing(fd);
    grantSendBuffer(fd, this.#spec, { pacing, writeBytes: this.#buffer.length }, this.#emit);
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
    this.close();
  }

  close(): void {
    this.#socket?.end();
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
    const { remoteAddress, remotePort } = this.#spec;
    throw new Error(`sending to ${remoteAddress} port ${remotePort}: ${refusalName(taken)}`);
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

/** The most that one write holds. */
function writeBytesOf({ writeSize, lengthBytes, bandwidthBytesPerSecond }: SenderSpec): number {
  if (writeSize === "length") return lengthBytes;
  if (bandwidthBytesPerSecond === 0) return AUTO_WRITE_BYTES;
  return Math.min(AUTO_WRITE_BYTES, Math.max(lengthBytes, Math.ceil(bandwidthBytesPerSecond * AUTO_WRITE_SECONDS)));
}

/** The socket; one that opens only after the deadline is closed. Throws `connect-timeout` or `stream-failed`. */
async function connected(connecting: Promise<Bun.Socket>, where: string): Promise<Bun.Socket> {
  try {
    return await withDeadline(connecting, CONNECT_TIMEOUT_SECONDS * 1000);
  } catch (cause) {
    connecting.then((socket) => socket.terminate()).catch(() => {});
    if (cause instanceof DeadlineError) {
      const message = `the receiver at ${where} did not answer within ${CONNECT_TIMEOUT_SECONDS} s`;
      throw new RperfError("connect-timeout", message, { cause });
    }
    const why = systemCodeOf(cause) ?? messageOf(cause);
    throw new RperfError("stream-failed", `no connection to the receiver at ${where}: ${why}`, { cause });
  }
}

import { descriptorOf } from "../../ffi/descriptor.ts";
import { UDP_HEADER_BYTES } from "../config/limits.ts";
import { messageOf, systemCodeOf } from "../errors.ts";
import { END_MARKER_COPIES, UdpPacket } from "../protocol/udp-packet.ts";
import type { SendProgress, SendTransport } from "./sender.ts";
import { grantSendBuffer } from "./socket-facts.ts";
import type { Emit, SenderSpec } from "./spec.ts";

/** Packets handed to the system in one call, and the memory that they may take. */
const MAX_BATCH = 64;
const MAX_BATCH_BYTES = 256 * 1024;
/** How long a refused or blocked send waits; Bun tells of room again only where the socket was full, not refused. */
const RETRY_MS = 1;
/** How often the end markers are offered to a full socket. */
const END_ATTEMPTS = 200;
/**
 * Answers to a send that a later one may not get: the port is not there yet or any more (ICMP), the route or the
 * interface is gone for now, a firewall or a queue here dropped the packet.
 */
const PASSING_REFUSALS: ReadonlySet<string | null> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "EPERM",
  "ENOBUFS",
]);

type UdpSocket = Bun.udp.ConnectedSocket<"buffer">;

/** Sends numbered, stamped packets; only those that the system took are counted. */
export class UdpSendTransport implements SendTransport {
  readonly #spec: SenderSpec;
  readonly #emit: Emit;
  readonly unitBytes: number;
  readonly #packets: readonly UdpPacket[];
  readonly #batches: readonly (readonly Uint8Array[])[];
  #socket: UdpSocket | null = null;
  #nextPacketId = 0;
  /** Whether the last call was answered with a passing refusal. */
  #wasRefused = false;
  #hasWarned = false;
  #onWritable = (): void => {};

  constructor(spec: SenderSpec, emit: Emit) {
    this.#spec = spec;
    this.#emit = emit;
    this.unitBytes = spec.lengthBytes + UDP_HEADER_BYTES;
    this.#packets = Array.from(
      { length: batchSize(spec.lengthBytes) },
      () => new UdpPacket(spec.testId, spec.lengthBytes),
    );
    this.#batches = this.#packets.map((_, last) => this.#packets.slice(0, last + 1).map((packet) => packet.bytes));
  }

  async open(events: { onWritable: () => void }): Promise<void> {
    const { remoteAddress, remotePort } = this.#spec;
    this.#onWritable = events.onWritable;
    this.#socket = await Bun.udpSocket({
      // Bun makes an IPv4 socket unless told otherwise (bun-findings).
      hostname: remoteAddress.includes(":") ? "::" : "0.0.0.0",
      connect: { hostname: remoteAddress, port: remotePort },
      socket: {
        data: () => {},
        // ICMP answers to a receiver that is gone, or not yet there; the control connection tells which.
        error: () => {},
      },
    });
    grantSendBuffer(descriptorOf(this.#socket), this.#spec, this.#emit);
  }

  leastBytes(): number {
    return this.unitBytes;
  }

  send(dueBytes: number, sentWallSeconds: number, isOmitted: boolean): SendProgress {
    const wanted = Math.min(Math.floor(dueBytes / this.unitBytes), this.#packets.length);
    for (let i = 0; i < wanted; i++) {
      this.#packets[i]?.stamp(this.#nextPacketId + i, sentWallSeconds, isOmitted);
    }
    const taken = this.#offer(this.#batches[wanted - 1] ?? []);
    this.#nextPacketId += taken;
    const isBlocked = taken < wanted;
    if (isBlocked) setTimeout(this.#onWritable, RETRY_MS);
    return { bytes: taken * this.unitBytes, packets: taken, isBlocked, isRefused: isBlocked && this.#wasRefused };
  }

  async finish(): Promise<void> {
    const marker = this.#spec.testId;
    let left = END_MARKER_COPIES;
    for (let attempt = 0; left > 0 && attempt < END_ATTEMPTS; attempt++) {
      left -= this.#offer(Array.from({ length: left }, () => marker));
      if (left > 0) await Bun.sleep(RETRY_MS);
    }
    this.#socket?.close();
  }

  /** How many of the packets the system took, from the first on. */
  #offer(packets: readonly Uint8Array[]): number {
    this.#wasRefused = false;
    try {
      return this.#socket?.sendMany(packets) ?? 0;
    } catch (error) {
      const code = systemCodeOf(error);
      if (PASSING_REFUSALS.has(code)) {
        this.#refused(code);
        return 0;
      }
      throw new Error(`sending to ${this.#spec.remoteAddress}: ${messageOf(error)}`, { cause: error });
    }
  }

  #refused(code: string | null): void {
    this.#wasRefused = true;
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { remoteAddress, remotePort } = this.#spec;
    const message = `the system refuses packets to ${remoteAddress} port ${remotePort} (${code}); none of these counts as sent`;
    this.#emit({ type: "warning", message });
  }
}

/** One packet at the least, however long. */
function batchSize(lengthBytes: number): number {
  return Math.max(1, Math.min(MAX_BATCH, Math.floor(MAX_BATCH_BYTES / lengthBytes)));
}

import { descriptorOf } from "../../ffi/descriptor.ts";
import { type Address, type DirectIo, NOT_NOW, refusalName } from "../../ffi/direct-io.ts";
import type { Outcome } from "../../ffi/platform.ts";
import { setUdpSegmentation } from "../../ffi/sockopt.ts";
import { MAX_UDP_LENGTH_BYTES, UDP_HEADER_BYTES } from "../config/limits.ts";
import { messageOf, systemCodeOf } from "../errors.ts";
import { END_MARKER_COPIES, UdpPackets } from "../protocol/udp-packet.ts";
import { grantOffload } from "./grant-offload.ts";
import type { PacingAbilities } from "./pace-plan.ts";
import type { SendEvents, SendProgress, SendTransport } from "./sender.ts";
import { spareCompiler } from "./spare-compiler.ts";
import { grantSendBuffer } from "./socket-facts.ts";
import type { Emit, SenderSpec } from "./spec.ts";

/** Packets handed to the system in one call: what every kernel with UDP_SEGMENT takes (linux/udp.h before 6.9). */
const MAX_BATCH = 64;
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

/**
 * Answers to a batch for the kernel to split that say that it cannot: the route's packets are smaller, or encrypted; the
 * device has no checksums (udp(7), UDP_SEGMENT; net/ipv4/udp.c, udp_send_skb).
 */
const OFFLOAD_REFUSALS: ReadonlySet<string> = new Set(["EINVAL", "EIO", "EMSGSIZE", "EOPNOTSUPP"]);

/** A router's "fragmentation needed" for an earlier packet, which a socket tells once; the next send goes by it. */
const PENDING = "EMSGSIZE";

type UdpSocket = Bun.udp.ConnectedSocket<"buffer">;

/** Sends numbered, stamped packets; only those that the system took are counted. */
export class UdpSendTransport implements SendTransport {
  readonly abilities: PacingAbilities;
  readonly #spec: SenderSpec;
  readonly #io: DirectIo | null;
  readonly #emit: Emit;
  readonly #framedBytes: number;
  readonly #packets: UdpPackets;
  readonly #address: Address | null;
  readonly #batches: readonly (readonly Uint8Array[])[];
  #socket: UdpSocket | null = null;
  /** Of the socket, as long as it is open: asking it for each send takes longer than the rest. */
  #fd: number | null = null;
  /** The kernel splits what is sent at once. */
  #isOffloaded = false;
  #nextPacketId = 0;
  /** Whether the last call was answered with a passing refusal. */
  #wasRefused = false;
  #hasWarned = false;
  #onWritable = (): void => {};

  constructor(spec: SenderSpec, io: DirectIo | null, emit: Emit) {
    this.#spec = spec;
    this.#io = io;
    this.#emit = emit;
    this.#framedBytes = spec.lengthBytes + UDP_HEADER_BYTES;
    const mostBatchPackets = Math.max(1, Math.min(MAX_BATCH, Math.floor(MAX_UDP_LENGTH_BYTES / spec.lengthBytes)));
    this.abilities = { mostBatchPackets, isPacedByKernel: false };
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#offer]);
    this.#packets = new UdpPackets(spec.testId, spec.lengthBytes, mostBatchPackets);
    this.#address = io?.addressOf(this.#packets.bytes.buffer) ?? null;
    this.#batches = this.#packets.each.map((_, last) => this.#packets.each.slice(0, last + 1));
  }

  async check(): Promise<void> {
    if (this.#spec.offload !== "on") return;
    const probe = await Bun.udpSocket({ hostname: localAddressFor(this.#spec) });
    const fd = descriptorOf(probe);
    const granted: Outcome<null> =
      fd === null
        ? { ok: false, supported: true, message: "the socket has no descriptor" }
        : setUdpSegmentation(fd, this.#spec.lengthBytes);
    probe.close();
    grantOffload(granted, "on", this.#emit);
  }

  async open(events: SendEvents): Promise<void> {
    const { remoteAddress, remotePort } = this.#spec;
    this.#onWritable = () => events.onWritable();
    this.#socket = await Bun.udpSocket({
      hostname: localAddressFor(this.#spec),
      connect: { hostname: remoteAddress, port: remotePort },
      socket: {
        data: () => {},
        // ICMP answers to a receiver that is gone, or not yet there; the control connection tells which.
        error: () => {},
      },
    });
    this.#fd = descriptorOf(this.#socket);
    this.#askForOffload();
    this.#tellFacts();
  }

  get awaitedDescriptor(): number | null {
    return this.#io === null || this.#wasRefused ? null : this.#fd;
  }

  leastBytes(): number {
    return this.#framedBytes;
  }

  send(dueBytes: number, sentWallSeconds: number, isOmitted: boolean): SendProgress {
    const wanted = Math.min(Math.floor(dueBytes / this.#framedBytes), this.abilities.mostBatchPackets);
    this.#packets.stamp(wanted, this.#nextPacketId, sentWallSeconds, isOmitted);
    this.#wasRefused = false;
    const taken = this.#offer(wanted);
    this.#nextPacketId += taken;
    const isBlocked = taken < wanted;
    if (isBlocked && this.awaitedDescriptor === null) setTimeout(this.#onWritable, RETRY_MS);
    return { bytes: taken * this.#framedBytes, packets: taken, isBlocked, isRefused: isBlocked && this.#wasRefused };
  }

  async finish(): Promise<void> {
    const marker = this.#spec.testId;
    let left = END_MARKER_COPIES;
    for (let attempt = 0; left > 0 && attempt < END_ATTEMPTS; attempt++) {
      left -= this.#offerEach(Array.from({ length: left }, () => marker));
      if (left > 0) await Bun.sleep(RETRY_MS);
    }
    this.close();
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
    this.#fd = null;
  }

  /** How many of the stamped packets the system took, from the first on. */
  #offer(count: number): number {
    const fd = this.#fd;
    if (this.#io === null || this.#address === null || fd === null || (count > 1 && !this.#isOffloaded)) {
      return this.#offerEach(this.#batches[count - 1] ?? []);
    }
    const bytes = count * this.#spec.lengthBytes;
    let taken = this.#io.send(fd, this.#address, bytes);
    if (!this.#isOffloaded && taken < NOT_NOW && refusalName(taken) === PENDING) {
      taken = this.#io.send(fd, this.#address, bytes);
    }
    // The kernel takes such a batch whole, or not at all.
    if (taken >= 0) return count;
    if (taken === NOT_NOW) return 0;
    const refusal = refusalName(taken);
    if (this.#isOffloaded && OFFLOAD_REFUSALS.has(refusal)) {
      this.#fallBack(fd, refusal);
      return this.#offerEach(this.#batches[count - 1] ?? []);
    }
    return this.#refused(refusal, refusal);
  }

  /** The same through Bun, packet by packet. */
  #offerEach(packets: readonly Uint8Array[], isAgain = false): number {
    try {
      return this.#socket?.sendMany(packets) ?? 0;
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === PENDING && !isAgain) return this.#offerEach(packets, true);
      return this.#refused(code, messageOf(error), error);
    }
  }

  /** Nothing was taken: a passing refusal is warned about once, any other ends the stream. */
  #refused(code: string | null, message: string, cause?: unknown): 0 {
    const { remoteAddress, remotePort } = this.#spec;
    if (!PASSING_REFUSALS.has(code)) throw new Error(`sending to ${remoteAddress}: ${message}`, { cause });
    this.#wasRefused = true;
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      const told = `the system refuses packets to ${remoteAddress} port ${remotePort} (${code}); none of these counts as sent`;
      this.#emit({ type: "warning", message: told });
    }
    return 0;
  }

  #askForOffload(): void {
    const { offload, lengthBytes } = this.#spec;
    const fd = this.#fd;
    if (offload === "off" || fd === null) return;
    this.#isOffloaded = grantOffload(setUdpSegmentation(fd, lengthBytes), offload, this.#emit);
  }

  /** In mid-test: what the batch held leaves packet by packet, as all that follows. */
  #fallBack(fd: number, refusal: string): void {
    this.#isOffloaded = false;
    setUdpSegmentation(fd, 0);
    const message = `the system would not split packets of ${this.#spec.lengthBytes} bytes (${refusal}); sending each by itself`;
    this.#emit({ type: this.#spec.offload === "on" ? "warning" : "debug", message });
    this.#tellFacts();
  }

  #tellFacts(): void {
    grantSendBuffer(this.#fd, this.#spec, { offload: this.#isOffloaded }, this.#emit);
  }
}

/** Bun makes an IPv4 socket unless told otherwise (bun-findings). */
function localAddressFor({ remoteAddress }: SenderSpec): string {
  return remoteAddress.includes(":") ? "::" : "0.0.0.0";
}

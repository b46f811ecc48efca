import type { OmittedReceive, UdpReceiveInterval } from "./interval.ts";
import { JitterMeter } from "./jitter.ts";
import { type SequenceVerdict, SequenceWindow } from "./sequence-window.ts";
import type { UdpBooks } from "./udp-books.ts";

interface Counters {
  bytesReceived: number;
  packetsReceived: number;
  packetsOutOfOrder: number;
  packetsDuplicated: number;
}

/** What a receiver knows of one packet; times in seconds. */
export interface ReceivedPacket {
  readonly packetId: number;
  readonly sentSeconds: number;
  readonly receivedSeconds: number;
  readonly framedBytes: number;
  readonly isOmitted: boolean;
}

/**
 * Counts one interval's packets after another; the sequence goes on from each to the next, and its books tell of the
 * whole stream. Strays count in the books alone; a packet that was put aside counts when a later one bears it out.
 */
export class UdpReceiveStats {
  readonly #sequence = new SequenceWindow();
  readonly #jitter = new JitterMeter();
  #aside: ReceivedPacket | null = null;
  #all = zero();
  #omitted = zero();
  #packetsLost = 0;

  /** Packets of the stream so far, each once, omitted ones included. */
  get packetsUnique(): number {
    return this.#sequence.packetsUnique;
  }

  add(packet: ReceivedPacket): void {
    if (this.#aside !== null && this.#sequence.admits(packet.packetId)) {
      this.#judged(this.#aside, "gap");
      this.#aside = null;
    }
    this.#judged(packet, this.#sequence.judge(packet.packetId, packet.isOmitted));
  }

  /** `count` packets that followed `packet`, just added, in order, with the same times and of the same length. */
  addFollowers(packet: ReceivedPacket, count: number): void {
    if (!this.#sequence.isNext(packet.packetId + 1)) {
      for (let i = 1; i <= count; i++) this.add({ ...packet, packetId: packet.packetId + i });
      return;
    }
    this.#sequence.advance(count);
    this.#jitter.together(packet.sentSeconds, packet.receivedSeconds, count);
    this.#all.bytesReceived += count * packet.framedBytes;
    this.#all.packetsReceived += count;
    if (!packet.isOmitted) return;
    this.#omitted.bytesReceived += count * packet.framedBytes;
    this.#omitted.packetsReceived += count;
  }

  /** The counters since the last call, which then start again. */
  take(timestampSeconds: number, durationSeconds: number, omittedSeconds: number | null): UdpReceiveInterval {
    const run = this.#jitter.take();
    const omitted: { omitted?: OmittedReceive } =
      omittedSeconds === null ? {} : { omitted: { durationSeconds: omittedSeconds, ...this.#omitted } };
    const interval: UdpReceiveInterval = {
      family: "udp",
      kind: "receive",
      timestampSeconds,
      durationSeconds,
      ...this.#all,
      packetsLost: this.#packetsLost,
      unbrokenSequence: run.packets,
      jitterSeconds: run.jitterSeconds,
      ...omitted,
    };
    this.#all = zero();
    this.#omitted = zero();
    this.#packetsLost = 0;
    return interval;
  }

  /** See `SequenceWindow.close`. */
  books(sentPackets: number | null, omittedPackets: number): UdpBooks {
    return this.#sequence.close(sentPackets, omittedPackets);
  }

  #judged(packet: ReceivedPacket, verdict: SequenceVerdict): void {
    switch (verdict) {
      case "in-order":
        this.#jitter.inOrder(packet.sentSeconds, packet.receivedSeconds);
        break;
      case "gap":
        this.#packetsLost += this.#sequence.skipped;
        this.#jitter.break();
        this.#jitter.inOrder(packet.sentSeconds, packet.receivedSeconds);
        break;
      case "late":
        // What is missing may be of an earlier interval, which is told already.
        if (this.#packetsLost > 0) this.#packetsLost--;
        this.#jitter.break();
        break;
      case "duplicate":
        this.#jitter.break();
        break;
      case "aside":
        // The caller may reuse its object.
        this.#aside = { ...packet };
        return;
      case "stray":
        return;
    }
    this.#count(this.#all, packet, verdict);
    if (packet.isOmitted) this.#count(this.#omitted, packet, verdict);
  }

  #count(counters: Counters, packet: ReceivedPacket, verdict: SequenceVerdict): void {
    counters.bytesReceived += packet.framedBytes;
    counters.packetsReceived++;
    if (verdict === "late") counters.packetsOutOfOrder++;
    if (verdict === "duplicate") counters.packetsDuplicated++;
  }
}

function zero(): Counters {
  return { bytesReceived: 0, packetsReceived: 0, packetsOutOfOrder: 0, packetsDuplicated: 0 };
}

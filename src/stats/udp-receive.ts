import type { OmittedReceive, UdpReceiveInterval } from "./interval.ts";
import { JitterMeter } from "./jitter.ts";
import { SequenceTracker } from "./sequence.ts";

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

/** Counts one interval's packets after another; the sequence goes on from each to the next. */
export class UdpReceiveStats {
  readonly #sequence = new SequenceTracker();
  readonly #jitter = new JitterMeter();
  #all = zero();
  #omitted = zero();
  #packetsLost = 0;

  add(packet: ReceivedPacket): void {
    const verdict = this.#sequence.judge(packet.packetId);
    this.#count(this.#all, packet, verdict);
    if (packet.isOmitted) this.#count(this.#omitted, packet, verdict);
    switch (verdict) {
      case "in-order":
        break;
      case "gap":
        this.#packetsLost += this.#sequence.skipped;
        this.#jitter.break();
        break;
      case "late":
        // What is missing may be of an earlier interval, which is told already.
        if (this.#packetsLost > 0) this.#packetsLost--;
        this.#jitter.break();
        return;
      case "duplicate":
        this.#jitter.break();
        return;
    }
    this.#jitter.inOrder(packet.sentSeconds, packet.receivedSeconds);
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

  #count(counters: Counters, packet: ReceivedPacket, verdict: string): void {
    counters.bytesReceived += packet.framedBytes;
    counters.packetsReceived++;
    if (verdict === "late") counters.packetsOutOfOrder++;
    if (verdict === "duplicate") counters.packetsDuplicated++;
  }
}

function zero(): Counters {
  return { bytesReceived: 0, packetsReceived: 0, packetsOutOfOrder: 0, packetsDuplicated: 0 };
}

import { type LossBursts, mean } from "./udp-books.ts";

/** What was lost of the ids that count: those from `firstId` on. */
export interface Losses {
  readonly firstId: number;
  readonly packets: number;
  /** Below `firstId`. */
  readonly packetsOmitted: number;
  readonly bursts: LossBursts;
}

/**
 * Adds up the ids that were lost, told in their order once nothing can come of them any more.
 *
 * How many ids `--omit` leaves out is known when the stream is over; until then the packets' marks tell: the least id
 * without a mark counts, and all below it are omitted, but for the run that was lost just below, which only the sender's
 * number can split.
 */
export class LossRuns {
  #countedFrom = Infinity;
  /** The run in hand: one that the window leaves bit by bit is still one. */
  #from = 0;
  #to = 0;
  #packets = 0;
  #bursts = 0;
  #longest = 0;
  #packetsOmitted = 0;
  /** The last run below `#countedFrom`. */
  #edgeFrom = 0;
  #edgeTo = 0;

  /** A packet without a mark came. */
  counted(packetId: number): void {
    if (packetId < this.#countedFrom) this.#countedFrom = packetId;
  }

  /** The ids from `from` up to `to`, not included, are lost, and no id from `to` on is known to be yet. */
  add(from: number, to: number): void {
    if (from !== this.#to) {
      this.#finishRun();
      this.#from = from;
    }
    this.#to = to;
  }

  /** The sum of a stream that ended before the id `end`; nothing may be added any more. */
  close(end: number, omittedPackets: number): Losses {
    this.#to = Math.max(this.#from, Math.min(this.#to, end));
    this.#finishRun();
    const countedFrom = Math.min(this.#countedFrom, end);
    const omittedAtMost = Math.min(omittedPackets, countedFrom);
    // The sender's count may lie below ids that came: a run above it is no edge, and one across it ends there.
    const isEdge = this.#edgeFrom < end && Math.min(this.#edgeTo, end) === countedFrom;
    const firstId = isEdge ? Math.max(omittedAtMost, this.#edgeFrom) : countedFrom;
    this.#packetsOmitted -= countedFrom - firstId;
    this.#addBurst(countedFrom - firstId);
    return this.#notAbove(end, firstId);
  }

  /** A sender's number below ids that the window left already contradicts them: no more can be lost than it sent. */
  #notAbove(end: number, firstId: number): Losses {
    const packets = Math.min(this.#packets, end - firstId);
    const count = Math.min(this.#bursts, packets);
    const bursts = { count, longestPackets: Math.min(this.#longest, packets), meanPackets: mean(packets, count) };
    return { firstId, packets, packetsOmitted: Math.min(this.#packetsOmitted, firstId), bursts };
  }

  /** Which side it is on is certain: whatever comes from now on has an id above it. */
  #finishRun(): void {
    const packets = this.#to - this.#from;
    if (this.#from >= this.#countedFrom) {
      this.#addBurst(packets);
      return;
    }
    this.#packetsOmitted += packets;
    this.#edgeFrom = this.#from;
    this.#edgeTo = this.#to;
  }

  #addBurst(packets: number): void {
    if (packets === 0) return;
    this.#bursts++;
    this.#packets += packets;
    this.#longest = Math.max(this.#longest, packets);
  }
}

import { BitRing } from "./bit-ring.ts";
import { LossRuns } from "./loss-runs.ts";
import { ReorderingMeter } from "./reordering-meter.ts";
import type { UdpBooks } from "./udp-books.ts";

/**
 * What one packet id is to the sequence so far. A gap lies before the packet, a late one fills a gap; what is aside or
 * stray is not of the sequence (as far as is known), and nothing but the count of strays changes with it.
 */
export type SequenceVerdict = "in-order" | "gap" | "late" | "duplicate" | "aside" | "stray";

/** A power of two: 128 KiB of bits, and half a second at 2 million packets a second. */
const WINDOW_PACKETS = 2 ** 20;
/** How far a packet may lie from the one put aside that it bears out: half of the packets between may be lost, and more. */
const NEAR_PACKETS = 1024;
/** No sender gets there; and sums of ids below stay exact. */
const ID_LIMIT = 2 ** 52;

/**
 * Keeps which of the latest ids came, so that a late packet, a duplicate and a loss are never confused, for a sequence
 * that begins with 0. What the window leaves without it having come is lost. The memory grows with what is missing
 * within the window: a stream in order keeps none of its ids.
 *
 * An id that leads out of the window is not believed at once, as in RFC 3550 A.1: its packet is put aside, until the
 * very next one ahead of the sequence bears it out (see `admits`), takes its place, or goes on with the sequence.
 */
export class SequenceWindow {
  /** Packets skipped by the last id judged a gap, or admitted. */
  skipped = 0;
  readonly #windowPackets: number;
  readonly #nearPackets: number;
  /** Holds the ids from `#firstMissing` up to `#next`. */
  readonly #came: BitRing;
  readonly #losses = new LossRuns();
  readonly #reordering = new ReorderingMeter();
  /** Above all ids so far: NextExp in RFC 4737. */
  #next = 0;
  /** Of those that may still come; `#next` when none is missing. */
  #firstMissing = 0;
  /** Behind the last id given up as lost: all from here up to `#firstMissing` came. */
  #certainFrom = 0;
  #unique = 0;
  #duplicated = 0;
  #stray = 0;
  /** The packet put aside, and the sequence's next id as it was then. */
  #aside: { readonly packetId: number; readonly isOmitted: boolean; readonly next: number } | null = null;

  /** A power of two, at least 32. */
  constructor(windowPackets = WINDOW_PACKETS) {
    this.#windowPackets = windowPackets;
    this.#nearPackets = Math.min(NEAR_PACKETS, windowPackets / 2);
    this.#came = new BitRing(windowPackets);
  }

  /** Ids that came, omitted ones included. */
  get packetsUnique(): number {
    return this.#unique;
  }

  /** Whether a packet of this id would be in order. */
  isNext(packetId: number): boolean {
    return packetId === this.#next;
  }

  /** So many packets came in order, behind one just judged, and marked as it was. */
  advance(count: number): void {
    const from = this.#next;
    const to = from + count;
    this.#leave(to - this.#windowPackets);
    this.#unique += count;
    this.#next = to;
    if (this.#firstMissing === from) {
      this.#firstMissing = to;
      return;
    }
    this.#came.hold(this.#firstMissing, from, to);
    this.#came.fill(true, from, to);
  }

  /**
   * To be asked before an id is judged, while a packet is aside: whether it bears that packet out. If so, that one is
   * now of the sequence, and no stray: the caller counts it as a gap of `skipped` before it has the id judged. Its place
   * among the arrivals is here.
   */
  admits(packetId: number): boolean {
    const aside = this.#aside;
    if (aside === null || aside.next !== this.#next) return false;
    const distance = Math.abs(packetId - aside.packetId);
    if (distance === 0 || distance > this.#nearPackets) return false;
    this.#aside = null;
    if (!aside.isOmitted) this.#stray--;
    this.#jump(aside.packetId, aside.isOmitted);
    return true;
  }

  /** Packets marked as omitted count in the sequence, but neither as duplicates, nor as reordered, nor as strays. */
  judge(packetId: number, isOmitted: boolean): SequenceVerdict {
    if (packetId === this.#next) {
      this.advance(1);
      if (!isOmitted) this.#losses.counted(packetId);
      return "in-order";
    }
    return packetId < this.#next ? this.#judgeBehind(packetId, isOmitted) : this.#judgeAhead(packetId, isOmitted);
  }

  /**
   * The final books; nothing may be judged any more. `sentPackets` is the sender's own count of all its packets, null if
   * unknown: ids from there on were never sent, so what came of them is stray, though whom it made late stays reordered.
   * `omittedPackets` are the first of them, left out of the books by `--omit`: it must agree with the marks in the
   * packets, which tell where no number can.
   */
  close(sentPackets: number | null, omittedPackets: number): UdpBooks {
    const end = sentPackets ?? this.#next;
    this.#leave(Math.min(end, this.#next));
    if (end > this.#next) this.#losses.add(this.#next, end);
    const { firstId, packets, packetsOmitted, bursts } = this.#losses.close(end, omittedPackets);
    return {
      packetsSent: sentPackets === null ? null : end - firstId,
      packetsUnique: end - firstId - packets,
      packetsLost: packets,
      packetsDuplicated: this.#duplicated,
      packetsStray: this.#stray + this.#unique - (end - packetsOmitted - packets),
      reordering: this.#reordering.result,
      bursts,
    };
  }

  #judgeAhead(packetId: number, isOmitted: boolean): SequenceVerdict {
    if (packetId < ID_LIMIT && packetId - this.#next < this.#windowPackets) {
      this.#jump(packetId, isOmitted);
      return "gap";
    }
    if (!isOmitted) this.#stray++;
    if (packetId >= ID_LIMIT) return "stray";
    this.#aside = { packetId, isOmitted, next: this.#next };
    return "aside";
  }

  #judgeBehind(packetId: number, isOmitted: boolean): SequenceVerdict {
    if (packetId < this.#certainFrom) {
      if (!isOmitted) this.#stray++;
      return "stray";
    }
    if (packetId < this.#firstMissing || this.#came.has(packetId)) {
      if (!isOmitted) this.#duplicated++;
      return "duplicate";
    }
    this.#came.fill(true, packetId, packetId + 1);
    if (!isOmitted) {
      this.#losses.counted(packetId);
      this.#reordering.late(packetId, this.#unique);
    }
    this.#unique++;
    if (packetId === this.#firstMissing) this.#setFirstMissing(this.#came.first(false, packetId, this.#next));
    return "late";
  }

  /** Takes in an id above the next one. */
  #jump(packetId: number, isOmitted: boolean): void {
    const from = this.#next;
    const windowFrom = packetId + 1 - this.#windowPackets;
    this.#leave(windowFrom);
    if (windowFrom > from) this.#giveUp(from, windowFrom, windowFrom);
    this.#came.hold(this.#firstMissing, from, packetId + 1);
    this.#came.fill(false, Math.max(from, windowFrom), packetId);
    this.#came.fill(true, packetId, packetId + 1);
    this.#reordering.skip(from, this.#unique);
    if (!isOmitted) this.#losses.counted(packetId);
    this.skipped = packetId - from;
    this.#unique++;
    this.#next = packetId + 1;
  }

  /** Nothing below `limit` is waited for any more. */
  #leave(limit: number): void {
    const end = Math.min(limit, this.#next);
    while (this.#firstMissing < end) {
      const to = this.#came.first(true, this.#firstMissing, end);
      this.#giveUp(this.#firstMissing, to, this.#came.first(false, to, this.#next));
    }
  }

  #giveUp(from: number, to: number, firstMissing: number): void {
    this.#losses.add(from, to);
    this.#certainFrom = to;
    this.#setFirstMissing(firstMissing);
  }

  #setFirstMissing(id: number): void {
    this.#firstMissing = id;
    this.#reordering.forgetBelow(id);
  }
}

import type { SequenceVerdict } from "../../../src/stats/sequence-window.ts";
import type { UdpBooks } from "../../../src/stats/udp-books.ts";

export interface Arrival {
  readonly id: number;
  readonly isOmitted: boolean;
}

/** What `SequenceWindow` is to say, from everything that ever came: simple, slow and without bounds. */
export class SequenceOracle {
  readonly #windowPackets: number;
  readonly #nearPackets: number;
  /** In their order, each once. */
  readonly #accepted: Arrival[] = [];
  readonly #ids = new Set<number>();
  readonly #extents: number[] = [];
  #aside: (Arrival & { readonly next: number }) | null = null;
  #next = 0;
  #duplicated = 0;
  #stray = 0;
  skipped = 0;

  constructor(windowPackets: number) {
    this.#windowPackets = windowPackets;
    this.#nearPackets = Math.min(1024, windowPackets / 2);
  }

  admits(id: number): boolean {
    const aside = this.#aside;
    if (aside === null || aside.next !== this.#next || id === aside.id) return false;
    if (Math.abs(id - aside.id) > this.#nearPackets) return false;
    this.#aside = null;
    if (!aside.isOmitted) this.#stray--;
    this.#accept(aside);
    return true;
  }

  judge(arrival: Arrival): SequenceVerdict {
    const { id, isOmitted } = arrival;
    if (id >= 2 ** 52 || id >= this.#next + this.#windowPackets || this.#isTooOld(id)) {
      if (!isOmitted) this.#stray++;
      if (id >= 2 ** 52 || id < this.#next) return "stray";
      this.#aside = { ...arrival, next: this.#next };
      return "aside";
    }
    if (this.#ids.has(id)) {
      if (!isOmitted) this.#duplicated++;
      return "duplicate";
    }
    if (id < this.#next) {
      // RFC 4737 section 4.2.1, to the letter.
      const earliest = this.#accepted.findIndex((earlier) => earlier.id > id);
      if (!isOmitted) this.#extents.push(this.#accepted.length - earliest);
      this.#accept(arrival);
      return "late";
    }
    this.#accept(arrival);
    return this.skipped === 0 ? "in-order" : "gap";
  }

  /** Whether ids from there on were already given up as lost, so that the sender's count contradicts what was kept. */
  gaveUpFrom(sentPackets: number): boolean {
    return this.#isTooOld(sentPackets);
  }

  /** The ids from `omittedPackets` up to the end are those that count. */
  books(sentPackets: number | null, omittedPackets: number): UdpBooks {
    const end = sentPackets ?? this.#next;
    const firstId = Math.min(omittedPackets, end);
    const unique = [...this.#ids].filter((id) => id >= firstId && id < end).toSorted((a, b) => a - b);
    const runs = [...unique, end].map((id, index) => id - ((unique[index - 1] ?? firstId - 1) + 1)).filter(Boolean);
    const mean = (values: number[]) =>
      values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      packetsSent: sentPackets === null ? null : end - firstId,
      packetsUnique: unique.length,
      packetsLost: end - firstId - unique.length,
      packetsDuplicated: this.#duplicated,
      packetsStray: this.#stray + [...this.#ids].filter((id) => id >= end).length,
      reordering: {
        packets: this.#extents.length,
        maxExtentPackets: Math.max(0, ...this.#extents),
        meanExtentPackets: mean(this.#extents),
      },
      bursts: { count: runs.length, longestPackets: Math.max(0, ...runs), meanPackets: mean(runs) },
    };
  }

  #accept(arrival: Arrival): void {
    this.skipped = Math.max(0, arrival.id - this.#next);
    this.#accepted.push(arrival);
    this.#ids.add(arrival.id);
    this.#next = Math.max(this.#next, arrival.id + 1);
  }

  /** Whether an id at or above it never came before the window left it. */
  #isTooOld(id: number): boolean {
    for (let other = this.#next - this.#windowPackets - 1; other >= id; other--) {
      if (!this.#ids.has(other)) return true;
    }
    return false;
  }
}

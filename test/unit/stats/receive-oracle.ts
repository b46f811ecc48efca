// What the books of a UDP receiver are to say (section 7 of the protocol's description), with a set of everything that ever
// came: no window that is reused, no bits, no running sums. Fast enough for a million packets.
import type { UdpBooks } from "../../../src/stats/udp-books.ts";

const WINDOW = 2 ** 20;
const NEAR = 1_024;
const ID_LIMIT = 2 ** 52;

export interface OraclePacket {
  readonly id: number;
  readonly isOmitted: boolean;
}

/** Of one interval. */
export interface OracleInterval {
  packetsReceived: number;
  packetsOutOfOrder: number;
  packetsDuplicated: number;
  packetsLost: number;
}

export class ReceiveOracle {
  readonly #came = new Set<number>();
  /** Of the sequence's packets, as they came: the highest id so far. It never falls. */
  readonly #highest: number[] = [];
  readonly #extents: number[] = [];
  #next = 0;
  /** All ids below have been looked at as they left the window. */
  #left = 0;
  /** Behind the last id that left the window without having come. */
  #certainFrom = 0;
  #aside: (OraclePacket & { readonly next: number }) | null = null;
  #duplicated = 0;
  #stray = 0;
  #interval = zero();

  packet(packet: OraclePacket): void {
    const { id, isOmitted } = packet;
    const aside = this.#aside;
    if (aside !== null && id >= this.#next && aside.next === this.#next) {
      const distance = Math.abs(id - aside.id);
      if (distance >= 1 && distance <= NEAR) {
        this.#aside = null;
        if (!aside.isOmitted) this.#stray -= 1;
        this.#take(aside.id, aside.isOmitted);
      }
    }
    const isFar = id >= ID_LIMIT || id >= this.#next + WINDOW;
    if (isFar || id < this.#certainFrom) {
      if (!isOmitted) this.#stray += 1;
      if (isFar && id < ID_LIMIT) this.#aside = { ...packet, next: this.#next };
    } else if (this.#came.has(id)) {
      this.#interval.packetsReceived += 1;
      this.#interval.packetsDuplicated += 1;
      if (!isOmitted) this.#duplicated += 1;
    } else this.#take(id, isOmitted);
  }

  /** Whether the window is past the id. */
  hasLeft(id: number): boolean {
    return this.#left > id;
  }

  takeInterval(): OracleInterval {
    const interval = this.#interval;
    this.#interval = zero();
    return interval;
  }

  /** The ids from `omittedPackets` up to `sentPackets`, or up to the highest that came, are those that count. */
  books(sentPackets: number | null, omittedPackets: number): UdpBooks {
    const end = sentPackets ?? this.#next;
    const first = Math.min(omittedPackets, end);
    const unique = [...this.#came].filter((id) => id >= first && id < end).toSorted((a, b) => a - b);
    const runs: number[] = [];
    let expected = first;
    for (const id of [...unique, end]) {
      if (id > expected) runs.push(id - expected);
      expected = id + 1;
    }
    return {
      packetsSent: sentPackets === null ? null : end - first,
      packetsUnique: unique.length,
      packetsLost: end - first - unique.length,
      packetsDuplicated: this.#duplicated,
      packetsStray: this.#stray + [...this.#came].filter((id) => id >= end).length,
      reordering: {
        packets: this.#extents.length,
        maxExtentPackets: most(this.#extents),
        meanExtentPackets: meanOf(this.#extents),
      },
      bursts: { count: runs.length, longestPackets: most(runs), meanPackets: meanOf(runs) },
    };
  }

  #take(id: number, isOmitted: boolean): void {
    const interval = this.#interval;
    interval.packetsReceived += 1;
    if (id < this.#next) {
      interval.packetsOutOfOrder += 1;
      if (interval.packetsLost > 0) interval.packetsLost -= 1;
      if (!isOmitted) this.#extents.push(this.#highest.length - this.#earliestAbove(id));
    } else interval.packetsLost += id - this.#next;
    this.#came.add(id);
    this.#next = Math.max(this.#next, id + 1);
    this.#highest.push(this.#next - 1);
    this.#leave();
  }

  /** RFC 4737, 4.2.1: the place of the first packet of a greater id. */
  #earliestAbove(id: number): number {
    let low = 0;
    let high = this.#highest.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#highest[middle] ?? 0) > id) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #leave(): void {
    const windowFrom = this.#next - WINDOW;
    // Nothing near came at all where the sequence leapt.
    if (windowFrom - this.#left > WINDOW) {
      this.#certainFrom = windowFrom;
      this.#left = windowFrom;
    }
    for (; this.#left < windowFrom; this.#left += 1) {
      if (!this.#came.has(this.#left)) this.#certainFrom = this.#left + 1;
    }
  }
}

function zero(): OracleInterval {
  return { packetsReceived: 0, packetsOutOfOrder: 0, packetsDuplicated: 0, packetsLost: 0 };
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), 0);
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

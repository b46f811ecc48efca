import { mean, type Reordering } from "./udp-books.ts";

const FIRST_GAPS = 64;
/** Of so many gaps the arrivals are remembered: 256 KiB, in the worst case. */
const MOST_GAPS = 2 ** 14;

/**
 * Extents of reordering, RFC 4737 section 4.2.1. The earliest packet of a greater id than a late one's is the one that
 * left a gap there: each open gap remembers when that came. Times are positions among all arrivals, duplicates and
 * strays apart.
 */
export class ReorderingMeter {
  /** Rings, the oldest gap at `#head`: where each begins, and at which position the packet behind it came. */
  #firstIds = new Float64Array(FIRST_GAPS);
  #positions = new Float64Array(FIRST_GAPS);
  #head = 0;
  #gaps = 0;
  #packets = 0;
  #extents = 0;
  #maxExtent = 0;

  /** The packet at `position` left a gap that begins at `firstId`, above all gaps so far. */
  skip(firstId: number, position: number): void {
    if (this.#gaps === this.#firstIds.length) this.#makeRoom();
    const index = this.#indexOf(this.#gaps++);
    this.#firstIds[index] = firstId;
    this.#positions[index] = position;
  }

  /** No id below is late any more. */
  forgetBelow(id: number): void {
    while (this.#gaps > 1 && this.#firstIdOf(1) <= id) this.#dropOldest();
  }

  /** A late packet came at `position`; of a gap that is forgotten, its extent counts as what it is at least. */
  late(packetId: number, position: number): void {
    const extent = position - (this.#positions[this.#indexOf(this.#gapOf(packetId))] ?? position);
    this.#packets++;
    this.#extents += extent;
    this.#maxExtent = Math.max(this.#maxExtent, extent);
  }

  get result(): Reordering {
    return {
      packets: this.#packets,
      maxExtentPackets: this.#maxExtent,
      meanExtentPackets: mean(this.#extents, this.#packets),
    };
  }

  /** The last gap that begins at or below the id, by halves; the oldest when all begin above. */
  #gapOf(packetId: number): number {
    let low = 0;
    let high = this.#gaps;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#firstIdOf(middle) <= packetId) low = middle;
      else high = middle;
    }
    return low;
  }

  #makeRoom(): void {
    if (this.#gaps === MOST_GAPS) {
      this.#dropOldest();
      return;
    }
    this.#firstIds = doubled(this.#firstIds, this.#head);
    this.#positions = doubled(this.#positions, this.#head);
    this.#head = 0;
  }

  #dropOldest(): void {
    this.#head = this.#indexOf(1);
    this.#gaps--;
  }

  #firstIdOf(gap: number): number {
    return this.#firstIds[this.#indexOf(gap)] ?? 0;
  }

  #indexOf(gap: number): number {
    return (this.#head + gap) & (this.#firstIds.length - 1);
  }
}

/** A full ring in one of twice its length, from index 0 on. */
function doubled(ring: Float64Array, head: number): Float64Array<ArrayBuffer> {
  const longer = new Float64Array(ring.length * 2);
  longer.set(ring.subarray(head));
  longer.set(ring.subarray(0, head), ring.length - head);
  return longer;
}

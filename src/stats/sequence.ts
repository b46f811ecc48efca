/** What one packet id is to the sequence so far. */
export type SequenceVerdict = "in-order" | "gap" | "late" | "duplicate";

/**
 * Judges packet ids as the original does: the expected id lives as long as the stream. A lower id is late while
 * packets are missing, and a duplicate otherwise; unlike there, the count of missing packets outlives the interval, so
 * that a packet late across a boundary is not taken for a duplicate.
 */
export class SequenceTracker {
  #expectedId = 0;
  #missing = 0;

  /** Packets skipped by the last id judged a gap. */
  skipped = 0;

  /** Whether a packet of this id would be in order. */
  isNext(packetId: number): boolean {
    return packetId === this.#expectedId;
  }

  /** So many packets came in order. */
  advance(count: number): void {
    this.#expectedId += count;
  }

  judge(packetId: number): SequenceVerdict {
    if (packetId >= this.#expectedId) {
      this.skipped = packetId - this.#expectedId;
      this.#missing += this.skipped;
      this.#expectedId = packetId + 1;
      return this.skipped === 0 ? "in-order" : "gap";
    }
    if (this.#missing === 0) return "duplicate";
    this.#missing--;
    return "late";
  }
}

const BITS_PER_WORD = 32;
/** A stream in order holds no more than 512 bytes. */
const FIRST_BITS = 2 ** 12;

/**
 * One bit for each id of a range that only moves up; it grows to the widest range it was asked to hold. Bits outside of
 * the range mean nothing. Ids may be any safe integers: bitwise operators take them modulo 2^32, and the length is a
 * power of two below that.
 */
export class BitRing {
  #words: Int32Array;

  /** For ranges of at most `mostBits` ids: a power of two, at least 32. */
  constructor(mostBits: number) {
    this.#words = new Int32Array(Math.min(mostBits, FIRST_BITS) / BITS_PER_WORD);
  }

  /** Makes room for the ids from `from` up to `to`, not included; bits below `keptTo` keep their values. */
  hold(from: number, keptTo: number, to: number): void {
    const old = this.#words;
    let length = old.length;
    while (length * BITS_PER_WORD < to - from) length *= 2;
    if (length === old.length) return;
    this.#words = new Int32Array(length);
    for (let at = from - (from % BITS_PER_WORD); at < keptTo; at += BITS_PER_WORD) {
      this.#words[this.#indexOf(at)] = old[(at >>> 5) & (old.length - 1)] ?? 0;
    }
  }

  has(id: number): boolean {
    return ((this.#words[this.#indexOf(id)] ?? 0) & (1 << id)) !== 0;
  }

  /** Gives all bits from `from` up to `to`, not included, one value: a word at a time. */
  fill(value: boolean, from: number, to: number): void {
    for (let at = from; at < to;) {
      const bit = at & (BITS_PER_WORD - 1);
      const count = Math.min(BITS_PER_WORD - bit, to - at);
      const mask = (count === BITS_PER_WORD ? -1 : (1 << count) - 1) << bit;
      const index = this.#indexOf(at);
      const word = this.#words[index] ?? 0;
      this.#words[index] = value ? word | mask : word & ~mask;
      at += count;
    }
  }

  /** The first id from `from` on whose bit has the value; `to` when none below has. */
  first(value: boolean, from: number, to: number): number {
    for (let at = from; at < to;) {
      const bit = at & (BITS_PER_WORD - 1);
      const word = this.#words[this.#indexOf(at)] ?? 0;
      const rest = (value ? word : ~word) >>> bit;
      if (rest !== 0) return Math.min(to, at + trailingZeros(rest));
      at += BITS_PER_WORD - bit;
    }
    return to;
  }

  #indexOf(id: number): number {
    return (id >>> 5) & (this.#words.length - 1);
  }
}

function trailingZeros(word: number): number {
  return BITS_PER_WORD - 1 - Math.clz32(word & -word);
}

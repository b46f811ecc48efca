// Chance that can be had again: numbers that follow from a seed, told by the environment or drawn, and always printed.

/** Marsaglia's xorshift32 with a multiplied output: cheap, and more than random enough to choose by. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds that are near each other begin far apart; 0 would stay 0.
    this.#state = (Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ (seed >>> 13)) | 0 || 1;
  }

  /** 0 to 2^32 − 1. */
  uint32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return Math.imul(x, 0x9e37_79b1) >>> 0;
  }

  /** 0 to `below` − 1. */
  below(below: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * below);
  }

  /** Both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.uint32() & 0xff);
  }
}

/** The seed that `variable` of the environment tells, or a new one. Prints how to have the same again. */
export function seedOf(variable: string): number {
  const told = process.env[variable];
  const seed = told === undefined || told === "" ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(told);
  if (seed === undefined || !Number.isInteger(seed)) throw new Error(`${variable} is no whole number: ${told}`);
  console.log(`  ${variable}=${seed}`);
  return seed;
}

/** A whole number that `variable` of the environment tells, or the usual one. */
export function countOf(variable: string, usual: number): number {
  const told = process.env[variable];
  return told === undefined || told === "" ? usual : Number(told);
}

/** Sums up connections that are closed one after the other, so that a flood of them is told of once in a while. */
export class ClosingTally {
  readonly #everySeconds: number;
  #count = 0;
  #toldAtSeconds = -Infinity;

  constructor(everySeconds: number) {
    this.#everySeconds = everySeconds;
  }

  /** One more was closed. Seconds until `take` is due; null when that was said before. */
  add(nowSeconds: number): number | null {
    this.#count++;
    return this.#count > 1 ? null : Math.max(0, this.#toldAtSeconds + this.#everySeconds - nowSeconds);
  }

  /** How many were closed since the last time. */
  take(nowSeconds: number): number {
    const count = this.#count;
    this.#count = 0;
    this.#toldAtSeconds = nowSeconds;
    return count;
  }
}

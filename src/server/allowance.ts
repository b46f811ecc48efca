/** So many at once, and one more each so many seconds: what is asked for too often is put off. */
export class Allowance {
  readonly #most: number;
  readonly #everySeconds: number;
  #left: number;
  #atSeconds: number;

  constructor(most: number, everySeconds: number, nowSeconds: number) {
    this.#most = most;
    this.#everySeconds = everySeconds;
    this.#left = most;
    this.#atSeconds = nowSeconds;
  }

  /** Whether there is one; then it is taken. */
  take(nowSeconds: number): boolean {
    this.#left = Math.min(this.#most, this.#left + (nowSeconds - this.#atSeconds) / this.#everySeconds);
    this.#atSeconds = nowSeconds;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

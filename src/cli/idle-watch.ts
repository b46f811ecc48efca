/** Tells when a server had nothing to do for a while. Time comes as an argument, in seconds of a clock that never steps. */
export class IdleWatch {
  readonly #timeoutSeconds: number;
  #busySeconds: number;

  constructor(timeoutSeconds: number, nowSeconds: number) {
    this.#timeoutSeconds = timeoutSeconds;
    this.#busySeconds = nowSeconds;
  }

  /** A test runs, or begins. */
  busy(nowSeconds: number): void {
    this.#busySeconds = nowSeconds;
  }

  isOver(nowSeconds: number): boolean {
    return nowSeconds - this.#busySeconds >= this.#timeoutSeconds;
  }
}

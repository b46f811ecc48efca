/** Tells how long this thread itself was kept from running: what was silent meanwhile may have been heard had it listened. */
export class OwnStalls {
  readonly #tickMs: number;
  #lastMs: number;
  #stalledMs = 0;

  /** `sinceRestartMs` is to be called every `tickMs`, or oftener; all times are of one monotonic clock. */
  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#lastMs = nowMs;
  }

  /** So many ms since the last `restart`, a stall included that ends just now: a call that comes late tells of one. */
  sinceRestartMs(nowMs: number): number {
    this.#stalledMs += Math.max(0, nowMs - this.#lastMs - this.#tickMs);
    this.#lastMs = nowMs;
    return this.#stalledMs;
  }

  restart(nowMs: number): void {
    this.#stalledMs = 0;
    this.#lastMs = nowMs;
  }
}

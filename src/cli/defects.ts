/** What becomes of an error that nobody caught. */
export class DefectNet {
  #onDefect: (error: unknown) => void;

  /** Until another is told to, `onDefect` gets them. */
  constructor(onDefect: (error: unknown) => void) {
    this.#onDefect = onDefect;
    // Without listeners Bun would print a trace, and end with 1 or not at all.
    for (const event of ["uncaughtException", "unhandledRejection"]) {
      process.on(event, (error: unknown) => this.#onDefect(error));
    }
  }

  /** From now on `onDefect` gets them. */
  handOver(onDefect: (error: unknown) => void): void {
    this.#onDefect = onDefect;
  }
}

import { systemCodeOf } from "../errors.ts";

/** One of the process's standard streams, written in order and to the end. */
export interface Output {
  readonly isTerminal: boolean;
  /** False off a terminal, and where NO_COLOR asks for none. */
  readonly hasColour: boolean;
  /** Aborted when nobody reads any more (`| head`), or a write failed otherwise; what is written later is dropped. */
  readonly ended: AbortSignal;
  /** The system's code of the write that failed, such as EPIPE or ENOSPC; null while all is well. */
  readonly failure: string | null;
  /** Columns of the terminal; 0 = not known. */
  columns(): number;
  /** Writes that failed, where others may succeed behind them. */
  readonly failedWrites: number;
  /** Characters that were written, and that nobody has read yet. */
  readonly pendingChars: number;
  write(text: string): void;
  /** Resolves when everything written so far has left the process; never rejects, see `failure`. */
  flush(): Promise<void>;
}

/** What is used of `process.stdout` and `process.stderr`. */
type StandardStream = Pick<NodeJS.WriteStream, "isTTY" | "columns" | "on"> & {
  write(text: string, done: (error?: Error | null) => void): boolean;
};

/**
 * Wraps a standard stream. `process.exit` cuts a pipe at what the kernel took so far, so a program that ends through
 * it awaits `flush` first. (`Bun.write(Bun.stdout, …)` would do for pipes, but leaves holes in a file opened by `>>`.)
 * A log goes on behind a write that failed: a disk that was full may have room again; only a reader is gone for good.
 */
export function createOutput(stream: StandardStream, hasColour: boolean, isLog = false): Output {
  const ended = new AbortController();
  let failure: string | null = null;
  let failedWrites = 0;
  let pendingChars = 0;
  let lastWrite: Promise<void> = Promise.resolve();

  function fail(error: unknown): void {
    if (isLog && systemCodeOf(error) !== "EPIPE") return;
    failure ??= systemCodeOf(error) ?? "EIO";
    ended.abort();
  }

  // A stream's error event without a listener would end the process.
  stream.on("error", fail);
  return {
    isTerminal: stream.isTTY,
    hasColour,
    ended: ended.signal,
    get failure() {
      return failure;
    },
    get failedWrites() {
      return failedWrites;
    },
    get pendingChars() {
      return pendingChars;
    },
    columns: () => stream.columns ?? 0,
    write(text) {
      if (failure !== null) return;
      pendingChars += text.length;
      // Writes finish in order, so the last one stands for all.
      lastWrite = new Promise((resolve) => {
        stream.write(text, (error) => {
          pendingChars -= text.length;
          if (error) {
            failedWrites++;
            fail(error);
          }
          resolve();
        });
      });
    },
    flush: () => lastWrite,
  };
}

// Programs on a terminal of their own, to see what a person would see.
import { internals, ROOT, type ProcessOptions } from "./process.ts";

export interface TerminalOptions extends Omit<ProcessOptions, "input"> {
  /** 80 × 24 unless told. */
  readonly columns?: number;
  readonly rows?: number;
}

export interface TerminalProcess {
  readonly pid: number;
  /** What the program wrote so far, standard output and error as one, escape sequences and "\r\n" included. */
  readonly output: string;
  /** Resolves to the exit status once the program has ended and its output is read. */
  readonly exited: Promise<number>;
  /** Types: "\x03" is Ctrl-C. */
  write(text: string): void;
  resize(columns: number, rows: number): void;
  kill(signal?: NodeJS.Signals): void;
  /** As RunningProcess.waitForOutput. */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
}

/** Starts a program on a new terminal; killed at the end of the test file. */
export function startOnTerminal(command: readonly string[], options: TerminalOptions = {}): TerminalProcess {
  const transcript = new internals.Transcript();
  const decoder = new TextDecoder();
  const closed = Promise.withResolvers<void>();
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? ROOT,
    // A caller's wish for or against colour must not decide what the test sees.
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, TERM: "xterm-256color", ...options.env },
    // Options and not a `new Bun.Terminal`: only so is it the program's controlling terminal (bun 1.4.5), as Ctrl-C needs.
    terminal: {
      cols: options.columns ?? 80,
      rows: options.rows ?? 24,
      data: (_terminal, bytes) => transcript.append(decoder.decode(bytes, { stream: true })),
      exit: () => closed.resolve(),
    },
  });
  const { terminal } = child;
  if (terminal === undefined) throw new Error("Bun.spawn gave no terminal");
  internals.running.add(child);
  const exited = child.exited.then(async (code) => {
    internals.running.delete(child);
    // The last output may still be in the terminal; its end comes as `exit`, but not while a grandchild holds it open.
    await Promise.race([closed.promise, Bun.sleep(500)]);
    terminal.close();
    return code;
  });
  return {
    pid: child.pid,
    get output() {
      return transcript.text;
    },
    exited,
    write: (text) => {
      terminal.write(text);
    },
    resize: (columns, rows) => terminal.resize(columns, rows),
    kill: (signal = "SIGTERM") => child.kill(signal),
    waitForOutput: (pattern, timeoutMs = 10_000) => internals.waitFor([transcript], exited, pattern, timeoutMs),
  };
}

/** Runs a program to its end on a new terminal. */
export async function runOnTerminal(
  command: readonly string[],
  options: TerminalOptions = {},
): Promise<{ code: number; output: string }> {
  const child = startOnTerminal(command, options);
  const code = await child.exited;
  return { code, output: child.output };
}

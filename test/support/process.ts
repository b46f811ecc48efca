// Child processes for tests. What a test file starts is killed at the file's end, by preload.ts.

export const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

export interface ProcessOptions {
  /** Added to this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  readonly input?: string;
}

export interface RunOptions extends ProcessOptions {
  /** The process is killed and the run fails after this long; 30 s unless told. */
  readonly timeoutMs?: number;
}

export interface RunningProcess {
  readonly pid: number;
  /** Standard output so far. Whole once `exited` has resolved. */
  readonly stdout: string;
  /** Standard error so far. Whole once `exited` has resolved. */
  readonly stderr: string;
  /** Resolves to the exit status (128 + number for a signal) once the process has ended and its output is read. */
  readonly exited: Promise<number>;
  kill(signal?: NodeJS.Signals): void;
  /**
   * Resolves to the first match of `pattern` in standard output or, failing that, standard error. Rejects, quoting both,
   * after `timeoutMs` (10 s unless told) or when the process ends without it.
   */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<Bun.Subprocess>();

/** How long a process that ended may leave its pipes open in other hands (a grandchild) before we stop reading. */
const PIPE_GRACE_MS = 2_000;

/** Text that arrives over time, and those who wait for something in it. */
class Transcript {
  text = "";
  readonly #listeners = new Set<() => void>();

  append(more: string): void {
    this.text += more;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

async function collect(stream: ReadableStream<Uint8Array>, into: Transcript): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) into.append(decoder.decode(chunk, { stream: true }));
  into.append(decoder.decode());
}

/** Waits for `pattern` in any of the transcripts; shared with pty.ts. */
function waitFor(
  transcripts: readonly Transcript[],
  ended: Promise<unknown>,
  pattern: RegExp,
  timeoutMs: number,
): Promise<RegExpExecArray> {
  const find = () => {
    for (const { text } of transcripts) {
      const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).exec(text);
      if (match !== null) return match;
    }
    return null;
  };
  const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
  const check = () => {
    const match = find();
    if (match !== null) resolve(match);
  };
  const fail = (why: string) => {
    const seen = transcripts.map(({ text }) => text).join("\n--\n");
    reject(new Error(`${why} without ${pattern} in its output:\n${seen}`));
  };
  const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
  const unsubscribe = transcripts.map((transcript) => transcript.onChange(check));
  check();
  void ended.then(() => {
    check();
    fail("the process ended");
  });
  return promise.finally(() => {
    clearTimeout(timer);
    for (const stop of unsubscribe) stop();
  });
}

/** Starts a process and returns at once. Throws when there is no such program. */
export function startProcess(command: readonly string[], options: ProcessOptions = {}): RunningProcess {
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  const stdout = new Transcript();
  const stderr = new Transcript();
  const reading = Promise.all([collect(child.stdout, stdout), collect(child.stderr, stderr)]);
  const exited = child.exited.then(async (code) => {
    running.delete(child);
    await Promise.race([reading, Bun.sleep(PIPE_GRACE_MS)]);
    return code;
  });
  return {
    pid: child.pid,
    get stdout() {
      return stdout.text;
    },
    get stderr() {
      return stderr.text;
    },
    exited,
    kill: (signal = "SIGTERM") => child.kill(signal),
    waitForOutput: (pattern, timeoutMs = 10_000) => waitFor([stdout, stderr], exited, pattern, timeoutMs),
  };
}

/** Runs a process to its end. Any exit status is a result; running out of time is an error. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { timeoutMs = 30_000, ...rest } = options;
  const child = startProcess(command, rest);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const code = await child.exited;
  clearTimeout(timer);
  if (late) {
    throw new Error(`${command.join(" ")} had not ended after ${timeoutMs} ms:\n${child.stdout}\n--\n${child.stderr}`);
  }
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** The command line of this checkout's rperf. */
export function rperf(...args: readonly string[]): string[] {
  return [process.execPath, `${ROOT}/src/main.ts`, ...args];
}

/** Kills everything that is still running, by process id, and waits until it is gone. */
export async function stopEverything(): Promise<void> {
  const children = [...running];
  running.clear();
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
}

/** For the other files of test/support. */
export const internals = { Transcript, collect, waitFor, running };

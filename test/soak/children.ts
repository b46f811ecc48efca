// Processes of child.ts, and what they hold at the end that they did not at the beginning.
import { ROOT } from "../support/process.ts";
import type {
  Answer,
  HostileOrder,
  Measured,
  MeasureOrder,
  Order,
  Outcomes,
  PlacesOrder,
  RunOrder,
  State,
  StateOrder,
} from "./child.ts";

/** Timers are counted as objects: some that are cancelled outlast a collection, for the stack may still hold their addresses. */
const UNCOLLECTED_TIMERS = 5;

export const CHILD_PROGRAM: readonly string[] = [process.execPath, `${ROOT}/test/soak/child.ts`];

/** One process of child.ts; it serves orders side by side. */
export class Child {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #ready = Promise.withResolvers<void>();
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #ended: Error | null = null;

  constructor(command: readonly string[]) {
    this.#process = Bun.spawn([...command], { cwd: ROOT, stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    // Who asks hears of it; a child that is killed while nobody asks anything is no error.
    this.#ready.promise.catch(() => {});
    void this.#read();
  }

  get pid(): number {
    return this.#process.pid;
  }

  isReady(): Promise<void> {
    return this.#ready.promise;
  }

  /** Rejects when the process ends without an answer. */
  async ask(order: StateOrder): Promise<State>;
  async ask(order: RunOrder | HostileOrder | PlacesOrder): Promise<Outcomes>;
  async ask(order: MeasureOrder): Promise<Measured>;
  async ask(order: Order): Promise<unknown> {
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<unknown>();
    if (this.#ended !== null) throw this.#ended;
    this.#asked.set(id, answer);
    void this.#process.stdin.write(`${JSON.stringify({ id, order })}\n`);
    await this.#process.stdin.flush();
    return answer.promise;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async end(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#process.stdout)) {
      const { id, answer } = JSON.parse(line) as Answer;
      if (id === 0) this.#ready.resolve();
      this.#asked.get(id)?.resolve(answer);
      this.#asked.delete(id);
    }
    const ended = new Error(`a child ended: exit ${await this.#process.exited}`);
    this.#ended = ended;
    this.#ready.reject(ended);
    for (const { reject } of this.#asked.values()) reject(ended);
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}

/** What is held that was not, one line each. */
export function leftovers(who: string, idle: State, end: State): readonly string[] {
  return (["descriptors", "workers", "timers", "clients"] as const)
    .filter((what) => end[what] > idle[what] + (what === "timers" ? UNCOLLECTED_TIMERS : 0))
    .map((what) => `${who}: ${end[what]} ${what} at the end, ${idle[what]} at the beginning`);
}

export function tellState({ rssMiB, heapMiB, descriptors, workers, timers, clients }: State): string {
  return `${rssMiB} MiB (heap ${heapMiB}), ${descriptors} descriptors, ${workers} Workers, ${timers} timers, ${clients} clients`;
}

/** Adds up what several runs came to. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(outcomes: Outcomes, prefix = ""): void {
    for (const [name, count] of Object.entries(outcomes)) {
      this.#counts.set(prefix + name, (this.#counts.get(prefix + name) ?? 0) + count);
    }
  }

  get sorted(): readonly (readonly [name: string, count: number])[] {
    return [...this.#counts].toSorted(([a], [b]) => a.localeCompare(b));
  }

  print(): void {
    for (const [name, count] of this.sorted) console.log(`${String(count).padStart(7)} ${name}`);
  }
}

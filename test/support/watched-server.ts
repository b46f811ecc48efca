// A server whose events and holdings a test can see: open descriptors, Worker threads and clients. Linux only (/proc).
import { readdirSync, readFileSync } from "node:fs";

import type { ServerEvent, ServerOptions } from "../../src/index.ts";
import { eventually } from "./eventually.ts";
import { ROOT, type RunningProcess, startProcess } from "./process.ts";
import { RawClient } from "./raw-client.ts";

export interface Holdings {
  readonly descriptors: number;
  /** Threads that Bun's Workers run on. */
  readonly workers: number;
  /** Control connections. */
  readonly clients: number;
}

type Line = ServerEvent | { readonly type: "clients"; readonly count: number };

function countOf(read: () => number): number {
  try {
    return read();
  } catch {
    return 0; // the process is gone
  }
}

export function descriptorsOf(pid: number): number {
  return countOf(() => readdirSync(`/proc/${pid}/fd`).length);
}

/** Bun names the threads of its Workers so. */
export function workersOf(pid: number): number {
  return countOf(
    () =>
      readdirSync(`/proc/${pid}/task`).filter((thread) => {
        try {
          return readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim() === "Worker";
        } catch {
          return false; // ended meanwhile
        }
      }).length,
  );
}

export class WatchedServer {
  readonly port: number;
  readonly #process: RunningProcess;
  readonly #parsed: Line[] = [];
  #parsedChars = 0;
  /** How many events there were before each client connected: the system gives ports out again. */
  readonly #before = new WeakMap<RawClient, number>();

  private constructor(process: RunningProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** Starts on a free port of 127.0.0.1, unless told otherwise; `descriptors`: the most it may have open. */
  static async start(options: ServerOptions = {}, descriptors?: number): Promise<WatchedServer> {
    const all = { bindAddress: "127.0.0.1", port: 0, ...options };
    const command = [process.execPath, `${ROOT}/test/support/server-child.ts`, JSON.stringify(all)];
    const limit = ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh"];
    const child = startProcess(descriptors === undefined ? command : [...limit, ...command]);
    const listening = await child.waitForOutput(/"type":"listening".*"port":(\d+)/);
    return new WatchedServer(child, Number(listening[1]));
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What it wrote to standard error: empty, unless something escaped it. */
  get stderr(): string {
    return this.#process.stderr;
  }

  get events(): readonly ServerEvent[] {
    return this.#lines().filter((line) => line.type !== "clients");
  }

  /** A client by hand. */
  async connect(host = "127.0.0.1"): Promise<RawClient> {
    const before = this.events.length;
    const client = await RawClient.connect(this.port, host);
    this.#before.set(client, before);
    return client;
  }

  eventsOf(client: RawClient): readonly ServerEvent[] {
    const since = this.events.slice(this.#before.get(client) ?? 0);
    return since.filter((event) => "client" in event && event.client === client.name);
  }

  refusalsOf(client: RawClient): readonly string[] {
    return this.eventsOf(client).flatMap((event) => (event.type === "client-refused" ? [event.message] : []));
  }

  get holdings(): Holdings {
    const told = this.#lines().findLast((line) => line.type === "clients");
    return {
      descriptors: descriptorsOf(this.pid),
      workers: workersOf(this.pid),
      clients: told?.type === "clients" ? told.count : 0,
    };
  }

  /** Resolves once the server holds no more than `baseline` in any respect. */
  async isBackTo(baseline: Holdings, timeoutMs = 8_000): Promise<void> {
    await eventually(
      `back to ${JSON.stringify(baseline)}`,
      () => this.holdings,
      ({ descriptors, workers, clients }) =>
        descriptors <= baseline.descriptors && workers <= baseline.workers && clients <= baseline.clients,
      timeoutMs,
    );
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#process.kill(signal);
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  #lines(): readonly Line[] {
    const text = this.#process.stdout;
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(this.#parsedChars, end).split("\n")) {
      if (line !== "") this.#parsed.push(JSON.parse(line) as Line);
    }
    this.#parsedChars = end;
    return this.#parsed;
  }
}

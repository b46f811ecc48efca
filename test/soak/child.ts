// One end of a soak test in a process of its own: a server, or many clients by the library. Orders come as lines of JSON
// on standard input, answers go out as such. Whoever is asked for its state tells what it holds.
import { heapStats } from "bun:jsc";

import { RperfError, runClient, type RperfServer, type TestOptions } from "../../src/index.ts";
import { makeServerConfig } from "../../src/config/server-config.ts";
import { listen } from "../../src/server/start-server.ts";
import { TestRegistry } from "../../src/server/test-registry.ts";
import { spawnWorker } from "../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../src/workers/stream-worker-pool.ts";
import { descriptorsOf, workersOf } from "../support/watched-server.ts";

export type Order = { readonly kind: "state" } | { readonly kind: "run"; readonly tests: readonly TestOptions[] };

export interface State {
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly descriptors: number;
  readonly workers: number;
  /** Timers that are referred to from somewhere, fired or not. */
  readonly timers: number;
  /** Of a server: connections, and tests that go on without one. */
  readonly clients: number;
}

/** Each outcome with its reason's code, or the code of the error with which a test did not begin: how often. */
export type Outcomes = Readonly<Record<string, number>>;

/** How long this server keeps results: short enough for the soak to see them go. */
export const KEEP_MS = 4_000;

function stateOf(server: RperfServer | null): State {
  Bun.gc(true);
  const { objectTypeCounts } = heapStats();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    rssMiB: Math.round(rss / 2 ** 20),
    heapMiB: Math.round(heapUsed / 2 ** 20),
    descriptors: descriptorsOf(process.pid),
    workers: workersOf(process.pid),
    timers: objectTypeCounts["Timeout"] ?? 0,
    clients: server?.clients ?? 0,
  };
}

async function runAll(tests: readonly TestOptions[]): Promise<Outcomes> {
  const outcomes: Record<string, number> = {};
  await Promise.all(
    tests.map(async (options) => {
      const ended = await runClient(options).then(
        ({ outcome, reason }) => (reason === null ? outcome : `${outcome} (${reason.code})`),
        (error: unknown) => `not begun (${error instanceof RperfError ? error.code : String(error)})`,
      );
      outcomes[ended] = (outcomes[ended] ?? 0) + 1;
    }),
  );
  return outcomes;
}

if (import.meta.main) {
  const say = (line: object) => console.log(JSON.stringify(line));
  const port = Number(process.argv[2] ?? 0);
  const server =
    port === 0
      ? null
      : listen(makeServerConfig({ port }), new StreamWorkerPool(spawnWorker), () => {}, new TestRegistry(KEEP_MS));
  say({ ready: true });
  for await (const line of console) {
    const order = JSON.parse(line) as Order;
    say(order.kind === "state" ? stateOf(server) : await runAll(order.tests));
  }
}

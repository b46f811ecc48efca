// One end of a soak test in a process of its own: a server, or many clients by the library, or hostile ones. Orders come as
// lines of JSON on standard input, answers go out as such. Whoever is asked for its state tells what it holds.
//
//   child.ts [port [client limit [address]]]     a server where there is a port
import { heapStats } from "bun:jsc";

import { RperfError, runClient, type RperfServer, type TestOptions } from "../../src/index.ts";
import { makeServerConfig } from "../../src/config/server-config.ts";
import { listen } from "../../src/server/start-server.ts";
import { TestRegistry } from "../../src/server/test-registry.ts";
import { spawnWorker } from "../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../src/workers/stream-worker-pool.ts";
import { Random } from "../support/random.ts";
import { downloadConfiguration, RawClient } from "../support/raw-client.ts";
import { descriptorsOf, workersOf } from "../support/watched-server.ts";
import { runHostile, type Target } from "./hostile-sessions.ts";

export interface StateOrder {
  readonly kind: "state";
}
/** All at once. */
export interface RunOrder {
  readonly kind: "run";
  readonly tests: readonly TestOptions[];
}
/** One session of a hostile client. */
export interface HostileOrder extends Target {
  readonly kind: "hostile";
  readonly seed: number;
}
/** One test, and what it measured. */
export interface MeasureOrder {
  readonly kind: "measure";
  readonly test: TestOptions;
}
/** So many clients that are configured at the same time: the kinds of the server's answers. */
export interface PlacesOrder extends Target {
  readonly kind: "places";
  readonly count: number;
}
export type Order = StateOrder | RunOrder | HostileOrder | MeasureOrder | PlacesOrder;

/** Id 0: the process is ready. */
export interface Answer {
  readonly id: number;
  readonly answer: unknown;
}

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

export interface Measured {
  readonly outcome: string;
  /** What arrived. */
  readonly bitsPerSecond: number;
  /** Of the packets sent; 0 for TCP. */
  readonly lossShare: number;
}

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
        ({ outcome, reason }) => (reason === null ? outcome : `${outcome} (${reason.code}: ${reason.message})`),
        (error: unknown) =>
          `not begun (${error instanceof RperfError ? `${error.code}: ${error.message}` : String(error)})`,
      );
      outcomes[ended] = (outcomes[ended] ?? 0) + 1;
    }),
  );
  return outcomes;
}

async function measure(test: TestOptions): Promise<Measured> {
  try {
    const { outcome, reason, summary } = await runClient(test);
    const { bytesReceived, durationReceiveSeconds: seconds, udp } = summary;
    return {
      outcome: reason === null ? outcome : `${outcome} (${reason.message})`,
      bitsPerSecond: seconds === 0 ? 0 : (bytesReceived * 8) / seconds,
      lossShare: udp === null || udp.packetsSent === 0 ? 0 : (udp.packetsLost ?? 0) / udp.packetsSent,
    };
  } catch (error) {
    return { outcome: `not begun (${String(error)})`, bitsPerSecond: 0, lossShare: 1 };
  }
}

async function takePlaces({ host, port, count }: PlacesOrder): Promise<Outcomes> {
  const answers: Record<string, number> = {};
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(port, host)));
  await Promise.all(
    clients.map(async (client) => {
      client.send(downloadConfiguration());
      const answer = await client
        .next()
        .then(({ kind, message }) => (kind === "error" ? `error: ${String(message)}` : String(kind)), String);
      answers[answer] = (answers[answer] ?? 0) + 1;
    }),
  );
  for (const client of clients) client.end();
  return answers;
}

function serve(port: number, clientLimit: number, bindAddress: string | undefined): RperfServer {
  const pool = new StreamWorkerPool(spawnWorker);
  return listen(makeServerConfig({ port, clientLimit, bindAddress }), pool, () => {}, new TestRegistry(KEEP_MS));
}

function obey(order: Order, server: RperfServer | null): Promise<Outcomes | Measured> | State {
  switch (order.kind) {
    case "state":
      return stateOf(server);
    case "run":
      return runAll(order.tests);
    case "measure":
      return measure(order.test);
    case "places":
      return takePlaces(order);
    case "hostile":
      return runHostile(order, new Random(order.seed)).then(({ name, end }) => ({ [`${name}: ${end}`]: 1 }));
  }
}

if (import.meta.main) {
  const say = (answer: Answer) => console.log(JSON.stringify(answer));
  const [port = "", clientLimit = "0", address] = process.argv.slice(2);
  const server = port === "" ? null : serve(Number(port), Number(clientLimit), address);
  say({ id: 0, answer: null });
  for await (const line of console) {
    const { id, order } = JSON.parse(line) as { readonly id: number; readonly order: Order };
    void Promise.resolve(obey(order, server)).then((answer) => say({ id, answer }));
  }
}

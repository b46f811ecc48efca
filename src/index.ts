/**
 * rperf as a library: `runClient` runs one test against a server, `startServer` serves tests. The command line is made
 * of the same two.
 */
import { systemClock } from "./clock.ts";
import type { ClientEvent } from "./client/events.ts";
import { runTest } from "./client/run-test.ts";
import { makeServerConfig, type ServerOptions } from "./config/server-config.ts";
import { makeTestConfig, type TestOptions } from "./config/test-config.ts";
import type { TestResult } from "./results/types.ts";
import type { ServerEvent } from "./server/events.ts";
import { listen, type RperfServer } from "./server/start-server.ts";
import { spawnWorker } from "./spawn-worker.ts";
import { StreamWorkerPool } from "./workers/stream-worker-pool.ts";

export type { ClientEvent } from "./client/events.ts";
export type { ClassOptions, IdentityOptions } from "./config/class-options.ts";
export type { AuthMode, ClassLimits, IdentityRule, Policy, TestDirection } from "./config/policy.ts";
export { makePolicy, type ServerOptions } from "./config/server-config.ts";
export type { TestOptions } from "./config/test-config.ts";
export type { DialMode, OffloadMode, Pacing, PortPools, PortRange, TestConfig, WriteSize } from "./config/types.ts";
export { type ErrorCode, RperfError } from "./errors.ts";
export { toJsonDocument } from "./report/json.ts";
export type {
  Direction,
  DirectionResult,
  Outage,
  Outcome,
  StreamResult,
  StreamSummary,
  TestResult,
  UdpSummary,
} from "./results/types.ts";
export type { ServerEvent } from "./server/events.ts";
export type { RperfServer } from "./server/start-server.ts";
export type { Interval } from "./stats/interval.ts";

/** How to run one test. */
export interface ClientRun {
  /** Aborted: the test ends in good order and resolves with what there is, its outcome "interrupted". */
  readonly signal?: AbortSignal;
  /** Called as things happen; what it throws is not caught. */
  readonly onEvent?: (event: ClientEvent) => void;
}

/** How to run a server. */
export interface ServerRun {
  /** Called as things happen; what it throws comes back to it as an `internal-error`, and disturbs no client. */
  readonly onEvent?: (event: ServerEvent) => void;
}

/** Of all clients in this process: their slow streams share Workers. */
const clientPool = new StreamWorkerPool(spawnWorker);

/**
 * Runs one test and resolves with its result, which exists however a test that began may end: look at `success`.
 * Rejects with RperfError when it cannot begin: `usage`, `resolve-failed`, `connect-…`, `peer-…`, `port-…`.
 */
export async function runClient(options: TestOptions, run: ClientRun = {}): Promise<TestResult> {
  const { config, warnings } = makeTestConfig(options);
  const emit = run.onEvent ?? (() => {});
  for (const message of warnings) emit({ type: "warning", message });
  const signal = run.signal ?? new AbortController().signal;
  return runTest(config, { clock: systemClock(), pool: clientPool, emit, signal });
}

/** Listens and resolves once clients can connect. Rejects with `usage`, `port-in-use` or `bind-failed`. */
export async function startServer(options: ServerOptions = {}, run: ServerRun = {}): Promise<RperfServer> {
  return listen(makeServerConfig(options), new StreamWorkerPool(spawnWorker), run.onEvent ?? (() => {}));
}

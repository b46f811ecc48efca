import { type Clock, systemClock } from "../clock.ts";
import { makeServerConfig } from "../config/server-config.ts";
import { EXIT_OK, messageOf } from "../errors.ts";
import type { RperfServer, ServerEvent } from "../index.ts";
import type { DefectNet } from "./defects.ts";
import { IdleWatch } from "./idle-watch.ts";
import type { Invocation } from "./invocation.ts";
import type { Io } from "./io.ts";
import { loadOptions, loadPolicy } from "./load-policy.ts";
import type { ServerOperation } from "./operation.ts";
import { PidFile } from "./pid-file.ts";
import { describePolicy } from "./policy-text.ts";
import { readTlsIdentity } from "./security-files.ts";
import { createServerLog, logStyleOf, type ServerLog } from "./server-log.ts";
import { listenForServerSignals, type ServerSignals } from "./server-signals.ts";
import { openServiceManager, type ServiceManager } from "./service-manager.ts";

type ServerInvocation = Extract<Invocation, { mode: "server" }>;

const IDLE_POLL_MS = 250;
const SHUTTING_DOWN = "the server is shutting down";
const ONE_OFF = "the server serves one client alone";

/** What a server that runs is seen and led by. */
interface Running {
  readonly server: RperfServer;
  readonly signals: ServerSignals;
  readonly manager: ServiceManager;
  readonly log: ServerLog;
  readonly clock: Clock;
  /** Resolves when the first test has begun. */
  readonly firstTest: Promise<void>;
  readonly idle: IdleWatch | null;
}

/** Who serves one client has a place for one, whatever else its policy says. */
const ONE_OFF_LIMIT = { clientLimit: 1 };

/**
 * Serves until it is told to end, or its work is done, or only tells on what terms it would; gives the exit status. Rejects when
 * it cannot begin.
 */
export async function runServerMode(invocation: ServerInvocation, io: Io, defects: DefectNet): Promise<number> {
  const { operation } = invocation;
  const signals = listenForServerSignals();
  const { options } = await loadOptions(invocation.options, invocation.policyPath);
  if (invocation.isCheck) {
    io.out.write(describePolicy(makeServerConfig(options).policy));
    return EXIT_OK;
  }
  const clock = systemClock();
  const style = logStyleOf(invocation.log.format, process.env["JOURNAL_STREAM"]);
  const log = createServerLog({ level: invocation.log.level, style, output: io.err, clock });
  const pidFile = operation.pidFile === null ? null : new PidFile(operation.pidFile);
  const manager = openServiceManager(process.env, (message) => log.line("warn", message));
  const firstTest = Promise.withResolvers<void>();
  const { idleTimeoutSeconds } = operation;
  const idle = idleTimeoutSeconds === null ? null : new IdleWatch(idleTimeoutSeconds, clock.monotonicSeconds());
  const onEvent = (event: ServerEvent): void => {
    log.event(event);
    if (event.type !== "test-started") return;
    firstTest.resolve();
    idle?.busy(clock.monotonicSeconds());
  };
  const { startServer } = await import("../index.ts");
  const server = await startServer(operation.isOneOff ? { ...options, ...ONE_OFF_LIMIT } : options, { onEvent });
  try {
    pidFile?.write();
    surviveDefects(defects, log);
    reloadAtSignal(signals, server, manager, log, invocation);
    manager.ready();
    await serve({ server, signals, manager, log, clock, firstTest: firstTest.promise, idle }, operation);
  } finally {
    await server.stop(SHUTTING_DOWN);
    pidFile?.remove();
    log.finish();
  }
  return EXIT_OK;
}

/** Resolves when nothing is left to wait for: all tests are over, or were given up. */
async function serve(running: Running, { drainSeconds, isOneOff }: ServerOperation): Promise<void> {
  const { server, signals, manager, log } = running;
  const isTold = Promise.race([aborted(signals.drain), aborted(signals.stop)]);
  const decided = new AbortController();
  const isOneOffBegun = await Promise.race([
    isTold.then(() => false),
    idleFor(running, decided.signal).then(() => false),
    ...(isOneOff ? [running.firstTest.then(() => true)] : []),
  ]);
  decided.abort();
  manager.stopping();
  // Told while it waits for its one test, it goes by what it is told.
  const drained = aborted(signals.drain).then(() => {
    log.line("info", `shutting down: tests that run have ${drainSeconds} s`);
    return server.drain(SHUTTING_DOWN, drainSeconds);
  });
  const stopped = aborted(signals.stop).then(() => log.line("info", "shutting down"));
  if (isOneOffBegun) await Promise.race([server.drain(ONE_OFF, Infinity), drained, stopped]);
  else if (signals.drain.aborted) await Promise.race([drained, stopped]);
  // A test that was just about to begin when nothing had run for long enough does so.
  else if (!signals.stop.aborted) await Promise.race([server.drain(SHUTTING_DOWN, drainSeconds), drained, stopped]);
}

/** Resolves when no test ran for long enough; never, unless that is asked for, or when it is `decided` that all ends. */
async function idleFor({ idle, server, clock, log }: Running, decided: AbortSignal): Promise<void> {
  if (idle === null) return new Promise(() => {});
  while (!idle.isOver(clock.monotonicSeconds())) {
    await Bun.sleep(IDLE_POLL_MS);
    if (decided.aborted) return new Promise(() => {});
    if (server.runningTests > 0) idle.busy(clock.monotonicSeconds());
  }
  log.line("info", "shutting down: no test ran for the idle timeout");
}

/** A server that is up goes on whatever nobody caught: what it cost is over, and all others would pay for an end. */
function surviveDefects(defects: DefectNet, log: ServerLog): void {
  let count = 0;
  defects.handOver((error) => {
    count++;
    log.event({ type: "internal-error", client: null, message: `${messageOf(error)}: ${count} so far` });
  });
}

function reloadAtSignal(
  signals: ServerSignals,
  server: RperfServer,
  manager: ServiceManager,
  log: ServerLog,
  { options, policyPath, keyPath, tlsPaths, operation }: ServerInvocation,
): void {
  let reloading = Promise.resolve();
  const reload = async (): Promise<void> => {
    manager.reloading();
    try {
      const policy = await loadPolicy(options, policyPath, keyPath);
      const tls = tlsPaths && readTlsIdentity(tlsPaths);
      server.reload(operation.isOneOff ? { ...policy, ...ONE_OFF_LIMIT } : policy, tls);
      log.line("info", "reloaded: the new limits hold from the next test on");
    } catch (error) {
      log.line("error", `not reloaded, all stays as it was: ${messageOf(error)}`);
    }
    manager.ready();
  };
  signals.onReload(() => void (reloading = reloading.then(reload)));
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

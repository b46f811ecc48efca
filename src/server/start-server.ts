import { totalmem } from "node:os";
import { openDescriptors, raiseDescriptorLimit, descriptorLimit } from "../../ffi/descriptor-limit.ts";
import { monotonicSeconds } from "../clock.ts";
import type { Policy } from "../config/policy.ts";
import { checkTlsIdentity, type TlsIdentity } from "../config/tls.ts";
import type { ServerConfig } from "../config/types.ts";
import { placeOf } from "../protocol/address.ts";
import { CpuDealer, PortDealer } from "../workers/dealers.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import { ClientSession } from "./client-session.ts";
import { ClosingTally } from "./closing-tally.ts";
import type { SessionContext } from "./context.ts";
import { ControlListener, type ControlSocket } from "./control-listener.ts";
import { DescriptorBudget } from "./descriptor-budget.ts";
import type { ServerEvent } from "./events.ts";
import { Gate } from "./gate.ts";
import { Guard } from "./guard.ts";
import { IdleConnections } from "./idle-connections.ts";
import { MemoryBudget } from "./memory-budget.ts";
import type { ServerTest } from "./server-test.ts";
import { TestRegistry } from "./test-registry.ts";
import { UdpDoor } from "./udp-door.ts";

/** How long `stop` waits for the clients to read their reason. */
const STOP_DEADLINE_MS = 3000;
const STOP_POLL_MS = 10;
/** Connections that are closed for others are told of no more often than this. */
const TELL_CLOSED_SECONDS = 1;
/** How often a drain looks whether its last test is over. */
const DRAIN_POLL_MS = 20;

/** A listening server. */
export interface RperfServer {
  readonly address: string;
  readonly port: number;
  /** Clients with a control connection now, or with a test that goes on without one. */
  readonly clients: number;
  /**
   * Puts another policy in the place of the one in force, and another certificate, unless none is given, for those that come
   * from now on; running tests are not touched. Throws `usage` or `option-refused`, and all stays as it was, where the
   * certificate cannot be shown.
   */
  reload(policy: Policy, tls?: TlsIdentity | null): void;
  /** Tests whose streams run now. */
  readonly runningTests: number;
  /**
   * Refuses new tests, and those that wait to be let in, with `reason`; lets the others come to their end, and results to
   * clients that have lost their connection, for at most so long; then stops. Resolves when it has, also by another's `stop`.
   */
  drain(reason: string, mostSeconds: number): Promise<void>;
  /** Refuses new clients, tells `reason` to those that are there, frees everything and resolves. Again: the same end. */
  stop(reason: string): Promise<void>;
}

/** Listens for clients and serves each on its own. Throws `port-in-use` or `bind-failed`. */
export function listen(
  config: ServerConfig,
  pool: StreamWorkerPool,
  onEvent: (event: ServerEvent) => void,
  registry = new TestRegistry(),
): RperfServer {
  const guard = new Guard(onEvent);
  const { emit } = guard;
  const nobody = guard.ofNobody();
  const sessions = new Set<ClientSession>();
  const tests = new Set<ServerTest>();
  const cpus = new CpuDealer(config.affinity, (message) => emit({ type: "warning", client: null, message }));
  const descriptors = budgetDescriptors();
  const gate = new Gate(config.policy, { descriptors, memory: budgetMemory(), cpus: cpus.size, guarded: nobody });
  const door = new UdpDoor(config, registry, nobody);
  const context: SessionContext = {
    pool,
    cpus,
    ports: new PortDealer(config.portPools),
    registry,
    device: config.device,
    isTls: config.tls !== null,
    emit,
    guard,
    controlPort: () => listener.port,
    enterUdpDoor: (test) => door.enter(listener.port, test),
    leaveUdpDoor: (test) => door.leave(test),
    gate,
    enterIdle: (connection) => {
      idle.add(connection);
      trimIdle();
    },
    leaveIdle: (connection) => idle.remove(connection),
    trimIdle: () => trimIdle(),
    onTestBegun: (test) => void tests.add(test),
    onTestOver: (test) => {
      tests.delete(test);
      trimIdle();
    },
  };
  const idle = new IdleConnections(descriptors.idle, () => awaitedConnections(tests));
  const tellClosed = closedTeller(emit);
  const trimIdle = (): void => {
    for (const surplus of idle.trim()) {
      surplus.evict();
      tellClosed();
    }
  };
  const accept = (socket: ControlSocket): void => {
    const guarded = guard.of("a client that was not taken", { refuse: () => socket.terminate() });
    guarded.run(() => sessions.add(new ClientSession(socket, context, (session) => sessions.delete(session))));
  };
  const listener = new ControlListener(config, accept);
  const { port } = listener;
  let stopping: Promise<void> | null = null;
  const isAwaited = (): boolean => tests.size > 0 && stopping === null;
  async function end(reason: string): Promise<void> {
    gate.close(reason);
    listener.stop();
    for (const one of [...sessions, ...tests]) nobody.run(() => one.refuse(reason));
    registry.clear();
    door.close();
    const givenUpAtMs = performance.now() + STOP_DEADLINE_MS;
    while (sessions.size > 0 && performance.now() < givenUpAtMs) await Bun.sleep(STOP_POLL_MS);
    // Nobody is, but for a defect: each gives its client a second.
    for (const session of sessions) session.evict();
  }
  const stop = (reason: string): Promise<void> => (stopping ??= end(reason));
  emit({ type: "listening", address: config.bindAddress, port });
  return {
    address: config.bindAddress,
    port,
    get clients() {
      // A test that waits for its client has no connection to be counted by.
      return sessions.size + [...tests].filter((test) => test.isDetached).length;
    },
    reload(policy, tls = null) {
      const identity = checkTlsIdentity(tls);
      const isShown = identity === null || listener.showCertificate(identity);
      if (!isShown) emit({ type: "warning", client: null, message: "on this system a certificate takes a restart" });
      gate.policy = policy;
    },
    get runningTests() {
      return [...tests].filter((test) => test.isRunning).length;
    },
    async drain(reason, mostSeconds) {
      gate.close(reason);
      for (const test of tests) if (test.isOutside) nobody.run(() => test.refuse(reason));
      const givenUpAtMs = performance.now() + mostSeconds * 1000;
      while (isAwaited() && performance.now() < givenUpAtMs) await Bun.sleep(DRAIN_POLL_MS);
      await stop(reason);
    },
    stop,
  };
}

/** What this process may have open; where the system does not tell, as much as it likes. */
function budgetDescriptors(): DescriptorBudget {
  const raised = raiseDescriptorLimit();
  const limit = raised.ok ? raised : descriptorLimit();
  const open = openDescriptors();
  return new DescriptorBudget(limit.ok ? limit.value.soft : Infinity, open.ok ? open.value : 0);
}

/** Of what the system has, or lets this process have. */
function budgetMemory(): MemoryBudget {
  // 0: it does not tell of a bound.
  const mostBytes = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  return new MemoryBudget(mostBytes, process.memoryUsage.rss());
}

/** Data connections that clients may be about to open, by their places. */
function awaitedConnections(tests: ReadonlySet<ServerTest>): ReadonlyMap<string, number> {
  const awaited = new Map<string, number>();
  for (const { awaitedConnections: count, remoteAddress } of tests) {
    if (count === 0) continue;
    const place = placeOf(remoteAddress);
    awaited.set(place, (awaited.get(place) ?? 0) + count);
  }
  return awaited;
}

/** Tells of connections that were closed at once, many in one line; to be called for each. */
function closedTeller(emit: (event: ServerEvent) => void): () => void {
  const tally = new ClosingTally(TELL_CLOSED_SECONDS);
  const tell = (): void => {
    const count = tally.take(monotonicSeconds());
    const what = count === 1 ? "1 connection" : `${count} connections`;
    emit({ type: "warning", client: null, message: `too many connections ask for nothing: closed ${what}` });
  };
  return () => {
    const dueSeconds = tally.add(monotonicSeconds());
    if (dueSeconds !== null) setTimeout(tell, dueSeconds * 1000).unref();
  };
}

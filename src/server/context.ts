import type { CpuDealer, PortDealer } from "../workers/dealers.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import type { ServerEvent } from "./events.ts";
import type { Gate } from "./gate.ts";
import type { Guard } from "./guard.ts";
import type { IdleConnection } from "./idle-connections.ts";
import type { ServerTest } from "./server-test.ts";
import type { TestRegistry } from "./test-registry.ts";

/** What all clients of one server share. */
export interface SessionContext {
  readonly pool: StreamWorkerPool;
  readonly cpus: CpuDealer;
  readonly ports: PortDealer;
  readonly registry: TestRegistry;
  /** The interface that data goes by; null = any. */
  readonly device: string | null;
  /** Whether its control port speaks TLS, and nothing else. */
  readonly isTls: boolean;
  /** Never throws. */
  readonly emit: (event: ServerEvent) => void;
  readonly guard: Guard;
  controlPort(): number;
  /** Takes hellos at the control port's number until it is left again. Throws `port-in-use` or `bind-failed`. */
  enterUdpDoor(test: ServerTest): void;
  leaveUdpDoor(test: ServerTest): void;
  readonly gate: Gate;
  /** The connection has no test yet, or any more: it may have to make room for another. Again is no error. */
  enterIdle(connection: IdleConnection): void;
  leaveIdle(connection: IdleConnection): void;
  /** A test awaits fewer data connections than before. */
  trimIdle(): void;
  onTestBegun(test: ServerTest): void;
  onTestOver(test: ServerTest): void;
}

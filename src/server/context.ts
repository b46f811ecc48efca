import type { CpuDealer, PortDealer } from "../workers/dealers.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import type { ServerEvent } from "./events.ts";
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
  readonly emit: (event: ServerEvent) => void;
  controlPort(): number;
  /** Takes hellos at the control port's number until it is left again. Rejects with `port-in-use` or `bind-failed`. */
  enterUdpDoor(test: ServerTest): Promise<void>;
  leaveUdpDoor(test: ServerTest): void;
  /** Takes a place for a test; false when the server is full. */
  admit(test: ServerTest): boolean;
  /** Gives the place back, once. */
  release(test: ServerTest): void;
  onTestOver(test: ServerTest): void;
}

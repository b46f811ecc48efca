import type { Clock } from "../clock.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import type { ClientEvent } from "./events.ts";

/** What a test needs from outside. */
export interface TestDependencies {
  readonly clock: Clock;
  readonly pool: StreamWorkerPool;
  readonly emit: (event: ClientEvent) => void;
  /** Aborted: end the test in good order, with the figures that there are. */
  readonly signal: AbortSignal;
}

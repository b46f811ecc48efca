// What a server's process in a namespace holds of the system's: descriptors, Workers, sockets.
import { eventually } from "./eventually.ts";
import type { Namespace } from "./netns.ts";
import type { RunningProcess } from "./process.ts";
import { socketsOf } from "./sockets-of.ts";
import { descriptorsOf, workersOf } from "./watched-server.ts";

export interface ProcessHoldings {
  readonly descriptors: number;
  readonly workers: number;
  /** Listening, connected or bound, of both transports. */
  readonly sockets: number;
}

export function processHoldingsOf({ pid }: RunningProcess, namespace: Namespace): ProcessHoldings {
  return {
    descriptors: descriptorsOf(pid),
    workers: workersOf(pid),
    sockets: socketsOf(pid, namespace).length,
  };
}

/** Resolves, with how long it took in seconds, once the process holds no more than `baseline`. */
export async function isBackToHoldings(
  server: RunningProcess,
  namespace: Namespace,
  baseline: ProcessHoldings,
  limitSeconds: number,
): Promise<number> {
  const startedAtMs = performance.now();
  await eventually(
    `the server is back to ${JSON.stringify(baseline)}`,
    () => processHoldingsOf(server, namespace),
    ({ descriptors, workers, sockets }) =>
      descriptors <= baseline.descriptors && workers <= baseline.workers && sockets <= baseline.sockets,
    limitSeconds * 1000,
  );
  return (performance.now() - startedAtMs) / 1000;
}

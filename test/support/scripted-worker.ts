// A stream's Worker that tells what a test wants told, for what the system under it cannot be made to do.
import type { StreamEvent } from "../../src/streams/spec.ts";
import { StreamWorkerPool } from "../../src/workers/stream-worker-pool.ts";

/** Events of every stream: at its `prepare`, at its `start`, and at its `stop` and `finish` if there are any. */
export interface Script {
  readonly prepare: readonly StreamEvent[];
  readonly start: readonly StreamEvent[];
  readonly stop?: readonly StreamEvent[];
  readonly finish?: readonly StreamEvent[];
}

/** A pool of Workers that follow the script and open no socket. */
export function scriptedPool(script: Script): StreamWorkerPool {
  const source = `
    const script = ${JSON.stringify(script)};
    self.onmessage = ({ data: { type, slot } }) => {
      for (const event of script[type] ?? []) self.postMessage({ type: "stream", slot, event });
      if (type === "prepare") self.postMessage({ type: "settled" });
    };
    self.postMessage({ type: "up" });
  `;
  return new StreamWorkerPool(() => new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" }))));
}

import type { StreamEvent, StreamSpec } from "../streams/spec.ts";

/** Main thread → Worker. `slot` names one of the Worker's streams; `prepare` comes first, `drop` last, each once. */
export type WorkerCommand =
  | { readonly type: "prepare"; readonly slot: number; readonly spec: StreamSpec }
  | { readonly type: "start"; readonly slot: number }
  | { readonly type: "stop"; readonly slot: number }
  /** Nobody wants the stream any more: it ends, tells nothing and is forgotten. */
  | { readonly type: "drop"; readonly slot: number };

/** Worker → main thread; `up` tells that the Worker runs and takes commands. */
export type WorkerReport =
  { readonly type: "up" } | { readonly type: "stream"; readonly slot: number; readonly event: StreamEvent };

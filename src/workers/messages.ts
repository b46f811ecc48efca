import type { StreamEvent, StreamSpec } from "../streams/spec.ts";

/** Main thread → Worker; `prepare` comes first and once. */
export type WorkerCommand =
  { readonly type: "prepare"; readonly spec: StreamSpec } | { readonly type: "start" } | { readonly type: "stop" };

/** Worker → main thread; `up` tells that the Worker runs and takes commands. */
export type WorkerReport = { readonly type: "up" } | StreamEvent;

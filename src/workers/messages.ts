import type { SentTotals } from "../protocol/messages.ts";
import type { Handed, StartTerms, StreamEvent, StreamSpec } from "../streams/spec.ts";

/**
 * Main thread → Worker. `slot` names one of the Worker's streams; `prepare` comes first, and again to put another stream in
 * the place of one that has not started; `drop` comes last, once.
 */
export type WorkerCommand =
  | { readonly type: "prepare"; readonly slot: number; readonly spec: StreamSpec }
  | { readonly type: "start"; readonly slot: number; readonly terms: StartTerms | null }
  | { readonly type: "stop"; readonly slot: number }
  | { readonly type: "take"; readonly slot: number; readonly handed: Handed }
  | { readonly type: "finish"; readonly slot: number; readonly sent: SentTotals }
  /** Nobody wants the stream any more: it ends, tells nothing and is forgotten. */
  | { readonly type: "drop"; readonly slot: number };

/** Worker → main thread; `up` tells that the Worker runs and takes commands, `taken` that what was handed has its owner. */
export type WorkerReport =
  | { readonly type: "up" }
  | { readonly type: "taken" }
  | { readonly type: "stream"; readonly slot: number; readonly event: StreamEvent };

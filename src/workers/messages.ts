import type { SentTotals } from "../protocol/messages.ts";
import type { Handed, StartTerms, StreamEvent, StreamSpec } from "../streams/spec.ts";

/**
 * Main thread → Worker, of the one of its streams that `slot` names; `prepare` comes first, and again to put another stream
 * in the place of one that has not started; `drop` comes last, once.
 */
export type StreamCommand =
  | { readonly type: "prepare"; readonly slot: number; readonly spec: StreamSpec }
  | { readonly type: "start"; readonly slot: number; readonly terms: StartTerms | null }
  | { readonly type: "stop"; readonly slot: number }
  | { readonly type: "take"; readonly slot: number; readonly handed: Handed }
  | { readonly type: "finish"; readonly slot: number; readonly sent: SentTotals }
  | { readonly type: "hold"; readonly slot: number; readonly isHeld: boolean }
  /** Nobody wants the stream any more: it ends, tells nothing and is forgotten. */
  | { readonly type: "drop"; readonly slot: number };

/** Main thread → Worker; `end` comes last: the thread ends, with all that it holds. */
export type WorkerCommand = StreamCommand | { readonly type: "end" };

/**
 * Worker → main thread; `up` tells that the Worker runs and takes commands, `taken` that what was handed has its owner,
 * `settled` that nothing of a `prepare` is under way any more.
 */
export type WorkerReport =
  | { readonly type: "up" }
  | { readonly type: "taken" }
  | { readonly type: "settled" }
  | { readonly type: "stream"; readonly slot: number; readonly event: StreamEvent };

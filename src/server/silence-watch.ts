import { monotonicSeconds } from "../clock.ts";
import type { Guarded } from "./guard.ts";

/**
 * So long nothing may have been heard of a client's system before nothing more is sent to it: what was seen by the next
 * look, and told to the streams, is less than 5 s.
 */
const MOST_SILENT_SECONDS = 4.5;
const LOOK_MS = 250;

export interface SilenceEvents {
  /** How long ago the client's system was last heard of; null = the system does not tell, or there is no connection. */
  silentSeconds(): number | null;
  /** Senders are to be silent from now on. */
  onSilent(): void;
  /** The client is there again, after so long without a word to it. */
  onHeard(heldSeconds: number): void;
}

/** When a client was heard of; times are seconds on one monotonic clock. */
export class LifeSigns {
  #lastSeconds: number;
  #heldSinceSeconds: number | null = null;

  constructor(nowSeconds: number) {
    this.#lastSeconds = nowSeconds;
  }

  get isHeld(): boolean {
    return this.#heldSinceSeconds !== null;
  }

  /** It was heard of at this time; earlier ones than the last are no news. */
  heard(atSeconds: number): void {
    this.#lastSeconds = Math.max(this.#lastSeconds, atSeconds);
  }

  /** "silent", or for how many seconds it was, when that changes; else null. */
  look(nowSeconds: number): "silent" | number | null {
    const since = this.#heldSinceSeconds;
    const isSilent = nowSeconds - this.#lastSeconds >= MOST_SILENT_SECONDS;
    if (isSilent === (since !== null)) return null;
    this.#heldSinceSeconds = isSilent ? nowSeconds : null;
    return since === null ? "silent" : nowSeconds - since;
  }
}

/** Looks again and again, from its making to `stop`, whether a client is still there to be sent to. */
export class SilenceWatch {
  readonly #events: SilenceEvents;
  readonly #signs = new LifeSigns(monotonicSeconds());
  readonly #timer: Timer;

  constructor(events: SilenceEvents, guarded: Guarded) {
    this.#events = events;
    this.#timer = setInterval(() => guarded.run(() => this.look()), LOOK_MS);
  }

  /** A packet came from the client just now. */
  heard(): void {
    this.#signs.heard(monotonicSeconds());
    this.look();
  }

  look(): void {
    const silentSeconds = this.#events.silentSeconds();
    if (silentSeconds !== null) this.#signs.heard(monotonicSeconds() - silentSeconds);
    const change = this.#signs.look(monotonicSeconds());
    if (change === "silent") this.#events.onSilent();
    else if (change !== null) this.#events.onHeard(change);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

import { runAfter } from "../clock.ts";
import { BEGIN_DEADLINE_SECONDS, phaseDeadlineSeconds, type ServerPhase } from "../control/phases.ts";
import type { Guarded } from "./guard.ts";

/** How long streams that are stopped early may take to tell their last figures. */
const STOP_MS = 2000;
/** A client whose connection was reset lives, and comes back at once, or does not live any more. */
const RESET_GRACE_MS = 5000;
/** One that vanished is known to have 5 s later or a bit more; nothing of its streams is there half a minute behind that. */
const LOST_GRACE_MS = 20_000;
/** How long behind the last moment in which something of its streams is wanted a test ends, whatever it waits for. */
const OVERDUE_MS = 5000;

/** What a test waits for, each in a time of its own. */
type Awaited = "phase" | "begin" | "return" | "figures" | "end";

/** How long one test waits. None of these times is put off by another, nor by a client that comes back. */
export class TestDeadlines {
  readonly #guarded: Guarded;
  readonly #cancels = new Map<Awaited, () => void>();

  constructor(guarded: Guarded) {
    this.#guarded = guarded;
  }

  /** For what ends a phase that is entered now; what was waited for in the one before is not any more. */
  awaitNext(phase: ServerPhase, expire: () => void): void {
    this.returned();
    this.#cancel("figures");
    if (phase === "running") this.#cancel("begin");
    this.awaitPhase(phase, expire);
  }

  /** For what ends the phase, anew; without a deadline of the phase for ever. */
  awaitPhase(phase: ServerPhase, expire: () => void): void {
    this.#cancel("phase");
    const seconds = phaseDeadlineSeconds(phase);
    if (seconds !== null) this.#set("phase", seconds * 1000, expire);
  }

  /** For the begin, from the first call on, through whatever phases come before it. */
  awaitBegin(expire: () => void): void {
    if (!this.#cancels.has("begin")) this.#set("begin", BEGIN_DEADLINE_SECONDS * 1000, expire);
  }

  /** For a client whose connection went away so. */
  awaitReturn(how: "reset" | "lost", expire: () => void): void {
    this.#set("return", how === "reset" ? RESET_GRACE_MS : LOST_GRACE_MS, expire);
  }

  /** The client is back. */
  returned(): void {
    this.#cancel("return");
  }

  /** For streams that were stopped. */
  awaitFigures(expire: () => void): void {
    this.#set("figures", STOP_MS, expire);
  }

  /** Nothing of the streams is wanted any more after this time. */
  planEnd(seconds: number, expire: () => void): void {
    this.#set("end", seconds * 1000 + OVERDUE_MS, expire);
  }

  /** No timer is left. */
  stop(): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  #set(what: Awaited, delayMs: number, expire: () => void): void {
    this.#cancel(what);
    this.#cancels.set(
      what,
      runAfter(delayMs, () => this.#guarded.run(expire)),
    );
  }

  #cancel(what: Awaited): void {
    this.#cancels.get(what)?.();
    this.#cancels.delete(what);
  }
}

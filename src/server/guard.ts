import { messageOf, RperfError } from "../errors.ts";
import type { ServerEvent } from "./events.ts";

/** What a client hears when it met a defect of this side; the log tells more. */
const INTERNAL_ERROR = "internal error of the server";

/** A client's part of a server, which can be ended without the rest. */
export interface Refusable {
  /** Tells the client why, and ends what is there for it at once. */
  refuse(message: string): void;
}

/**
 * Where all events of a server enter: from sockets, timers, Workers and promises. What their handlers throw ends the client
 * whose they are, and nobody else.
 */
export class Guard {
  readonly #onEvent: (event: ServerEvent) => void;

  constructor(onEvent: (event: ServerEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Tells an event; never throws. A listener that throws hears of it, once, and disturbs no client. */
  readonly emit = (event: ServerEvent): void => {
    try {
      this.#onEvent(event);
    } catch (error) {
      this.#tellInternal(null, error);
    }
  };

  /** For what one client sets off. */
  of(client: string, whom: Refusable): Guarded {
    return new Guarded(whom, (error) => this.#tellInternal(client, error));
  }

  /** For what nobody in particular sets off: it is told of, and nobody is refused. */
  ofNobody(): Guarded {
    return new Guarded(null, (error) => this.#tellInternal(null, error));
  }

  #tellInternal(client: string | null, error: unknown): void {
    try {
      this.#onEvent({ type: "internal-error", client, message: messageOf(error) });
    } catch {
      // Nobody is left to be told.
    }
  }
}

/** Runs what one client sets off. */
export class Guarded {
  readonly #whom: Refusable | null;
  readonly #tell: (error: unknown) => void;

  constructor(whom: Refusable | null, tell: (error: unknown) => void) {
    this.#whom = whom;
    this.#tell = tell;
  }

  /** Never throws: see `caught`. */
  run(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.caught(error);
    }
  }

  /** One step of an end, which the others do not depend on; what it throws is told, and that is all. */
  step(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#tell(error);
    }
  }

  /** Something was thrown: an RperfError says itself what the client is refused for, all else is a defect. Never throws. */
  caught(error: unknown): void {
    const isDefect = !(error instanceof RperfError) || this.#whom === null;
    if (isDefect) this.#tell(error);
    this.step(() => this.#whom?.refuse(isDefect ? INTERNAL_ERROR : error.message));
  }
}

import { runAfter } from "../clock.ts";
import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { ResumedPhase } from "../protocol/messages.ts";
import type { Outage, Outcome } from "../results/types.ts";
import type { TestDependencies } from "./dependencies.ts";
import type { LinkEvents } from "./inbox.ts";
import type { ServerLink } from "./server-link.ts";

/** Between two attempts, doubled up to the most. */
const FIRST_BACKOFF_MS = 100;
const MOST_BACKOFF_MS = 1000;
/** A connection that was had again is good when it has lasted so long: else the next attempt waits as behind a failure. */
const GOOD_AFTER_MS = 2000;
/** A host that answers, and where nobody listens any more: a server that so many attempts in turn do not find is gone. */
const MOST_REFUSALS = 4;
/** How long behind the deadline a connection that was had again may take to tell what is left … */
const LAST_WORDS_MS = 3000;
/** … and a connection whose loss is known only then, to be had again: so long, but not later than this. */
const LATE_PATIENCE_MS = 3000;
const LATEST_MS = 4000;
const LEAST_PATIENCE_MS = 500;
/** A server tells something in every interval: it is late by this much, and its connection is taken to have been out. */
const LATE_MS = 1000;

export interface ResumptionHooks {
  /** Of the running test; what `onLost` hears is to be given to `start`. */
  readonly events: LinkEvents;
  readonly onResumed: (phase: ResumedPhase) => void;
  /** The test is to end with what there is. */
  readonly onGivenUp: (outcome: Outcome, error: RperfError) => void;
}

/** Keeps the control connection of a running test, over outages that end before the deadline. */
export class Resumption {
  readonly #config: TestConfig;
  readonly #link: ServerLink;
  readonly #dependencies: TestDependencies;
  readonly #hooks: ResumptionHooks;
  readonly #outages: Outage[] = [];
  readonly #stopped = Promise.withResolvers<void>();
  #startMs = 0;
  #outMs: number | null = null;
  #hasHeard = false;
  #lastFailure: RperfError | null = null;
  #cancelDeadline: (() => void) | null = null;
  #isStopped = false;
  /** What was lost since an attempt began. */
  #lostAnew: RperfError | null = null;
  #backoffMs = FIRST_BACKOFF_MS;
  #resumedMs = -Infinity;

  constructor(config: TestConfig, link: ServerLink, dependencies: TestDependencies, hooks: ResumptionHooks) {
    this.#config = config;
    this.#link = link;
    this.#dependencies = dependencies;
    this.#hooks = hooks;
  }

  /** Whether there is no connection for now. */
  get isOut(): boolean {
    return this.#outMs !== null;
  }

  /** In order; the one that goes on is as long as it is by now. */
  get outages(): readonly Outage[] {
    return this.#outMs === null ? this.#outages : [...this.#outages, this.#outageUntilNow(this.#outMs)];
  }

  /** The test begins. */
  begin(): void {
    this.#startMs = performance.now();
    this.#link.begin(this.#hooks.events);
  }

  /**
   * Something came, behind a silence to which this side listened: a connection that the system itself kept over an outage is
   * not lost. `intervalSeconds`: how often something is to come.
   */
  heardAfter(silentMs: number, intervalSeconds: number): void {
    const isFirst = !this.#hasHeard;
    this.#hasHeard = true;
    // When the first comes is the streams' affair.
    if (isFirst || silentMs < intervalSeconds * 1000 + LATE_MS) return;
    const startMs = performance.now() - silentMs;
    this.#outages.push({ startSeconds: (startMs - this.#startMs) / 1000, durationSeconds: silentMs / 1000 });
  }

  /** The connection is lost; called again while it is out, changes nothing. */
  start(error: RperfError): void {
    this.#lostAnew = error;
    if (this.#outMs !== null || this.#isStopped) return;
    const nowMs = performance.now();
    const leftMs = this.#patienceMs(nowMs);
    this.#cancelDeadline ??= runAfter(leftMs, () => this.#deadlinePassed());
    this.#lastFailure = error;
    // It was whole until the server was last heard of.
    this.#outMs = Math.max(this.#startMs, nowMs - this.#link.silenceSeconds(nowMs) * 1000);
    const message = `${error.message}; the test goes on, trying to resume for ${(leftMs / 1000).toFixed(1)} s`;
    this.#dependencies.emit({ type: "outage", message });
    void this.#resume(error);
  }

  /** No attempt is made any more. */
  stop(): void {
    this.#isStopped = true;
    this.#stopped.resolve();
    this.#cancelDeadline?.();
  }

  get #deadlineMs(): number {
    const { durationSeconds, resumeTimeoutSeconds } = this.#config;
    return this.#startMs + (durationSeconds + resumeTimeoutSeconds) * 1000;
  }

  /** Silence takes seconds to be sure of: the deadline may have passed by then. */
  #patienceMs(nowMs: number): number {
    const leftMs = this.#deadlineMs - nowMs;
    return Math.max(leftMs, Math.min(LATE_PATIENCE_MS, leftMs + LATEST_MS), LEAST_PATIENCE_MS);
  }

  async #resume(cause: RperfError): Promise<void> {
    let refusals = 0;
    if (performance.now() - this.#resumedMs < GOOD_AFTER_MS) await this.#backOff();
    else this.#backoffMs = FIRST_BACKOFF_MS;
    while (!this.#isStopped) {
      const failure = await this.#attempt();
      if (failure === null || this.#isStopped) return;
      this.#lastFailure = failure;
      refusals = failure.code === "connect-refused" ? refusals + 1 : 0;
      if (refusals >= MOST_REFUSALS) return this.#hooks.onGivenUp("failed", cause);
      if (failure.code === "peer-refused" || failure.code === "peer-protocol") {
        const message = `the control connection could not be resumed: ${failure.message}`;
        return this.#hooks.onGivenUp("partial", new RperfError("resume-refused", message, { cause: failure }));
      }
      await this.#backOff();
    }
  }

  async #backOff(): Promise<void> {
    await Promise.race([Bun.sleep(this.#backoffMs), this.#stopped.promise]);
    this.#backoffMs = Math.min(2 * this.#backoffMs, MOST_BACKOFF_MS);
  }

  #deadlinePassed(): void {
    const giveUp = (what: string) => {
      const message = `${what} ${this.#config.resumeTimeoutSeconds} s after the planned end`;
      const why = this.#outMs === null || this.#lastFailure === null ? "" : ` (${this.#lastFailure.message})`;
      this.#hooks.onGivenUp("partial", new RperfError("outage", message + why, { cause: this.#lastFailure }));
    };
    if (this.#outMs !== null) return giveUp("no control connection until");
    this.#cancelDeadline = runAfter(LAST_WORDS_MS, () => giveUp("the test was not over, behind an outage,"));
  }

  /** Null when the connection is there again. */
  async #attempt(): Promise<RperfError | null> {
    try {
      this.#lostAnew = null;
      const { phase, missed } = await this.#link.resume(this.#hooks.events);
      this.#outEnded();
      this.#hooks.onResumed(phase);
      // Behind its first words, before anybody could know that there was a connection again.
      if (this.#lostAnew !== null) this.start(this.#lostAnew);
      if (missed === 0) return null;
      const message = `the server kept no more than a part of what was missed: ${missed} reports are lost`;
      this.#hooks.onGivenUp("partial", new RperfError("outage", message));
      return null;
    } catch (error) {
      return error instanceof RperfError ? error : new RperfError("internal", String(error), { cause: error });
    }
  }

  #outEnded(): void {
    if (this.#outMs === null) return;
    const outage = this.#outageUntilNow(this.#outMs);
    this.#outages.push(outage);
    this.#outMs = null;
    this.#resumedMs = performance.now();
    this.#dependencies.emit({ type: "resumed", outageSeconds: outage.durationSeconds });
  }

  #outageUntilNow(outMs: number): Outage {
    return { startSeconds: (outMs - this.#startMs) / 1000, durationSeconds: (performance.now() - outMs) / 1000 };
  }
}

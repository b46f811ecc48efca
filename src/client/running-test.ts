import type { TestConfig } from "../config/types.ts";
import { runAfter, waitWithin } from "../clock.ts";
import { RperfError } from "../errors.ts";
import type { SentTotals } from "../protocol/messages.ts";
import { makeTestResult } from "../results/combine.ts";
import type { Outcome, TestResult } from "../results/types.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import { DirectionRun } from "./direction-run.ts";
import type { RunningMessage } from "./inbox.ts";
import { OwnStalls } from "./own-stalls.ts";
import { Resumption } from "./resumption.ts";
import type { TestDependencies } from "./dependencies.ts";
import type { ServerLink } from "./server-link.ts";

/** A server that streams results and has been silent for this long beyond its interval is gone, or the link is. */
const SERVER_SILENCE_SECONDS = 5;
const REPORT_SLACK_SECONDS = 4;
const WATCH_INTERVAL_MS = 250;
/**
 * How long the server may take to complete its side once this one is over, as the original waits; as long as data that
 * was under way still arrives there, the time starts again, up to a limit. One of ours, which knows how long to wait for a
 * stalled connection, has only to tell something.
 */
const COMPLETION_TIMEOUT_MS = 5000;
const MAX_COMPLETION_MS = 30_000;
/** A test that its server does not end is ended here: so long behind whatever else is waited for behind the planned end. */
const OVERDUE_SECONDS = MAX_COMPLETION_MS / 1000 + 5;
/** How long streams that were told to stop may take to tell their last figures. */
const STOP_TIMEOUT_MS = 1000;
/** A server that ends a test says why, and then breaks its streams: what it said may be read last. */
const LAST_WORD_MS = 100;

/** Why a test ends before its streams did. */
interface EarlyEnd {
  readonly outcome: Outcome;
  readonly error: RperfError;
}

/** A test from its begin to its result. */
export class RunningTest {
  /** Forward first. */
  readonly directions: readonly DirectionRun[];
  readonly #config: TestConfig;
  readonly #link: ServerLink;
  readonly #dependencies: TestDependencies;
  readonly #resumption: Resumption;
  readonly #ownStalls = new OwnStalls(WATCH_INTERVAL_MS, performance.now());
  readonly #bothEnds = Promise.withResolvers<null>();
  readonly #localEnd = Promise.withResolvers<void>();
  readonly #earlyEnd = Promise.withResolvers<EarlyEnd>();
  #startedSeconds = 0;
  #hasEnded = false;
  #hasHeard = false;
  #completionTimer: Timer | null = null;
  #lastWordTimer: Timer | null = null;
  /** Set when every stream has failed on this side. */
  #localFailure: EarlyEnd | null = null;
  /** Null until this side is over. */
  #localEndMs: number | null = null;

  /** `workers` are those of the forward streams, then those of the reverse ones. */
  constructor(config: TestConfig, link: ServerLink, workers: readonly StreamWorker[], dependencies: TestDependencies) {
    this.#config = config;
    this.#link = link;
    this.#dependencies = dependencies;
    const hooks = {
      emit: dependencies.emit,
      onSent: (streamIndex: number, sent: SentTotals) => this.#tellSent(streamIndex, sent),
      onProgress: () => this.#progress(),
      onOver: () => this.#over(),
    };
    this.directions = directionsOf(config).map(
      (reverse, index) =>
        new DirectionRun(
          { ...config, reverse },
          workers.slice(index * config.parallel, (index + 1) * config.parallel),
          hooks,
        ),
    );
    this.#resumption = new Resumption(config, link, dependencies, {
      events: {
        onMessage: (message, silentMs) => {
          const nowMs = performance.now();
          const unheardMs = silentMs - this.#ownStalls.sinceRestartMs(nowMs);
          this.#resumption.heardAfter(unheardMs, this.#intervalSeconds);
          this.#ownStalls.restart(nowMs);
          this.#serverSays(message);
        },
        onLost: (error) => this.#lost(error),
      },
      onResumed: (phase) => this.#resumed(phase),
      onGivenUp: (outcome, error) => this.#earlyEnd.resolve({ outcome, error }),
    });
  }

  /** Begins on both sides and resolves with the result; never rejects. */
  async run(): Promise<TestResult> {
    const { clock } = this.#dependencies;
    this.#startedSeconds = clock.wallSecondsOf(clock.monotonicSeconds());
    // First, so that whoever listens hears of it before anything of a stream's.
    this.#dependencies.emit({ type: "started" });
    this.#resumption.begin();
    for (const direction of this.directions) direction.start();
    const stopWatching = this.#watch();
    const early = await Promise.race([this.#earlyEnd.promise, this.#bothEnds.promise]);
    this.#hasEnded = true;
    stopWatching();
    if (early !== null) return this.#endEarly(early);
    await this.#link.end();
    return this.#result("completed", null);
  }

  /** Watches the server's silence and delay and this side's interruption; gives the function that stops it. */
  #watch(): () => void {
    const { signal } = this.#dependencies;
    const onAbort = () =>
      this.#earlyEnd.resolve({ outcome: "interrupted", error: new RperfError("stopped", "the test was interrupted") });
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    this.#ownStalls.restart(performance.now());
    const timer = setInterval(() => this.#watchSilence(), WATCH_INTERVAL_MS);
    const { durationSeconds, resumeTimeoutSeconds } = this.#config;
    const behindSeconds = resumeTimeoutSeconds + OVERDUE_SECONDS;
    const cancelOverdue = runAfter((durationSeconds + behindSeconds) * 1000, () => this.#overdue(behindSeconds));
    return () => {
      signal.removeEventListener("abort", onAbort);
      clearInterval(timer);
      cancelOverdue();
      this.#resumption.stop();
      for (const pending of [this.#completionTimer, this.#lastWordTimer]) if (pending !== null) clearTimeout(pending);
      for (const direction of this.directions) direction.stopTimers();
    };
  }

  /** Of the server's reports. */
  get #intervalSeconds(): number {
    return Math.max(...this.directions.map(({ intervalSeconds }) => intervalSeconds));
  }

  #overdue(behindSeconds: number): void {
    const message = `${this.#link.endpoint} did not end the test within ${behindSeconds} s of its planned end`;
    this.#earlyEnd.resolve({ outcome: "partial", error: new RperfError("peer-lost", message) });
  }

  #watchSilence(): void {
    const nowMs = performance.now();
    const ownStallsMs = this.#ownStalls.sinceRestartMs(nowMs);
    // A server that is done has nothing to say while this side still takes what is under way.
    if (this.#resumption.isOut || this.directions.every(({ isServerOver }) => isServerOver)) return;
    // Nor has one whose receivers still wait for the first data; that it is there, its system tells (keepalive).
    if (!this.#hasHeard && this.directions.every(({ isCountAwaited }) => isCountAwaited)) return;
    const limitSeconds = Math.max(SERVER_SILENCE_SECONDS, this.#intervalSeconds + REPORT_SLACK_SECONDS);
    if (this.#link.silenceSeconds(nowMs) - ownStallsMs / 1000 < limitSeconds) return;
    this.#lost(new RperfError("peer-lost", `${this.#link.endpoint} has not been heard of for ${limitSeconds} s`));
  }

  #lost(error: RperfError): void {
    if (this.#hasEnded) return;
    if (error.code === "peer-lost" && this.#localFailure !== null) this.#earlyEnd.resolve(this.#localFailure);
    else if (error.code === "peer-lost" && this.#link.mayResume) this.#resumption.start(error);
    else this.#earlyEnd.resolve({ outcome: "failed", error });
  }

  /** What the server may not have heard is told again. */
  #resumed(phase: "ready" | "running" | "finished"): void {
    this.#ownStalls.restart(performance.now());
    if (phase === "ready") this.#link.send({ kind: "begin" });
    for (const direction of this.directions) {
      for (const [streamIndex, sent] of direction.unheard) this.#tellSent(streamIndex, sent);
    }
    if (this.#localEndMs !== null) this.#awaitCompletion();
  }

  #tellSent(streamIndex: number, sent: SentTotals): void {
    const isAwaited = this.directions.some(({ isCountAwaited }) => isCountAwaited);
    if (isAwaited && !this.#resumption.isOut) this.#link.send({ kind: "sent", streamIndex, sent });
  }

  /** From this side's end on the server has a bounded time to tell its own. */
  #awaitCompletion(): void {
    if (this.#hasEnded) return;
    if (this.#completionTimer !== null) clearTimeout(this.#completionTimer);
    this.#completionTimer = setTimeout(() => {
      if (this.#resumption.isOut) return;
      const { endpoint } = this.#link;
      const message = `${endpoint} did not complete within ${COMPLETION_TIMEOUT_MS / 1000} s of this side's end`;
      this.#lost(new RperfError("peer-lost", message));
    }, COMPLETION_TIMEOUT_MS);
  }

  /** Stops what still runs, takes the last figures that come, and builds what there is. */
  async #endEarly({ outcome, error }: EarlyEnd): Promise<TestResult> {
    if (outcome === "interrupted") await this.#stopBothSides();
    for (const { group } of this.directions) group.stop();
    await waitWithin(this.#localEnd.promise, STOP_TIMEOUT_MS);
    await this.#link.end();
    return this.#result(outcome, error);
  }

  /** Asks the sender first, so that its receiver sees the end of the data and both count the same. */
  async #stopBothSides(): Promise<void> {
    for (const { config, group, over } of this.directions) {
      if (config.reverse) continue;
      group.stop();
      if (!this.#resumption.isOut) await waitWithin(over, STOP_TIMEOUT_MS);
    }
    if (this.directions.some(({ config }) => config.reverse)) this.#link.sayEnd();
    // Over a connection that is out nothing comes to be waited for.
    const awaited = this.#resumption.isOut
      ? [this.#localEnd.promise]
      : [this.#localEnd.promise, this.#bothEnds.promise];
    await waitWithin(Promise.all(awaited), STOP_TIMEOUT_MS);
  }

  #result(outcome: Outcome, error: RperfError | null): TestResult {
    const { address, port, ipVersion } = this.#link;
    const end = { outcome, reason: error && { code: error.code, message: error.message } };
    return makeTestResult(
      {
        config: this.#config,
        server: { address, port, ipVersion },
        startedSeconds: this.#startedSeconds,
        features: featuresOf(this.directions),
        outages: this.#resumption.outages,
      },
      this.directions.map(({ collector }) => collector.build(end)),
      end,
    );
  }

  #serverSays(message: RunningMessage): void {
    this.#hasHeard = true;
    if (this.#link.mayResume) this.#progress();
    if (message.kind === "result") {
      const { interval, streamIndex } = message;
      // Figures of this side's kind would be added to this side's own.
      const direction = this.directions.find((candidate) => candidate.isOfServer(interval));
      if (direction !== undefined) return direction.serverInterval(streamIndex, interval);
      throw new RperfError("peer-protocol", `a ${interval.family} ${interval.kind} result has no place in this test`);
    }
    this.#directionOf(message)?.serverOver(message);
  }

  /** An original does not tell of which direction a stream is over: the first end counts for one, the second for the other. */
  #directionOf({ role, streamIndex }: Extract<RunningMessage, { kind: "done" | "failed" }>): DirectionRun | undefined {
    if (role !== null) return this.directions.find(({ config }) => config.reverse === (role === "upload"));
    return this.directions.find((direction) => !direction.isStreamOver(streamIndex));
  }

  #over(): void {
    if (this.directions.every(({ isOver }) => isOver)) {
      if (this.#localFailure !== null) this.#earlyEnd.resolve(this.#withServersWord(this.#localFailure));
      this.#bothEnds.resolve(null);
    }
    if (!this.directions.every(({ group }) => group.isOver) || this.#localEndMs !== null) return;
    this.#localEnd.resolve();
    const failures = this.directions.map(({ localFailure }) => localFailure);
    const [first] = failures;
    if (first && failures.every((failure) => failure !== null)) this.#failLocally({ outcome: "failed", error: first });
    this.#localEndMs = performance.now();
    this.#awaitCompletion();
  }

  /** There is nothing left to resume for; what the server may still say of it is the better reason. */
  #failLocally(failure: EarlyEnd): void {
    this.#localFailure = failure;
    this.#lastWordTimer = setTimeout(() => this.#earlyEnd.resolve(failure), LAST_WORD_MS);
  }

  /** Why a server broke a stream is known to it; this side saw only that it broke. */
  #withServersWord(failure: EarlyEnd): EarlyEnd {
    if (failure.error.code !== "stream-failed") return failure;
    const [told] = this.directions.flatMap(({ serverFailure }) => serverFailure ?? []);
    return told === undefined ? failure : { ...failure, error: told };
  }

  #progress(): void {
    const isDraining = this.#localEndMs !== null && performance.now() - this.#localEndMs < MAX_COMPLETION_MS;
    if (isDraining) this.#awaitCompletion();
  }
}

/** Whether each direction is the reverse one. */
export function directionsOf({ bidir, reverse }: TestConfig): readonly boolean[] {
  return bidir ? [false, true] : [reverse];
}

/** The extensions that are in use, by the names of the protocol's description. */
export function featuresOf(directions: readonly DirectionRun[]): readonly string[] {
  const granted = directions.flatMap(({ granted: extensions }) => extensions ?? []);
  return [
    ...(granted.some(({ accounting }) => accounting) ? ["accounting"] : []),
    ...(granted.some(({ dialPorts }) => dialPorts !== null) ? ["dial"] : []),
    ...(granted.some(({ singlePort }) => singlePort) ? ["single_port"] : []),
    ...(granted.some(({ resume }) => resume !== null) ? ["resume"] : []),
  ];
}

import type { TestConfig } from "../config/types.ts";
import { waitWithin } from "../clock.ts";
import { RperfError } from "../errors.ts";
import { createResultCollector, type ResultCollector } from "../results/collector.ts";
import type { Outcome, Side, SocketFacts, TestResult } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";
import { type StreamFailure, StreamGroup } from "../workers/stream-group.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import type { RunningMessage } from "./inbox.ts";
import type { TestDependencies } from "./dependencies.ts";
import type { ServerLink } from "./server-link.ts";

/** A server that streams a result every second and has been silent for this long is gone. */
const SERVER_SILENCE_SECONDS = 5;
const WATCH_INTERVAL_MS = 250;
/**
 * How long the server may take to complete its side once this one is over, as the original waits; as long as data that
 * was under way still arrives there, the time starts again, up to a limit.
 */
const COMPLETION_TIMEOUT_MS = 5000;
const MAX_COMPLETION_MS = 30_000;
/** How long streams that were told to stop may take to tell their last figures. */
const STOP_TIMEOUT_MS = 1000;
/** A UDP receiver whose sender is done needs no end marker any more; what is under way arrives within this time. */
const LATE_PACKETS_MS = 500;

/** Why a test ends before its streams did. */
interface EarlyEnd {
  readonly outcome: Outcome;
  readonly error: RperfError;
}

/** A test from its begin to its result. */
export class RunningTest {
  readonly group: StreamGroup;
  readonly #config: TestConfig;
  readonly #link: ServerLink;
  readonly #dependencies: TestDependencies;
  readonly #collector: ResultCollector;
  readonly #serverOver = new Set<number>();
  readonly #localEnd = Promise.withResolvers<void>();
  readonly #serverEnd = Promise.withResolvers<void>();
  readonly #earlyEnd = Promise.withResolvers<EarlyEnd>();
  readonly #lateTimers: Timer[] = [];
  readonly #localFailures: NonNullable<StreamFailure>[] = [];
  #hasEnded = false;
  #completionTimer: Timer | null = null;
  /** Null until this side is over. */
  #localEndMs: number | null = null;

  constructor(config: TestConfig, link: ServerLink, workers: readonly StreamWorker[], dependencies: TestDependencies) {
    this.#config = config;
    this.#link = link;
    this.#dependencies = dependencies;
    const { clock, emit } = dependencies;
    const { address, port, ipVersion } = link;
    const startedSeconds = clock.wallSecondsOf(clock.monotonicSeconds());
    this.#collector = createResultCollector({ config, server: { address, port, ipVersion }, startedSeconds });
    this.group = new StreamGroup(workers, {
      onInterval: (streamIndex, interval) => this.#interval(streamIndex, interval),
      onWarning: (message) => emit({ type: "warning", message }),
      onDebug: (message) => emit({ type: "debug", message }),
      onOver: (streamIndex, failure, socket) => this.#localOver(streamIndex, failure, socket),
    });
  }

  /** Begins on both sides and resolves with the result; never rejects. */
  async run(): Promise<TestResult> {
    // First, so that whoever listens hears of it before anything of a stream's.
    this.#dependencies.emit({ type: "started" });
    this.#link.begin({
      onMessage: (message) => this.#serverSays(message),
      onLost: (error) => this.#earlyEnd.resolve({ outcome: "failed", error }),
    });
    this.group.start();
    const stopWatching = this.#watch();
    const bothEnds = Promise.all([this.#localEnd.promise, this.#serverEnd.promise]).then(() => null);
    const early = await Promise.race([this.#earlyEnd.promise, bothEnds]);
    this.#hasEnded = true;
    stopWatching();
    if (early === null) {
      await this.#link.end();
      return this.#collector.build({ outcome: "completed", reason: null });
    }
    return this.#endEarly(early);
  }

  /** Watches the server's silence and delay and this side's interruption; gives the function that stops it. */
  #watch(): () => void {
    const { signal } = this.#dependencies;
    const onAbort = () =>
      this.#earlyEnd.resolve({ outcome: "interrupted", error: new RperfError("stopped", "the test was interrupted") });
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    const timer = setInterval(() => {
      // A server that is done has nothing to say while this side still takes what is under way.
      if (this.#serverOver.size === this.#config.parallel) return;
      const silenceSeconds = this.#link.silenceSeconds(performance.now());
      if (silenceSeconds < SERVER_SILENCE_SECONDS) return;
      const message = `${this.#link.endpoint} has not been heard of for ${SERVER_SILENCE_SECONDS} s`;
      this.#earlyEnd.resolve({ outcome: "failed", error: new RperfError("peer-lost", message) });
    }, WATCH_INTERVAL_MS);
    return () => {
      signal.removeEventListener("abort", onAbort);
      clearInterval(timer);
      if (this.#completionTimer !== null) clearTimeout(this.#completionTimer);
      for (const late of this.#lateTimers) clearTimeout(late);
    };
  }

  /** From this side's end on the server has a bounded time to tell its own. */
  #awaitCompletion(): void {
    if (this.#hasEnded) return;
    if (this.#completionTimer !== null) clearTimeout(this.#completionTimer);
    const message = `${this.#link.endpoint} did not complete within ${COMPLETION_TIMEOUT_MS / 1000} s of this side's end`;
    this.#completionTimer = setTimeout(
      () => this.#earlyEnd.resolve({ outcome: "abandoned", error: new RperfError("peer-lost", message) }),
      COMPLETION_TIMEOUT_MS,
    );
  }

  /** Stops what still runs, takes the last figures that come, and builds what there is. */
  async #endEarly({ outcome, error }: EarlyEnd): Promise<TestResult> {
    if (outcome === "interrupted") await this.#stopBothSides();
    this.group.stop();
    await waitWithin(this.#localEnd.promise, STOP_TIMEOUT_MS);
    await this.#link.end();
    return this.#collector.build({ outcome, reason: { code: error.code, message: error.message } });
  }

  /** Asks the sender first, so that its receiver sees the end of the data and both count the same. */
  async #stopBothSides(): Promise<void> {
    if (this.#config.reverse) this.#link.sayEnd();
    else this.group.stop();
    await waitWithin(Promise.all([this.#localEnd.promise, this.#serverEnd.promise]), STOP_TIMEOUT_MS);
  }

  #serverSays(message: RunningMessage): void {
    if (message.kind === "result") {
      this.#checkServersSide(message.interval);
      return this.#interval(message.streamIndex, message.interval);
    }
    const { streamIndex, socket } = message;
    if (this.#serverOver.has(streamIndex)) return;
    this.#serverOver.add(streamIndex);
    const failure: StreamFailure =
      message.kind === "done"
        ? null
        : { code: "stream-failed", message: message.message ?? "the server reports a failure and no reason" };
    this.#sideOver(streamIndex, "server", failure, socket);
    this.#endTwin(streamIndex, failure);
    if (this.#serverOver.size === this.#config.parallel) this.#serverEnd.resolve();
  }

  /** Figures of this side's kind would be added to this side's own. */
  #checkServersSide({ kind, family }: Interval): void {
    const { reverse, family: expectedFamily } = this.#config;
    if (kind === (reverse ? "send" : "receive") && family === expectedFamily) return;
    throw new RperfError("peer-protocol", `a ${family} ${kind} result has no place in this test`);
  }

  /** What the end of a server's stream means for its counterpart here. */
  #endTwin(streamIndex: number, failure: StreamFailure): void {
    if (failure !== null) this.group.stopStream(streamIndex);
    else if (this.#config.reverse && this.#config.family === "udp") {
      this.#lateTimers.push(setTimeout(() => this.group.stopStream(streamIndex), LATE_PACKETS_MS));
    }
  }

  #localOver(streamIndex: number, failure: StreamFailure, socket: SocketFacts | null): void {
    this.#sideOver(streamIndex, "client", failure, socket);
    if (failure !== null && failure.code !== "stopped") {
      this.#localFailures.push({ code: failure.code, message: `stream ${streamIndex}: ${failure.message}` });
    }
    if (!this.group.isOver) return;
    this.#localEnd.resolve();
    this.#endIfAllFailed();
    this.#localEndMs = performance.now();
    this.#awaitCompletion();
  }

  /** With every stream failed here there is nothing left that the server could complete. */
  #endIfAllFailed(): void {
    const [first] = this.#localFailures;
    if (first === undefined || this.#localFailures.length < this.#config.parallel) return;
    this.#earlyEnd.resolve({ outcome: "failed", error: new RperfError(first.code, first.message) });
  }

  #sideOver(streamIndex: number, side: Side, failure: StreamFailure, socket: SocketFacts | null): void {
    const outcome = failure === null ? "completed" : "failed";
    this.#collector.sideEnded(streamIndex, side, outcome, failure, socket);
    this.#dependencies.emit({ type: "stream-ended", streamIndex, side, failure: failure?.message ?? null });
  }

  #interval(streamIndex: number, interval: Interval): void {
    this.#collector.addInterval(streamIndex, interval);
    const isProgress = interval.kind === "receive" && interval.bytesReceived > 0;
    const isDraining = this.#localEndMs !== null && performance.now() - this.#localEndMs < MAX_COMPLETION_MS;
    if (isProgress && isDraining) this.#awaitCompletion();
    this.#dependencies.emit({ type: "interval", streamIndex, interval });
  }
}

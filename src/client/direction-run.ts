import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { Extensions, SentTotals } from "../protocol/messages.ts";
import { createResultCollector, type ResultCollector } from "../results/collector.ts";
import { type Direction, NO_TOTALS, type Side, type SideTotals } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";
import { type StreamEnd, type StreamFailure, StreamGroup } from "../workers/stream-group.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import { intervalSecondsOf, receiverTerms } from "./configuration.ts";
import type { ClientEvent } from "./events.ts";
import type { RunningMessage } from "./inbox.ts";

const NOT_COUNTED: SentTotals = { packets: 0, omittedPackets: 0 };
/** A UDP receiver whose sender is done needs no end marker any more; what is under way arrives within this time. */
const LATE_PACKETS_MS = 500;

/** A stream has no more intervals than pass until the client gives its server up, by far; a last one is cut short. */
const MOST_SECONDS_BEHIND_PLAN = 120;
const MOST_SHORT_INTERVALS = 16;

type Completion = Extract<RunningMessage, { kind: "done" | "failed" }>;

export interface DirectionHooks {
  readonly emit: (event: ClientEvent) => void;
  /** A sender of this side is over, and its receiver is to know of this. */
  readonly onSent: (streamIndex: number, sent: SentTotals) => void;
  /** Data came, or a report of it. */
  readonly onProgress: () => void;
  /** A stream is over on one side. */
  readonly onOver: () => void;
}

/** One direction of a running test: its streams here, and what is heard of those there. */
export class DirectionRun {
  readonly direction: Direction;
  /** Of this direction: `reverse` tells which. */
  readonly config: TestConfig;
  readonly group: StreamGroup;
  readonly collector: ResultCollector;
  /** What the server granted; null = it is an original. */
  granted: Extensions | null = null;
  /** Resolves when all its streams are over on both sides. */
  readonly over: Promise<void>;
  readonly #hooks: DirectionHooks;
  readonly #over = Promise.withResolvers<void>();
  readonly #serverOver = new Set<number>();
  readonly #localFailures: NonNullable<StreamFailure>[] = [];
  #serverFailure: RperfError | null = null;
  /** How many each stream has told. */
  readonly #serverIntervals: number[];
  readonly #sent = new Map<number, SentTotals>();
  readonly #lateTimers: Timer[] = [];

  constructor(config: TestConfig, workers: readonly StreamWorker[], hooks: DirectionHooks) {
    this.config = config;
    this.direction = config.reverse ? "reverse" : "forward";
    this.#hooks = hooks;
    this.over = this.#over.promise;
    this.collector = createResultCollector(config);
    this.#serverIntervals = Array.from({ length: config.parallel }, () => 0);
    this.group = new StreamGroup(workers, {
      onInterval: (streamIndex, interval) => this.#interval(streamIndex, interval),
      onWarning: (message) => hooks.emit({ type: "warning", message }),
      onDebug: (message) => hooks.emit({ type: "debug", message }),
      onOver: (streamIndex, end) => this.#localOver(streamIndex, end),
    });
  }

  get isServerOver(): boolean {
    return this.#serverOver.size === this.config.parallel;
  }

  get isOver(): boolean {
    return this.isServerOver && this.group.isOver;
  }

  /** The failure of the first, when every stream failed here: nothing is left that the server could complete. */
  get localFailure(): RperfError | null {
    const [first] = this.#localFailures;
    if (first === undefined || this.#localFailures.length < this.config.parallel) return null;
    return new RperfError(first.code, first.message);
  }

  /** The first that the server gave a reason for. */
  get serverFailure(): RperfError | null {
    return this.#serverFailure;
  }

  get intervalSeconds(): number {
    return intervalSecondsOf(this.granted);
  }

  /** Final counts of this side's senders that the server may not have heard of. */
  get unheard(): readonly (readonly [streamIndex: number, sent: SentTotals])[] {
    return [...this.#sent].filter(([streamIndex]) => !this.#serverOver.has(streamIndex));
  }

  /** Whether the server's receivers go by the final counts, and not by silence; until data comes, they say nothing. */
  get isCountAwaited(): boolean {
    const { granted, config } = this;
    return !config.reverse && granted !== null && receiverTerms(config, granted).isPatient;
  }

  /** Whether the other side of a stream of `kind` is this direction's. */
  isOfServer({ kind, family }: Interval): boolean {
    return kind === (this.config.reverse ? "send" : "receive") && family === this.config.family;
  }

  isStreamOver(streamIndex: number): boolean {
    return this.#serverOver.has(streamIndex);
  }

  /** Throws `peer-protocol` where there are more than can be of one test; what comes behind an end told by ours is none. */
  serverInterval(streamIndex: number, interval: Interval): void {
    if (this.granted !== null && this.#serverOver.has(streamIndex)) return;
    const count = (this.#serverIntervals[streamIndex] ?? 0) + 1;
    this.#serverIntervals[streamIndex] = count;
    const { durationSeconds, resumeTimeoutSeconds } = this.config;
    const mostSeconds = durationSeconds + resumeTimeoutSeconds + MOST_SECONDS_BEHIND_PLAN;
    if (count > mostSeconds / this.intervalSeconds + MOST_SHORT_INTERVALS) {
      throw new RperfError("peer-protocol", `stream ${streamIndex} has more results than the test has intervals`);
    }
    this.#interval(streamIndex, interval);
  }

  serverOver(message: Completion): void {
    const { streamIndex, socket, totals, sent } = message;
    if (this.#serverOver.has(streamIndex)) return;
    this.#serverOver.add(streamIndex);
    if (message.kind === "failed" && message.message !== null) {
      this.#serverFailure ??= new RperfError("stream-failed", `stream ${streamIndex}: ${message.message}`);
    }
    const failure: StreamFailure =
      message.kind === "done"
        ? null
        : { code: "stream-failed", message: message.message ?? "the server reports a failure and no reason" };
    this.#sideOver(streamIndex, "server", failure, socket, totals);
    this.#endTwin(streamIndex, failure, sent);
    this.#streamOver();
  }

  /** Its streams begin, on the terms that were agreed on. */
  start(): void {
    const { granted, config } = this;
    this.group.start(granted === null || !config.reverse ? null : receiverTerms(config, granted));
  }

  stopTimers(): void {
    for (const late of this.#lateTimers) clearTimeout(late);
  }

  /** What the end of a server's stream means for its counterpart here. */
  #endTwin(streamIndex: number, failure: StreamFailure, sent: SentTotals | null): void {
    const { reverse, family } = this.config;
    // TCP needs no count, and yet its receiver has to know that no more comes.
    const counted = sent ?? (failure === null && family === "tcp" ? NOT_COUNTED : null);
    if (reverse && this.granted !== null && counted !== null) this.group.finish(streamIndex, counted);
    else if (failure !== null) this.group.stopStream(streamIndex);
    else if (reverse && family === "udp") {
      this.#lateTimers.push(setTimeout(() => this.group.stopStream(streamIndex), LATE_PACKETS_MS));
    }
  }

  #localOver(streamIndex: number, { failure, socket, report }: StreamEnd): void {
    this.#sideOver(streamIndex, "client", failure, socket, report?.totals ?? NO_TOTALS);
    if (failure !== null && failure.code !== "stopped") {
      this.#localFailures.push({ code: failure.code, message: `stream ${streamIndex}: ${failure.message}` });
    }
    if (!this.config.reverse) {
      const sent = report?.sent ?? { packets: 0, omittedPackets: 0 };
      this.#sent.set(streamIndex, sent);
      this.#hooks.onSent(streamIndex, sent);
    }
    this.#streamOver();
  }

  #streamOver(): void {
    if (this.isOver) this.#over.resolve();
    this.#hooks.onOver();
  }

  #sideOver(
    streamIndex: number,
    side: Side,
    failure: StreamFailure,
    socket: StreamEnd["socket"],
    totals: SideTotals,
  ): void {
    const outcome = failure === null ? "completed" : failure.code === "stopped" ? "interrupted" : "failed";
    this.collector.sideEnded(streamIndex, side, { outcome, reason: failure, socket, totals });
    const { direction } = this;
    this.#hooks.emit({ type: "stream-ended", direction, streamIndex, side, failure: failure?.message ?? null });
  }

  #interval(streamIndex: number, interval: Interval): void {
    this.collector.addInterval(streamIndex, interval);
    if (interval.kind === "receive" && interval.bytesReceived > 0) this.#hooks.onProgress();
    this.#hooks.emit({ type: "interval", direction: this.direction, streamIndex, interval });
  }
}

import type { Clock } from "../clock.ts";
import { RECEIVER_SILENCE_SECONDS } from "../config/limits.ts";
import { type ErrorCode, messageOf, RperfError } from "../errors.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import { type Cut, IntervalCutter } from "../stats/interval-cutter.ts";
import { ReadRate } from "./read-rate.ts";
import type { Emit, ReceiverSpec, Stream } from "./spec.ts";
import { spareCompiler } from "./spare-compiler.ts";
import type { LoopTask, Readiness, StreamLoop } from "./stream-loop.ts";

/**
 * How long an interval that is over waits for the data or the end that follows it: an end that comes within this time
 * belongs to the interval, and makes no sliver of its own.
 */
const REPORT_DELAY_SECONDS = 0.1;

/** How long one run may read before other streams of its thread have their turn. */
const MAX_RUN_SECONDS = 0.001;

/** What a transport tells its receiver. */
export interface ReceiveEvents {
  /** Data is there, since `atSeconds` on the monotonic clock; called before it is counted. */
  onData(atSeconds: number): void;
  /** The sender said that the data ends here, at `atSeconds`. */
  onEnd(atSeconds: number): void;
  onLost(message: string): void;
  onWarning(message: string): void;
}

/** The socket of a receiver. */
export interface ReceiveTransport {
  /** Binds and gives the port; throws RperfError. */
  open(events: ReceiveEvents): Promise<number>;
  /** What was counted since the last call, for the time of `cut`. */
  take(cut: Cut, timestampSeconds: number): ReceiveInterval;
  /** What `drain` reads from; null = data comes by itself, through Bun. */
  readonly directDescriptor: number | null;
  /** Bytes that may wait to be read together, for the kernel tells when each came; 0 = none. */
  readonly mostWaitingBytes: number;
  /** Reads once, without waiting: how many bytes, 0 when there was nothing. Events may come of it. */
  drain(nowSeconds: number): number;
  /** Called before the drains of one wake-up. */
  wake(nowSeconds: number): void;
  close(): void;
}

/** Counts what a transport receives and reports each interval; its time starts with the first data. */
export class Receiver implements Stream, LoopTask {
  readonly readiness: Readiness = "readable";
  readonly leadSeconds = 0;
  /** Readiness calls it, and time only while it looks again and again. */
  dueSeconds = Infinity;
  readonly #spec: ReceiverSpec;
  readonly #transport: ReceiveTransport;
  readonly #clock: Clock;
  readonly #loop: StreamLoop;
  readonly #emit: Emit;
  readonly #readRate = new ReadRate();
  #isResting = false;
  #state: "waiting" | "receiving" | "over" = "waiting";
  #cutter: IntervalCutter | null = null;
  #lastDataSeconds: number;
  #timer: Timer | null = null;

  constructor(spec: ReceiverSpec, transport: ReceiveTransport, clock: Clock, loop: StreamLoop, emit: Emit) {
    this.#spec = spec;
    this.#transport = transport;
    this.#clock = clock;
    this.#loop = loop;
    this.#emit = emit;
    this.#lastDataSeconds = clock.monotonicSeconds();
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#data]);
  }

  async prepare(): Promise<void> {
    try {
      const port = await this.#transport.open({
        onData: (atSeconds) => this.#data(atSeconds),
        onEnd: (atSeconds) => this.#end(atSeconds),
        onLost: (message) => this.#fail("stream-failed", message),
        onWarning: (message) => this.#emit({ type: "warning", message }),
      });
      if (this.#state === "over") return this.#transport.close();
      if (this.#transport.directDescriptor !== null) this.#loop.add(this);
      this.#emit({ type: "prepared", port });
    } catch (error) {
      this.#fail(error instanceof RperfError ? error.code : "bind-failed", messageOf(error));
    }
  }

  start(): void {
    if (this.#state === "waiting") this.#lastDataSeconds = this.#clock.monotonicSeconds();
    this.#arm();
  }

  stop(): void {
    if (this.#state === "waiting") this.#fail("stopped", "stopped before any data came");
    else this.#end(this.#lastDataSeconds);
  }

  get descriptor(): number | null {
    return this.#isResting ? null : this.#transport.directDescriptor;
  }

  /** Reads what is there. */
  run(startSeconds: number): boolean {
    let hasRead = false;
    let nowSeconds = startSeconds;
    this.dueSeconds = Infinity;
    this.#isResting = false;
    this.#transport.wake(nowSeconds);
    while (this.#state !== "over") {
      const bytes = this.#transport.drain(nowSeconds);
      if (bytes === 0) {
        if (this.#loop.maySpin && this.#readRate.shouldLookAgain(nowSeconds)) this.dueSeconds = nowSeconds;
        else if (hasRead) this.#rest(nowSeconds);
        break;
      }
      hasRead = true;
      nowSeconds = this.#clock.monotonicSeconds();
      this.#readRate.read(nowSeconds, bytes);
      if (nowSeconds - startSeconds >= MAX_RUN_SECONDS) {
        this.dueSeconds = nowSeconds;
        break;
      }
    }
    return hasRead;
  }

  /** The socket's buffer and the kernel's times wait for the next look: one wake-up then does for many packets. */
  #rest(nowSeconds: number): void {
    const restSeconds = this.#readRate.restSeconds(this.#transport.mostWaitingBytes);
    this.#isResting = restSeconds > 0;
    if (this.#isResting) this.dueSeconds = nowSeconds + restSeconds;
  }

  broken(message: string): void {
    this.#fail("internal", message);
  }

  #data(atSeconds: number): void {
    this.#lastDataSeconds = atSeconds;
    if (this.#cutter === null) {
      this.#state = "receiving";
      this.#cutter = new IntervalCutter(atSeconds, this.#spec.intervalSeconds);
      this.#arm();
      // A connection that was accepted just now: from here on the loop reads it.
      if (this.#transport.directDescriptor !== null) this.#loop.add(this);
    } else if (atSeconds >= this.#cutter.boundarySeconds) {
      this.#cutDue(this.#cutter, atSeconds);
    }
  }

  #end(endSeconds: number): void {
    if (this.#state === "over") return;
    this.#close(endSeconds);
    this.#emit({ type: "ended" });
  }

  #fail(code: ErrorCode, message: string): void {
    if (this.#state === "over") return;
    // The silence since the last interval was no part of the transfer.
    this.#close(this.#lastDataSeconds);
    this.#emit({ type: "failed", code, message });
  }

  #close(endSeconds: number): void {
    this.#state = "over";
    this.#loop.remove(this);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#transport.close();
    if (this.#cutter === null) return;
    const final = this.#cutter.cutFinal(endSeconds);
    if (final.endSeconds >= final.startSeconds) this.#report(final);
  }

  /** The next moment at which something can be over: an interval, or the patience. */
  #arm(): void {
    if (this.#state === "over") return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const wakeSeconds = Math.min(
      this.#lastDataSeconds + RECEIVER_SILENCE_SECONDS,
      (this.#cutter?.boundarySeconds ?? Infinity) + REPORT_DELAY_SECONDS,
    );
    const delayMs = Math.max(1, Math.ceil((wakeSeconds - this.#clock.monotonicSeconds()) * 1000));
    this.#timer = setTimeout(() => this.#wake(), delayMs);
  }

  #wake(): void {
    const nowSeconds = this.#clock.monotonicSeconds();
    if (nowSeconds - this.#lastDataSeconds >= RECEIVER_SILENCE_SECONDS) {
      const what = this.#state === "waiting" ? "no data came" : "no more data came";
      return this.#fail("stream-silent", `${what} for ${RECEIVER_SILENCE_SECONDS} s`);
    }
    if (this.#cutter !== null) this.#cutDue(this.#cutter, nowSeconds - REPORT_DELAY_SECONDS);
    this.#arm();
  }

  #cutDue(cutter: IntervalCutter, nowSeconds: number): void {
    for (let cut = cutter.cutDue(nowSeconds); cut !== null; cut = cutter.cutDue(nowSeconds)) this.#report(cut);
  }

  #report(cut: Cut): void {
    const interval = this.#transport.take(cut, this.#clock.wallSecondsOf(cut.endSeconds));
    this.#emit({ type: "interval", interval });
  }
}

import type { Clock } from "../clock.ts";
import { RECEIVER_SILENCE_SECONDS } from "../config/limits.ts";
import { type ErrorCode, messageOf, RperfError } from "../errors.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import { type Cut, IntervalCutter } from "../stats/interval-cutter.ts";
import type { Emit, ReceiverSpec, Stream } from "./spec.ts";

/**
 * How long an interval that is over waits for the data or the end that follows it: an end that comes within this time
 * belongs to the interval, and makes no sliver of its own.
 */
const REPORT_DELAY_SECONDS = 0.1;

/** What a transport tells its receiver. */
export interface ReceiveEvents {
  /** Data is there; called before it is counted, and gives the time at which it counts. */
  onData(): number;
  /** The sender said that the data ends here. */
  onEnd(): void;
  onLost(message: string): void;
  onWarning(message: string): void;
}

/** The socket of a receiver. */
export interface ReceiveTransport {
  /** Binds and gives the port; throws RperfError. */
  open(events: ReceiveEvents): Promise<number>;
  /** What was counted since the last call, for the time of `cut`. */
  take(cut: Cut, timestampSeconds: number): ReceiveInterval;
  close(): void;
}

/** Counts what a transport receives and reports each interval; its time starts with the first data. */
export class Receiver implements Stream {
  readonly #spec: ReceiverSpec;
  readonly #transport: ReceiveTransport;
  readonly #clock: Clock;
  readonly #emit: Emit;
  #state: "waiting" | "receiving" | "over" = "waiting";
  #cutter: IntervalCutter | null = null;
  #lastDataSeconds: number;
  #timer: Timer | null = null;

  constructor(spec: ReceiverSpec, transport: ReceiveTransport, clock: Clock, emit: Emit) {
    this.#spec = spec;
    this.#transport = transport;
    this.#clock = clock;
    this.#emit = emit;
    this.#lastDataSeconds = clock.monotonicSeconds();
  }

  async prepare(): Promise<void> {
    try {
      const port = await this.#transport.open({
        onData: () => this.#data(),
        onEnd: () => this.#end(this.#clock.monotonicSeconds()),
        onLost: (message) => this.#fail("stream-failed", message),
        onWarning: (message) => this.#emit({ type: "warning", message }),
      });
      if (this.#state === "over") this.#transport.close();
      else this.#emit({ type: "prepared", port });
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

  #data(): number {
    const nowSeconds = this.#clock.monotonicSeconds();
    this.#lastDataSeconds = nowSeconds;
    if (this.#cutter === null) {
      this.#state = "receiving";
      this.#cutter = new IntervalCutter(nowSeconds, this.#spec.intervalSeconds);
      this.#arm();
    } else if (nowSeconds >= this.#cutter.boundarySeconds) {
      this.#cutDue(this.#cutter, nowSeconds);
    }
    return nowSeconds;
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

import type { Clock } from "../clock.ts";
import { RECEIVER_SILENCE_SECONDS } from "../config/limits.ts";
import { type ErrorCode, messageOf, RperfError } from "../errors.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import { type Cut, IntervalCutter } from "../stats/interval-cutter.ts";
import { letGo } from "./let-go.ts";
import { ReadRate } from "./read-rate.ts";
import type { SentTotals } from "../protocol/messages.ts";
import type { Emit, Handed, ReceiverSpec, StartTerms, Stream, StreamReport } from "./spec.ts";
import { spareCompiler } from "./spare-compiler.ts";
import type { LoopTask, Readiness, StreamLoop } from "./stream-loop.ts";

/**
 * How long an interval that is over waits for the data or the end that follows it: an end that comes within this time
 * belongs to the interval, and makes no sliver of its own.
 */
const REPORT_DELAY_SECONDS = 0.1;

/** How long one run may read before other streams of its thread have their turn. */
const MAX_RUN_SECONDS = 0.001;

/**
 * A connection that was cut off for a while sends again at the latest after as long again, for its waits double (RFC 6298,
 * 5.5), and this much.
 */
const RETRANSMIT_ROOM_SECONDS = 0.5;

/** A sender that is done has its last packets under way: they come within this time of the last that did … */
const LATE_SECONDS = 0.3;
/** … and not later than this, whatever still comes. */
const MOST_LATE_SECONDS = 5;
const LATE_POLL_SECONDS = 0.02;

/** What a transport tells its receiver. */
export interface ReceiveEvents {
  /** The peer has come: `directDescriptor` may be there from now on. */
  onSocket(): void;
  /** Data is there, since `atSeconds` on the monotonic clock; called before it is counted. */
  onData(atSeconds: number): void;
  /** The sender said that the data ends here, at `atSeconds`. */
  onEnd(atSeconds: number): void;
  onLost(message: string): void;
  onWarning(message: string): void;
}

/** The socket of a receiver. */
export interface ReceiveTransport {
  /** Binds and gives the port, or comes to its peer: null; throws RperfError. */
  open(events: ReceiveEvents): Promise<number | null>;
  /** The test begins, on these terms. */
  start(terms: StartTerms): void;
  /** The peer came to the control port. */
  take(handed: Handed): void;
  /** What was counted since the last call, for the time of `cut`. */
  interval(cut: Cut, timestampSeconds: number): ReceiveInterval;
  /** Whether all that was sent has come. */
  hasAll(sent: SentTotals): boolean;
  /** What is known of the whole stream; `sent` is null when its sender did not tell. */
  report(sent: SentTotals | null): StreamReport;
  /** What `drain` reads from; null = data comes by itself, through Bun. */
  readonly directDescriptor: number | null;
  /** Bytes that may wait to be read together, for the kernel tells when each came; 0 = none. */
  readonly mostWaitingBytes: number;
  /** Reads once, without waiting: how many bytes, 0 when there was nothing. Events may come of it. */
  drain(nowSeconds: number): number;
  /** Called before the drains of one wake-up. */
  wake(nowSeconds: number): void;
  /** `isSenderDone`: nothing more is sent here, as the sender itself has told. */
  close(isSenderDone: boolean): void;
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
  #isStarted = false;
  #state: "waiting" | "receiving" | "over" = "waiting";
  #cutter: IntervalCutter | null = null;
  #lastDataSeconds: number;
  #timer: Timer | null = null;
  #terms: StartTerms;
  /** When the sender's last packet, or the mark behind it, came. */
  #endSeconds: number | null = null;
  /** What the sender counted in the end, and when that was told. */
  #sent: { readonly totals: SentTotals; readonly toldSeconds: number } | null = null;
  #mostSilenceSeconds = RECEIVER_SILENCE_SECONDS;

  constructor(spec: ReceiverSpec, transport: ReceiveTransport, clock: Clock, loop: StreamLoop, emit: Emit) {
    this.#spec = spec;
    this.#terms = spec;
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
        onSocket: () => this.#watch(),
        onEnd: (atSeconds) => this.#marked(atSeconds),
        onLost: (message) => this.#fail("stream-failed", message),
        onWarning: (message) => this.#emit({ type: "warning", message }),
      });
      if (this.#state === "over") return this.#transport.close(false);
      this.#watch();
      this.#emit({ type: "prepared", port });
    } catch (error) {
      this.#fail(error instanceof RperfError ? error.code : "bind-failed", messageOf(error));
    }
  }

  start(terms: StartTerms | null): void {
    if (terms !== null) this.#terms = terms;
    this.#isStarted = true;
    this.#transport.start(this.#terms);
    if (this.#state === "waiting") this.#lastDataSeconds = this.#clock.monotonicSeconds();
    this.#arm();
  }

  stop(): void {
    if (this.#state === "waiting") this.#fail("stopped", "stopped before any data came");
    else this.#end(this.#endSeconds ?? this.#lastDataSeconds);
  }

  take(handed: Handed): void {
    if (this.#state === "over") letGo(handed);
    else this.#transport.take(handed);
  }

  hold(): void {}

  finish(totals: SentTotals): void {
    if (this.#state === "over" || this.#sent !== null) return;
    const toldSeconds = this.#clock.monotonicSeconds();
    const stalledSeconds = toldSeconds - this.#lastDataSeconds;
    this.#sent = { totals, toldSeconds };
    if (this.#spec.family === "udp") this.#endWhenComplete(totals, toldSeconds);
    else if (this.#state === "receiving")
      this.#mostSilenceSeconds = Math.max(RECEIVER_SILENCE_SECONDS, stalledSeconds + RETRANSMIT_ROOM_SECONDS);
    this.#arm();
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
      this.#cutter = new IntervalCutter(atSeconds, this.#terms.intervalSeconds);
      this.#arm();
    } else if (this.#endSeconds === null && atSeconds >= this.#cutter.boundarySeconds) {
      this.#cutDue(this.#cutter, atSeconds);
    }
  }

  /** From here on the loop reads it. */
  #watch(): void {
    if (this.#state !== "over" && this.#transport.directDescriptor !== null) this.#loop.add(this);
  }

  /** Of UDP a mark says when the data ended; that they did, and whether all came, the sender's count tells. */
  #marked(atSeconds: number): void {
    if (this.#spec.family === "tcp" || !this.#terms.isPatient) return this.#end(atSeconds);
    this.#endSeconds ??= atSeconds;
  }

  #end(endSeconds: number): void {
    if (this.#state === "over") return;
    this.#close(endSeconds);
    this.#emit({ type: "ended", report: this.#report() });
  }

  /** Ends when all is there, or nothing more is to be waited for. */
  #endWhenComplete(totals: SentTotals, toldSeconds: number): void {
    const nowSeconds = this.#clock.monotonicSeconds();
    const quietSeconds = nowSeconds - Math.max(toldSeconds, this.#lastDataSeconds);
    const isLate = quietSeconds >= LATE_SECONDS || nowSeconds - toldSeconds >= MOST_LATE_SECONDS;
    if (!isLate && !this.#transport.hasAll(totals)) return;
    if (this.#state !== "waiting" || totals.packets === 0) return this.#end(this.#endSeconds ?? this.#lastDataSeconds);
    this.#fail("stream-silent", `none of ${totals.packets} packets came: is UDP blocked on the way?`);
  }

  #report(): StreamReport {
    return this.#transport.report(this.#sent?.totals ?? null);
  }

  #fail(code: ErrorCode, message: string): void {
    if (this.#state === "over") return;
    // The silence since the last interval was no part of the transfer.
    this.#close(this.#lastDataSeconds);
    this.#emit({ type: "failed", code, message, report: this.#report() });
  }

  #close(endSeconds: number): void {
    this.#state = "over";
    this.#loop.remove(this);
    if (this.#timer !== null) clearTimeout(this.#timer);
    // Before the start nobody sends: its port may be another's at once.
    const isUnused = !this.#isStarted && this.#cutter === null;
    this.#transport.close(this.#sent !== null || isUnused);
    if (this.#cutter === null) return;
    this.#tellFinal(this.#cutter.cutFinal(endSeconds));
  }

  /** A stream that ended in an interval which is told already has one more, of no length, if something came behind that. */
  #tellFinal({ startSeconds, endSeconds }: Cut): void {
    const cut = { startSeconds, endSeconds: Math.max(startSeconds, endSeconds) };
    const interval = this.#intervalOf(cut);
    if (endSeconds >= startSeconds || interval.bytesReceived > 0) this.#emit({ type: "interval", interval });
  }

  /** The next moment at which something can be over: an interval, the sender's last packets, or the patience. */
  #arm(): void {
    if (this.#state === "over") return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const nowSeconds = this.#clock.monotonicSeconds();
    const wakeSeconds = Math.min(
      this.#isPatient ? Infinity : this.#silentSinceSeconds + this.#mostSilenceSeconds,
      this.#isEnding ? Infinity : (this.#cutter?.boundarySeconds ?? Infinity) + REPORT_DELAY_SECONDS,
      this.#awaitsLate ? nowSeconds + LATE_POLL_SECONDS : Infinity,
    );
    if (wakeSeconds === Infinity) return;
    const delayMs = Math.max(1, Math.ceil((wakeSeconds - nowSeconds) * 1000));
    this.#timer = setTimeout(() => this.#wake(), delayMs);
  }

  /** Behind the end of the data no interval is over by time alone. */
  get #isEnding(): boolean {
    return this.#endSeconds !== null || this.#awaitsLate;
  }

  /** A TCP sender that is done closes, or what it has sent still comes. */
  get #isPatient(): boolean {
    return this.#terms.isPatient && !(this.#spec.family === "tcp" && this.#sent !== null);
  }

  /** A patient receiver takes silence for one from its sender's end on. */
  get #silentSinceSeconds(): number {
    return this.#terms.isPatient && this.#sent !== null
      ? Math.max(this.#lastDataSeconds, this.#sent.toldSeconds)
      : this.#lastDataSeconds;
  }

  get #awaitsLate(): boolean {
    return this.#sent !== null && this.#spec.family === "udp";
  }

  #wake(): void {
    const nowSeconds = this.#clock.monotonicSeconds();
    if (!this.#isPatient && nowSeconds - this.#silentSinceSeconds >= this.#mostSilenceSeconds) {
      const what = this.#state === "waiting" ? "no data came" : "no more data came";
      return this.#fail("stream-silent", `${what} for ${Math.round(this.#mostSilenceSeconds)} s`);
    }
    if (this.#sent !== null && this.#awaitsLate) this.#endWhenComplete(this.#sent.totals, this.#sent.toldSeconds);
    else if (this.#cutter !== null && !this.#isEnding) this.#cutDue(this.#cutter, nowSeconds - REPORT_DELAY_SECONDS);
    this.#arm();
  }

  #cutDue(cutter: IntervalCutter, nowSeconds: number): void {
    for (let cut = cutter.cutDue(nowSeconds); cut !== null; cut = cutter.cutDue(nowSeconds)) this.#tellInterval(cut);
  }

  #tellInterval(cut: Cut): void {
    this.#emit({ type: "interval", interval: this.#intervalOf(cut) });
  }

  #intervalOf(cut: Cut): ReceiveInterval {
    return this.#transport.interval(cut, this.#clock.wallSecondsOf(cut.endSeconds));
  }
}

import type { Clock } from "../clock.ts";
import { type ErrorCode, messageOf, RperfError } from "../errors.ts";
import { NO_TOTALS } from "../results/types.ts";
import type { OmittedSend, SendInterval } from "../stats/interval.ts";
import { type Cut, IntervalCutter, overlapBeforeSeconds } from "../stats/interval-cutter.ts";
import { letGo } from "./let-go.ts";
import { paceOf, type PacingAbilities } from "./pace-plan.ts";
import { type Pace, Pacer } from "./pacer.ts";
import type { Emit, Handed, SenderSpec, Stream, StreamReport } from "./spec.ts";
import { spareCompiler } from "./spare-compiler.ts";
import type { LoopTask, Readiness, StreamLoop } from "./stream-loop.ts";

/** How long one run may send before other streams of its thread have their turn. */
const MAX_RUN_SECONDS = 0.001;
/** An interval that would end this shortly before the stream ends with it. */
const LAST_INTERVAL_ROOM_SECONDS = 0.005;
/** How long after its end a stream still sends what late wake-ups left behind. */
const LAST_SLICE_GRACE_SECONDS = 0.1;
/** Awake so long before a packet is due, where that is little of the time between two: sleeping ends less precisely. */
const MOST_LEAD_SECONDS = 80e-6;
const LEAD_SHARE = 0.08;
/** Planned bytes are products of times: a byte is not late for the last of its digits. */
const ROUNDING_BYTES = 0.01;

/** What one call of `send` put into the socket. */
export interface SendProgress {
  readonly bytes: number;
  readonly packets: number;
  /** The socket took less than was offered; `awaitedDescriptor` or `onWritable` tells when it takes more. */
  readonly isBlocked: boolean;
  /** It was not full: the system would not have the packets for now. */
  readonly isRefused: boolean;
}

export interface SendEvents {
  onWritable(): void;
  onLost(message: string): void;
}

/** The socket of a sender. */
export interface SendTransport {
  /** Binds and gives the port, or comes to its peer: null. Throws RperfError, also for what cannot be had here. */
  prepare(events: SendEvents): Promise<number | null>;
  /** The peer came to the control port. */
  take(handed: Handed): void;
  /** Connects, or waits for the peer; throws RperfError. The events come from then on. */
  open(): Promise<void>;
  /** Known once it is open. */
  readonly abilities: PacingAbilities;
  /** What to wait for when `send` was blocked; null = `onWritable` will be called. */
  readonly awaitedDescriptor: number | null;
  /** The least that is worth a call of `send` now, in counted bytes. */
  leastBytes(): number;
  /** Sends one batch of at most `dueBytes`, without blocking; throws when nothing can be sent any more. */
  send(dueBytes: number, wallSeconds: number, isOmitted: boolean): SendProgress;
  /** Tells the peer that the data ends here, and closes. */
  finish(): Promise<void>;
  /** Closes at once, however far `open` came; other streams may keep the thread alive. */
  close(): void;
  /** Of what it took, what the peer's system has not acknowledged, as far as it is known from the close on. */
  readonly undeliveredBytes: number | null;
}

interface Counters {
  bytesSent: number;
  packetsSent: number;
  sendsBlocked: number;
}

/** Drives a transport at the pace of a spec and reports each interval; one test, one use. */
export class Sender implements Stream, LoopTask {
  readonly readiness: Readiness = "writable";
  leadSeconds = 0;
  dueSeconds = 0;
  readonly #spec: SenderSpec;
  readonly #transport: SendTransport;
  readonly #clock: Clock;
  readonly #loop: StreamLoop;
  readonly #emit: Emit;
  /** As far as it is known before the socket is open. */
  #pace: Pace;
  #pacer: Pacer;
  #state: "idle" | "running" | "over" = "idle";
  #originSeconds = 0;
  #cutter: IntervalCutter;
  #isBlocked = false;
  #isHeld = false;
  #sentBytes = 0;
  #interval = zero();
  #omitted = zero();
  #packetsSent = 0;
  #totalOmittedPackets = 0;
  #sendsRefused = 0;

  constructor(spec: SenderSpec, transport: SendTransport, clock: Clock, loop: StreamLoop, emit: Emit) {
    this.#spec = spec;
    this.#transport = transport;
    this.#clock = clock;
    this.#loop = loop;
    this.#emit = emit;
    this.#cutter = new IntervalCutter(0, spec.intervalSeconds);
    this.#pace = paceOf(spec, transport.abilities);
    this.#pacer = new Pacer(this.#pace);
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#send, this.#cutDue]);
  }

  get descriptor(): number | null {
    return this.#isBlocked && !this.#isHeld ? this.#transport.awaitedDescriptor : null;
  }

  async prepare(): Promise<void> {
    try {
      const port = await this.#transport.prepare({
        onWritable: () => this.#writable(),
        onLost: (message) => this.#lost(message),
      });
      if (this.#state === "idle") this.#emit({ type: "prepared", port });
      else this.#transport.close();
    } catch (error) {
      this.#fail(error instanceof RperfError ? error.code : "stream-failed", messageOf(error));
    }
  }

  start(): void {
    this.#transport.open().then(
      () => this.#begin(),
      (error: unknown) => {
        const code = error instanceof RperfError ? error.code : "stream-failed";
        this.#fail(code, messageOf(error));
      },
    );
  }

  stop(): void {
    if (this.#state === "running") this.#finish();
    else if (this.#state === "idle") this.#fail("stopped", "stopped before it began");
  }

  take(handed: Handed): void {
    if (this.#state === "idle") this.#transport.take(handed);
    else letGo(handed);
  }

  finish(): void {}

  hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (this.#state !== "running") return;
    const nowSeconds = this.#clock.monotonicSeconds();
    if (!isHeld) this.#pacer.forgive(nowSeconds - this.#originSeconds, this.#sentBytes);
    this.dueSeconds = nowSeconds;
    this.#loop.add(this);
  }

  #begin(): void {
    if (this.#state !== "idle") return this.#transport.close();
    this.#state = "running";
    this.#pace = paceOf(this.#spec, this.#transport.abilities);
    this.#pacer = new Pacer(this.#pace);
    this.#originSeconds = this.#clock.monotonicSeconds();
    this.#cutter = new IntervalCutter(this.#originSeconds, this.#spec.intervalSeconds);
    this.leadSeconds = leadOf(this.#pace);
    this.dueSeconds = this.#originSeconds;
    this.#loop.add(this);
  }

  #writable(): void {
    if (this.#state !== "running") return;
    this.#isBlocked = false;
    this.dueSeconds = this.#clock.monotonicSeconds();
    this.#loop.add(this);
  }

  /** Sends what is due, and knows then when to be called next. */
  run(startSeconds: number, isReady: boolean): boolean {
    if (isReady) this.#isBlocked = false;
    let hasSent = false;
    let nowSeconds = startSeconds;
    while (this.#state === "running") {
      const elapsedSeconds = nowSeconds - this.#originSeconds;
      const isOver = elapsedSeconds >= this.#spec.durationSeconds;
      if (!isOver) this.#cutDue(nowSeconds);
      const dueBytes = Math.floor(this.#pacer.dueBytes(elapsedSeconds, this.#sentBytes) + ROUNDING_BYTES);
      const maySend = !this.#isBlocked && !this.#isHeld && dueBytes >= this.#transport.leastBytes();
      if (isOver && !this.#isToSendMore(elapsedSeconds)) this.#finish();
      else if (!maySend) {
        this.dueSeconds = this.#originSeconds + this.#nextSeconds(elapsedSeconds);
        break;
      } else {
        const sentBytes = this.#send(dueBytes, nowSeconds, elapsedSeconds);
        hasSent = true;
        nowSeconds = this.#clock.monotonicSeconds();
        // The thread may have been put aside in between: what follows keeps its distance from the real sending.
        this.#pacer.sent(nowSeconds - this.#originSeconds, sentBytes);
        this.dueSeconds = nowSeconds;
        if (nowSeconds - startSeconds >= MAX_RUN_SECONDS && !this.#isBlocked) break;
      }
    }
    return hasSent;
  }

  broken(message: string): void {
    this.#lost(message);
  }

  /** Whether something is left, behind the end, that late wake-ups left, and not what the link could not take. */
  #isToSendMore(elapsedSeconds: number): boolean {
    const { bandwidthBytesPerSecond, sliceSeconds } = this.#pace;
    const hasSentNothing = this.#sentBytes === 0;
    if (this.#isBlocked || this.#isHeld) return false;
    if (bandwidthBytesPerSecond === 0) return hasSentNothing;
    const owedBytes = Math.floor(this.#pacer.owedBytes(elapsedSeconds, this.#sentBytes) + ROUNDING_BYTES);
    if (owedBytes < this.#transport.leastBytes()) return false;
    // However short its time, a stream sends something: the receiver waits for it.
    if (hasSentNothing) return true;
    const graceBytes = bandwidthBytesPerSecond * Math.max(LAST_SLICE_GRACE_SECONDS, 2 * sliceSeconds);
    return owedBytes <= graceBytes && elapsedSeconds < this.#spec.durationSeconds + LAST_SLICE_GRACE_SECONDS;
  }

  /** Gives the bytes that left. */
  #send(dueBytes: number, nowSeconds: number, elapsedSeconds: number): number {
    const isOmitted = elapsedSeconds < this.#spec.omitSeconds;
    let progress: SendProgress;
    try {
      progress = this.#transport.send(dueBytes, this.#clock.wallSecondsOf(nowSeconds), isOmitted);
    } catch (error) {
      this.#lost(messageOf(error));
      return 0;
    }
    this.#sentBytes += progress.bytes;
    this.#isBlocked = progress.isBlocked;
    this.#count(this.#interval, progress);
    this.#packetsSent += progress.packets;
    if (progress.isRefused) this.#sendsRefused++;
    if (isOmitted) {
      this.#count(this.#omitted, progress);
      this.#totalOmittedPackets += progress.packets;
    }
    return progress.bytes;
  }

  /** When there is something to do again, in seconds since the start; the socket may call for it sooner. */
  #nextSeconds(elapsedSeconds: number): number {
    const { durationSeconds } = this.#spec;
    const boundarySeconds = this.#cutter.boundarySeconds - this.#originSeconds;
    return Math.min(
      this.#isBlocked || this.#isHeld ? Infinity : this.#pacer.nextSeconds(elapsedSeconds, this.#sentBytes),
      boundarySeconds > elapsedSeconds ? boundarySeconds : Infinity,
      durationSeconds > elapsedSeconds ? durationSeconds : Infinity,
    );
  }

  #cutDue(nowSeconds: number): void {
    const endSeconds = this.#originSeconds + this.#spec.durationSeconds;
    while (this.#cutter.boundarySeconds < endSeconds - LAST_INTERVAL_ROOM_SECONDS) {
      const cut = this.#cutter.cutDue(nowSeconds);
      if (cut === null) return;
      this.#report(cut);
    }
  }

  #report(cut: Cut): void {
    this.#emit({ type: "interval", interval: this.#takeInterval(cut) });
    this.#interval = zero();
    this.#omitted = zero();
  }

  #takeInterval(cut: Cut): SendInterval {
    const { omitSeconds, family } = this.#spec;
    const omitted: { omitted?: OmittedSend } =
      omitSeconds === 0
        ? {}
        : {
            omitted: {
              durationSeconds: overlapBeforeSeconds(cut, this.#originSeconds + omitSeconds),
              ...this.#omitted,
            },
          };
    const common = {
      kind: "send",
      timestampSeconds: this.#clock.wallSecondsOf(cut.endSeconds),
      durationSeconds: cut.endSeconds - cut.startSeconds,
      bytesSent: this.#interval.bytesSent,
      sendsBlocked: this.#interval.sendsBlocked,
      ...omitted,
    } as const;
    return family === "tcp" ? { ...common, family } : { ...common, family, packetsSent: this.#interval.packetsSent };
  }

  #count(counters: Counters, progress: SendProgress): void {
    counters.bytesSent += progress.bytes;
    counters.packetsSent += progress.packets;
    if (progress.isBlocked && !progress.isRefused) counters.sendsBlocked++;
  }

  #finish(): void {
    this.#endIntervals();
    this.#endTransport().then(
      () => this.#emit({ type: "ended", report: this.#makeReport() }),
      (error: unknown) => {
        this.#transport.close();
        this.#emit({ type: "failed", code: "stream-failed", message: messageOf(error), report: this.#makeReport() });
      },
    );
  }

  /** Where nobody may be sent to, no end marker goes either; the end of a connection is for the system to tell. */
  async #endTransport(): Promise<void> {
    if (this.#isHeld && this.#spec.family === "udp") this.#transport.close();
    else await this.#transport.finish();
  }

  #lost(message: string): void {
    if (this.#state !== "running") return;
    this.#endIntervals();
    this.#transport.close();
    this.#emit({ type: "failed", code: "stream-failed", message, report: this.#makeReport() });
  }

  #fail(code: ErrorCode, message: string): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#transport.close();
    this.#emit({ type: "failed", code, message, report: null });
  }

  #makeReport(): StreamReport {
    const sendsRefused = this.#spec.family === "udp" ? this.#sendsRefused : null;
    return {
      totals: { ...NO_TOTALS, sendsRefused, bytesUndelivered: this.#transport.undeliveredBytes },
      sent: { packets: this.#packetsSent, omittedPackets: this.#totalOmittedPackets },
    };
  }

  /** The stream is over: the interval in hand is the last. */
  #endIntervals(): void {
    this.#state = "over";
    this.#loop.remove(this);
    this.#report(this.#cutter.cutFinal(this.#clock.monotonicSeconds()));
  }
}

/** Where packets leave one by one their spacing is worth some waiting awake; a batch is no more even for it. */
function leadOf({ isEven, bandwidthBytesPerSecond, sliceSeconds, unitBytes }: Pace): number {
  const isOneByOne = isEven && unitBytes > 1 && Math.round(bandwidthBytesPerSecond * sliceSeconds) === unitBytes;
  return isOneByOne ? Math.min(MOST_LEAD_SECONDS, LEAD_SHARE * sliceSeconds) : 0;
}

function zero(): Counters {
  return { bytesSent: 0, packetsSent: 0, sendsBlocked: 0 };
}

import type { Clock } from "../clock.ts";
import { type ErrorCode, messageOf, RperfError } from "../errors.ts";
import type { OmittedSend, SendInterval } from "../stats/interval.ts";
import { type Cut, IntervalCutter, overlapBeforeSeconds } from "../stats/interval-cutter.ts";
import { Pacer } from "./pacer.ts";
import type { Emit, SenderSpec, Stream } from "./spec.ts";

/** How long one turn may send before the event loop is let in: messages and timers wait behind it. */
const MAX_TURN_SECONDS = 0.005;

/** How long after its end a stream still sends the last slice that a late timer left behind. */
const LAST_SLICE_GRACE_SECONDS = 0.1;

/** What one call of `send` put into the socket. */
export interface SendProgress {
  readonly bytes: number;
  readonly packets: number;
  /** The socket took less than was offered; `onWritable` tells when it takes more. */
  readonly isBlocked: boolean;
  /** It was not full: the system would not have the packets for now. */
  readonly isRefused: boolean;
}

/** The socket of a sender. */
export interface SendTransport {
  /** Connects; throws RperfError. `onWritable` and `onLost` are called from then on. */
  open(events: { onWritable: () => void; onLost: (message: string) => void }): Promise<void>;
  /** What leaves at once, in counted bytes. */
  readonly unitBytes: number;
  /** The least that is worth a call of `send` now, in counted bytes. */
  leastBytes(): number;
  /** Sends one batch of at most `dueBytes`, without blocking; throws when nothing can be sent any more. */
  send(dueBytes: number, sentWallSeconds: number, isOmitted: boolean): SendProgress;
  /** Tells the peer that the data ends here, and closes. */
  finish(): Promise<void>;
}

interface Counters {
  bytesSent: number;
  packetsSent: number;
  sendsBlocked: number;
}

/** Drives a transport at the pace of a spec and reports each interval; one test, one use. */
export class Sender implements Stream {
  readonly #spec: SenderSpec;
  readonly #transport: SendTransport;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #pacer: Pacer;
  #state: "idle" | "running" | "over" = "idle";
  #originSeconds = 0;
  #cutter: IntervalCutter;
  #timer: Timer | null = null;
  #isBlocked = false;
  #sentBytes = 0;
  #interval = zero();
  #omitted = zero();

  constructor(spec: SenderSpec, transport: SendTransport, clock: Clock, emit: Emit) {
    this.#spec = spec;
    this.#transport = transport;
    this.#clock = clock;
    this.#emit = emit;
    this.#cutter = new IntervalCutter(0, spec.intervalSeconds);
    this.#pacer = new Pacer({ ...spec, sliceSeconds: spec.sendIntervalSeconds, unitBytes: transport.unitBytes });
  }

  async prepare(): Promise<void> {
    this.#emit({ type: "prepared", port: null });
  }

  start(): void {
    const events = { onWritable: () => this.#writable(), onLost: (message: string) => this.#lost(message) };
    this.#transport.open(events).then(
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

  #begin(): void {
    if (this.#state !== "idle") return void this.#transport.finish();
    this.#state = "running";
    this.#originSeconds = this.#clock.monotonicSeconds();
    this.#cutter = new IntervalCutter(this.#originSeconds, this.#spec.intervalSeconds);
    this.#pump();
  }

  #writable(): void {
    this.#isBlocked = false;
    this.#pump();
  }

  /** Sends all that is due, then sleeps until the next moment that matters. */
  readonly #pump = (): void => {
    if (this.#state !== "running") return;
    this.#cancelTimer();
    const turnEndsSeconds = this.#clock.monotonicSeconds() + MAX_TURN_SECONDS;
    for (;;) {
      const nowSeconds = this.#clock.monotonicSeconds();
      const elapsedSeconds = nowSeconds - this.#originSeconds;
      const isOver = elapsedSeconds >= this.#spec.durationSeconds;
      if (!isOver) this.#cutDue(nowSeconds);
      const dueBytes = Math.floor(this.#pacer.dueBytes(elapsedSeconds, this.#sentBytes));
      const maySend = !this.#isBlocked && dueBytes >= this.#transport.leastBytes();
      if (isOver && !(maySend && this.#isLastSlice(dueBytes, elapsedSeconds))) return this.#finish();
      if (!maySend) return this.#sleep(elapsedSeconds);
      if (!this.#send(dueBytes, nowSeconds, elapsedSeconds)) return;
      if (nowSeconds >= turnEndsSeconds && !this.#isBlocked) {
        setImmediate(this.#pump);
        return;
      }
    }
  };

  /** Whether `dueBytes` is what late timers left, and not what the link could not take. */
  #isLastSlice(dueBytes: number, elapsedSeconds: number): boolean {
    // However short its time, a stream sends something: the receiver waits for it.
    if (this.#sentBytes === 0) return true;
    const { bandwidthBytesPerSecond, sendIntervalSeconds, durationSeconds } = this.#spec;
    const twoSlicesBytes = 2 * bandwidthBytesPerSecond * sendIntervalSeconds;
    return dueBytes <= twoSlicesBytes && elapsedSeconds < durationSeconds + LAST_SLICE_GRACE_SECONDS;
  }

  /** False when the transport failed for good, and the stream with it. */
  #send(dueBytes: number, nowSeconds: number, elapsedSeconds: number): boolean {
    const isOmitted = elapsedSeconds < this.#spec.omitSeconds;
    let progress: SendProgress;
    try {
      progress = this.#transport.send(dueBytes, this.#clock.wallSecondsOf(nowSeconds), isOmitted);
    } catch (error) {
      this.#lost(messageOf(error));
      return false;
    }
    this.#sentBytes += progress.bytes;
    this.#isBlocked = progress.isBlocked;
    this.#count(this.#interval, progress);
    if (isOmitted) this.#count(this.#omitted, progress);
    return true;
  }

  #sleep(elapsedSeconds: number): void {
    const nextBoundarySeconds = this.#cutter.boundarySeconds - this.#originSeconds;
    const untilSeconds = Math.min(
      this.#isBlocked ? Infinity : this.#pacer.nextSliceSeconds(elapsedSeconds),
      nextBoundarySeconds,
      this.#spec.durationSeconds,
    );
    this.#timer = setTimeout(this.#pump, Math.max(0, (untilSeconds - elapsedSeconds) * 1000));
  }

  #cutDue(nowSeconds: number): void {
    const endSeconds = this.#originSeconds + this.#spec.durationSeconds;
    // An interval that would end with the stream is the last one, and ends when the stream really does.
    while (this.#cutter.boundarySeconds < endSeconds - MAX_TURN_SECONDS) {
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
    this.#transport.finish().then(
      () => this.#emit({ type: "ended" }),
      (error: unknown) => this.#emit({ type: "failed", code: "stream-failed", message: messageOf(error) }),
    );
  }

  #lost(message: string): void {
    if (this.#state !== "running") return;
    this.#endIntervals();
    this.#emit({ type: "failed", code: "stream-failed", message });
  }

  #fail(code: ErrorCode, message: string): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#emit({ type: "failed", code, message });
  }

  /** The stream is over: the interval in hand is the last. */
  #endIntervals(): void {
    this.#state = "over";
    this.#cancelTimer();
    this.#report(this.#cutter.cutFinal(this.#clock.monotonicSeconds()));
  }

  #cancelTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

function zero(): Counters {
  return { bytesSent: 0, packetsSent: 0, sendsBlocked: 0 };
}

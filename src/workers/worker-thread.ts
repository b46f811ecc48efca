import { messageOf } from "../errors.ts";
import type { SentTotals } from "../protocol/messages.ts";
import type { Emit, Handed, StartTerms, StreamEvent, StreamSpec } from "../streams/spec.ts";
import type { StreamCommand, WorkerCommand, WorkerReport } from "./messages.ts";

/** How long a Worker that nobody wants any more may go on with making streams ready. */
const MOST_SETTLE_MS = 1000;
/** How long one that is to end by itself may take. */
const MOST_END_MS = 500;

/** What becomes of a Worker. */
export interface ThreadEvents {
  /** It gets no stream any more, and ends. */
  onGone(thread: WorkerThread): void;
  /** Its thread has ended, with all that it held. */
  onClosed(thread: WorkerThread): void;
}

/** One Worker as seen from the main thread; it lives until the last of its streams is disposed of. */
export class WorkerThread {
  /** Resolves when the Worker takes commands, or has failed to start: then its streams fail. */
  readonly up: Promise<void>;
  readonly #worker: Worker;
  readonly #events: ThreadEvents;
  readonly #streams = new Map<number, StreamWorker>();
  #nextSlot = 0;
  #failure: StreamEvent | null = null;
  /** Descriptors on their way: a Worker that ends before it has them leaves them open for ever. */
  #untaken = 0;
  /** Streams being made ready: a Worker that ends while it makes a socket Bun's own leaves its descriptor open for ever. */
  #unsettled = 0;
  #settling: Timer | null = null;
  /** Runs while it ends by itself. */
  #ending: Timer | null = null;
  #isClosed = false;
  /** The one that was disposed of last, and ended the Worker. */
  #lastStream: StreamWorker | null = null;

  constructor(worker: Worker, events: ThreadEvents) {
    const up = Promise.withResolvers<void>();
    this.up = up.promise;
    this.#worker = worker;
    this.#events = events;
    worker.onmessage = (event: MessageEvent<WorkerReport>) => {
      const report = event.data;
      if (report.type === "up") up.resolve();
      else if (report.type === "taken") this.#taken();
      else if (report.type === "settled") this.#settled();
      else this.#streams.get(report.slot)?.event(report.event);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the stream's Worker failed: ${errorLineOf(event.message)}`);
      up.resolve();
    };
    worker.addEventListener("close", () => {
      this.#fail("the stream's Worker ended");
      up.resolve();
      if (this.#ending !== null) clearTimeout(this.#ending);
      this.#isClosed = true;
      events.onClosed(this);
    });
  }

  /** Streams that are not disposed of. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Streams that it has had in all. */
  get streamsServed(): number {
    return this.#nextSlot;
  }

  /** Whether every stream it has, or would get, fails. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** Whether its thread has ended. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** There is nothing of it any more, as far as can be told. */
  ended(): void {
    this.#lastStream?.letGo();
  }

  /** A place for one stream. */
  addStream(): StreamWorker {
    const slot = this.#nextSlot++;
    const stream = new StreamWorker(slot, {
      command: (command) => this.#command(command),
      dispose: () => this.#remove(slot),
    });
    this.#streams.set(slot, stream);
    if (this.#failure !== null) stream.event(this.#failure);
    return stream;
  }

  #remove(slot: number): void {
    const stream = this.#streams.get(slot);
    if (stream === undefined) return;
    this.#streams.delete(slot);
    const isAlive = this.#failure === null;
    const isLast = this.#streams.size === 0 && (this.#untaken === 0 || !isAlive);
    if (isAlive && (!isLast || this.#unsettled > 0)) this.#command({ type: "drop", slot });
    if (!isLast) return stream.letGo();
    this.#lastStream = stream;
    this.#end();
  }

  #command(command: StreamCommand): void {
    if (command.type === "take") this.#untaken++;
    if (command.type === "prepare") this.#unsettled++;
    this.#worker.postMessage(command);
  }

  #taken(): void {
    this.#untaken--;
    if (this.#untaken === 0 && this.#streams.size === 0) this.#end();
  }

  #settled(): void {
    this.#unsettled--;
    if (this.#settling !== null && this.#unsettled === 0) this.#terminate();
  }

  /** Gets no stream any more. */
  #end(): void {
    this.#events.onGone(this);
    if (this.#unsettled === 0 || this.#failure !== null) this.#terminate();
    else this.#settling ??= setTimeout(() => this.#terminate(), MOST_SETTLE_MS);
  }

  #terminate(): void {
    if (this.#settling !== null) clearTimeout(this.#settling);
    this.#settling = null;
    if (this.#failure !== null) return this.#worker.terminate();
    this.#ending = setTimeout(() => this.#worker.terminate(), MOST_END_MS);
    this.#ending.unref();
    this.#worker.postMessage({ type: "end" } satisfies WorkerCommand);
  }

  #fail(message: string): void {
    this.#failure ??= { type: "failed", code: "internal", message, report: null };
    for (const stream of this.#streams.values()) stream.event(this.#failure);
    // Nobody waits for it but what it was to take.
    if (this.#streams.size === 0 && this.#untaken > 0) this.#end();
  }
}

/** Bun 1.4.5 tells of an uncaught error as it would print it, source and all: nothing for a peer to read. */
function errorLineOf(printed: string): string {
  const lines = Bun.stripANSI(printed).split("\n");
  const line = lines.find((candidate) => /^\w*error: /i.test(candidate)) ?? messageOf(printed);
  return line.replace(/^error: /, "");
}

interface StreamWorkerThread {
  command(command: StreamCommand): void;
  dispose(): void;
}

/** A Worker's place for one stream. */
export class StreamWorker {
  readonly #slot: number;
  readonly #thread: StreamWorkerThread;
  #onEvent: Emit = () => {};
  #isPrepared = false;
  /** What came before anybody could be told: the Worker failed to start, or ended. */
  #earlyFailure: StreamEvent | null = null;
  /** The stream told its end: nothing more is expected, and an end of the Worker is no failure. */
  #isOver = false;
  readonly #gone = Promise.withResolvers<void>();

  constructor(slot: number, thread: StreamWorkerThread) {
    this.#slot = slot;
    this.#thread = thread;
  }

  /**
   * Begins the stream's life; its events come until `ended` or `failed`, and its socket may live until `dispose`. Again,
   * before the start: another stream takes the place of that one, of which nothing more is heard.
   */
  prepare(spec: StreamSpec, onEvent: Emit): void {
    this.#isOver = false;
    this.#onEvent = onEvent;
    this.#isPrepared = true;
    const failure = this.#earlyFailure;
    if (failure !== null) return queueMicrotask(() => this.event(failure));
    this.#command({ type: "prepare", slot: this.#slot, spec });
  }

  start(terms: StartTerms | null): void {
    this.#command({ type: "start", slot: this.#slot, terms });
  }

  /** Ends the stream in good order; its last events still come. */
  stop(): void {
    this.#command({ type: "stop", slot: this.#slot });
  }

  /** The peer has come to the control port. */
  take(handed: Handed): void {
    this.#command({ type: "take", slot: this.#slot, handed });
  }

  /** The sender is done. */
  finish(sent: SentTotals): void {
    this.#command({ type: "finish", slot: this.#slot, sent });
  }

  /** A sender sends nothing until it may go on. */
  hold(isHeld: boolean): void {
    this.#command({ type: "hold", slot: this.#slot, isHeld });
  }

  /**
   * No event comes any more. The Worker ends, with all that it holds, when this was the last of its streams; else the
   * stream is stopped there, and closes its sockets as it does after any stop.
   */
  dispose(): void {
    this.#isOver = true;
    this.#thread.dispose();
  }

  /** Resolves, behind `dispose`, when what it held on this system is free again. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** The thread's: nothing of it is left. */
  letGo(): void {
    this.#gone.resolve();
  }

  /** The thread's: something happened to this stream. */
  event(event: StreamEvent): void {
    if (this.#isOver) return;
    if (!this.#isPrepared) {
      this.#earlyFailure = event;
      return;
    }
    this.#isOver = event.type === "ended" || event.type === "failed";
    this.#onEvent(event);
  }

  #command(command: StreamCommand): void {
    if (!this.#isOver) this.#thread.command(command);
  }
}

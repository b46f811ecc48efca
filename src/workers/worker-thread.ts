import { messageOf } from "../errors.ts";
import type { SentTotals } from "../protocol/messages.ts";
import type { Emit, Handed, StartTerms, StreamEvent, StreamSpec } from "../streams/spec.ts";
import type { WorkerCommand, WorkerReport } from "./messages.ts";

/** One Worker as seen from the main thread; it lives until the last of its streams is disposed of. */
export class WorkerThread {
  /** Resolves when the Worker takes commands, or has failed to start: then its streams fail. */
  readonly up: Promise<void>;
  readonly #worker: Worker;
  readonly #onGone: (thread: WorkerThread) => void;
  readonly #streams = new Map<number, StreamWorker>();
  #nextSlot = 0;
  #failure: StreamEvent | null = null;
  /** Descriptors on their way: a Worker that ends before it has them leaves them open for ever. */
  #untaken = 0;

  constructor(worker: Worker, onGone: (thread: WorkerThread) => void) {
    const up = Promise.withResolvers<void>();
    this.up = up.promise;
    this.#worker = worker;
    this.#onGone = onGone;
    worker.onmessage = (event: MessageEvent<WorkerReport>) => {
      const report = event.data;
      if (report.type === "up") up.resolve();
      else if (report.type === "taken") this.#taken();
      else this.#streams.get(report.slot)?.event(report.event);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the stream's Worker failed: ${messageOf(event.message)}`);
      up.resolve();
    };
    worker.addEventListener("close", () => {
      this.#fail("the stream's Worker ended");
      up.resolve();
    });
  }

  /** Streams that are not disposed of. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Whether every stream it has, or would get, fails. */
  get hasFailed(): boolean {
    return this.#failure !== null;
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
    if (!this.#streams.delete(slot)) return;
    const isAlive = this.#failure === null;
    const isLast = this.#streams.size === 0 && (this.#untaken === 0 || !isAlive);
    if (isLast) this.#end();
    else if (isAlive) this.#command({ type: "drop", slot });
  }

  #command(command: WorkerCommand): void {
    if (command.type === "take") this.#untaken++;
    this.#worker.postMessage(command);
  }

  #taken(): void {
    this.#untaken--;
    if (this.#untaken === 0 && this.#streams.size === 0) this.#end();
  }

  #end(): void {
    this.#worker.terminate();
    this.#onGone(this);
  }

  #fail(message: string): void {
    this.#failure ??= { type: "failed", code: "internal", message, report: null };
    for (const stream of this.#streams.values()) stream.event(this.#failure);
    // Nobody waits for it but what it was to take.
    if (this.#streams.size === 0 && this.#untaken > 0) this.#end();
  }
}

interface StreamWorkerThread {
  command(command: WorkerCommand): void;
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

  /**
   * No event comes any more. The Worker ends, with all that it holds, when this was the last of its streams; else the
   * stream is stopped there, and closes its sockets as it does after any stop.
   */
  dispose(): void {
    this.#isOver = true;
    this.#thread.dispose();
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

  #command(command: WorkerCommand): void {
    if (!this.#isOver) this.#thread.command(command);
  }
}

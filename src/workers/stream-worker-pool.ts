import { messageOf } from "../errors.ts";
import type { Emit, StreamEvent, StreamSpec } from "../streams/spec.ts";
import type { WorkerCommand, WorkerReport } from "./messages.ts";

/** One Worker as seen from the main thread: it serves one stream, then it is ended. */
export class StreamWorker {
  readonly #worker: Worker;
  readonly #onGone: (worker: StreamWorker) => void;
  #onEvent: Emit = () => {};
  /** The stream told its end: nothing more is expected, and an end of the Worker is no failure. */
  #isOver = false;

  constructor(worker: Worker, onUp: () => void, onGone: (worker: StreamWorker) => void) {
    this.#worker = worker;
    this.#onGone = onGone;
    worker.onmessage = (event: MessageEvent<WorkerReport>) => {
      if (event.data.type === "up") onUp();
      else this.#event(event.data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#event({
        type: "failed",
        code: "internal",
        message: `the stream's Worker failed: ${messageOf(event.message)}`,
      });
      onUp();
    };
    worker.addEventListener("close", () => {
      this.#event({ type: "failed", code: "internal", message: "the stream's Worker ended" });
      onUp();
    });
  }

  /** Begins the stream's life; its events come until `ended` or `failed`, and the Worker lives until `dispose`. */
  prepare(spec: StreamSpec, onEvent: Emit): void {
    this.#onEvent = onEvent;
    this.#command({ type: "prepare", spec });
  }

  start(): void {
    this.#command({ type: "start" });
  }

  /** Ends the stream in good order; its last events still come. */
  stop(): void {
    this.#command({ type: "stop" });
  }

  /** Ends the Worker at once, and with it all that it holds; no event comes any more. */
  dispose(): void {
    this.#isOver = true;
    this.#worker.terminate();
    this.#onGone(this);
  }

  #command(command: WorkerCommand): void {
    if (!this.#isOver) this.#worker.postMessage(command);
  }

  #event(event: StreamEvent): void {
    if (this.#isOver) return;
    this.#isOver = event.type === "ended" || event.type === "failed";
    this.#onEvent(event);
  }
}

/**
 * Starts Workers ahead of a test's begin, so that no start-up falls into measured time. A Worker starts in 4–25 ms and
 * leaves nothing behind when it ends, so none is kept for reuse.
 */
export class StreamWorkerPool {
  readonly #spawn: () => Worker;
  readonly #live = new Set<StreamWorker>();

  constructor(spawn: () => Worker) {
    this.#spawn = spawn;
  }

  /** Workers that exist now. */
  get size(): number {
    return this.#live.size;
  }

  /** `count` running Workers; the caller disposes of each that it does not run to its end. */
  async acquire(count: number): Promise<readonly StreamWorker[]> {
    return Promise.all(Array.from({ length: count }, () => this.#start()));
  }

  #start(): Promise<StreamWorker> {
    return new Promise((resolve) => {
      const worker = new StreamWorker(
        this.#spawn(),
        () => resolve(worker),
        (gone) => this.#live.delete(gone),
      );
      this.#live.add(worker);
    });
  }
}

import { RperfError } from "../errors.ts";
import type { SocketFacts } from "../results/types.ts";
import type { StreamEvent, StreamSpec } from "../streams/spec.ts";
import type { StreamWorker } from "./worker-thread.ts";

/** How one stream of a group ended; null = it completed. */
export type StreamFailure = Pick<Extract<StreamEvent, { type: "failed" }>, "code" | "message"> | null;

/** What a group tells of its streams, from `prepare` on. */
export interface StreamGroupEvents {
  onInterval(streamIndex: number, interval: Extract<StreamEvent, { type: "interval" }>["interval"]): void;
  onWarning(message: string): void;
  onDebug(message: string): void;
  /** Exactly once for each stream, and not before `start`. */
  onOver(streamIndex: number, failure: StreamFailure, socket: SocketFacts | null): void;
}

interface Member {
  readonly worker: StreamWorker;
  port: number;
  socket: SocketFacts | null;
  isOver: boolean;
  /** An end that came before the start, which is told then. */
  earlyEnd: { readonly failure: StreamFailure } | null;
}

/** The streams of one test in one direction, on this side: prepared together, started together. */
export class StreamGroup {
  readonly #members: readonly Member[];
  readonly #events: StreamGroupEvents;
  #isStarted = false;

  constructor(workers: readonly StreamWorker[], events: StreamGroupEvents) {
    this.#members = workers.map((worker) => ({ worker, port: 0, socket: null, isOver: false, earlyEnd: null }));
    this.#events = events;
  }

  /** The receivers' ports in stream order; zeros on senders. */
  get ports(): readonly number[] {
    return this.#members.map((member) => member.port);
  }

  get isOver(): boolean {
    return this.#members.every((member) => member.isOver);
  }

  /** Resolves when every stream is ready; rejects with the first failure, after which `dispose` is due. */
  async prepare(specs: readonly StreamSpec[]): Promise<void> {
    await Promise.all(
      this.#members.map(
        (member, index) =>
          new Promise<void>((resolve, reject) => {
            const spec = specs[index];
            if (spec === undefined) return reject(new RperfError("internal", `stream ${index} has no spec`));
            member.worker.prepare(spec, (event) => this.#event(member, index, event, resolve, reject));
          }),
      ),
    );
  }

  start(): void {
    this.#isStarted = true;
    for (const member of this.#members) member.worker.start();
    for (const [index, { earlyEnd, socket }] of this.#members.entries()) {
      if (earlyEnd !== null) this.#events.onOver(index, earlyEnd.failure, socket);
    }
  }

  /** Ends every stream in good order; their last intervals and ends still come. */
  stop(): void {
    for (const member of this.#members) member.worker.stop();
  }

  stopStream(streamIndex: number): void {
    this.#members[streamIndex]?.worker.stop();
  }

  /** Ends every Worker at once; no event comes any more. */
  dispose(): void {
    for (const member of this.#members) {
      member.isOver = true;
      member.worker.dispose();
    }
  }

  #event(
    member: Member,
    index: number,
    event: StreamEvent,
    onPrepared: () => void,
    onFailedToPrepare: (error: RperfError) => void,
  ): void {
    switch (event.type) {
      case "prepared":
        member.port = event.port ?? 0;
        return onPrepared();
      case "socket":
        member.socket = event.facts;
        return;
      case "interval":
        return this.#events.onInterval(index, event.interval);
      case "warning":
        return this.#events.onWarning(`stream ${index}: ${event.message}`);
      case "debug":
        return this.#events.onDebug(`stream ${index}: ${event.message}`);
      case "ended":
        return this.#over(member, index, null);
      case "failed":
        if (!this.#isStarted) onFailedToPrepare(new RperfError(event.code, event.message));
        return this.#over(member, index, { code: event.code, message: event.message });
    }
  }

  #over(member: Member, index: number, failure: StreamFailure): void {
    if (member.isOver) return;
    member.isOver = true;
    if (this.#isStarted) this.#events.onOver(index, failure, member.socket);
    else member.earlyEnd = { failure };
  }
}

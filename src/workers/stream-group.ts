import { RperfError } from "../errors.ts";
import type { SocketFacts } from "../results/types.ts";
import type { SentTotals } from "../protocol/messages.ts";
import { letGo } from "../streams/let-go.ts";
import type { Handed, StartTerms, StreamEvent, StreamReport, StreamSpec } from "../streams/spec.ts";
import type { StreamWorker } from "./worker-thread.ts";

/** How one stream of a group ended; null = it completed. */
export type StreamFailure = Pick<Extract<StreamEvent, { type: "failed" }>, "code" | "message"> | null;

/** How one stream of a group ended, and what it told in the end; nulls where it told nothing. */
export interface StreamEnd {
  readonly failure: StreamFailure;
  readonly socket: SocketFacts | null;
  readonly report: StreamReport | null;
}

/** What a group tells of its streams, from `prepare` on. */
export interface StreamGroupEvents {
  onInterval(streamIndex: number, interval: Extract<StreamEvent, { type: "interval" }>["interval"]): void;
  onWarning(message: string): void;
  onDebug(message: string): void;
  /** Exactly once for each stream, and not before `start`. */
  onOver(streamIndex: number, end: StreamEnd): void;
  /** What went wrong while an event of a Worker was served; absent = it is thrown on, to whoever runs this thread. */
  onThrown?(error: unknown): void;
}

interface Member {
  readonly worker: StreamWorker;
  port: number;
  socket: SocketFacts | null;
  isOver: boolean;
  /** An end that came before the start, which is told then. */
  earlyEnd: Omit<StreamEnd, "socket"> | null;
  isEndTold: boolean;
}

/** The streams of one test in one direction, on this side: prepared together, started together. */
export class StreamGroup {
  readonly #members: readonly Member[];
  readonly #events: StreamGroupEvents;
  #isStarted = false;
  /** A stream that takes the place of another meets the same system, which is told of once. */
  readonly #told = new Set<string>();

  constructor(workers: readonly StreamWorker[], events: StreamGroupEvents) {
    this.#members = workers.map((worker) => ({ worker, ...newState() }));
    this.#events = events;
  }

  /** The receivers' ports in stream order; zeros on senders. */
  get ports(): readonly number[] {
    return this.#members.map((member) => member.port);
  }

  /** Whether every stream is over, and `onOver` has told so, if anything may still be told. */
  get isOver(): boolean {
    return this.#members.every((member) => member.isEndTold);
  }

  /**
   * Resolves when every stream is ready; rejects with the first failure, after which `dispose` is due. Before the start it
   * may be called again: other streams take the places of the first.
   */
  async prepare(specs: readonly StreamSpec[]): Promise<void> {
    for (const member of this.#members) Object.assign(member, newState());
    await Promise.all(
      this.#members.map(
        (member, index) =>
          new Promise<void>((resolve, reject) => {
            const spec = specs[index];
            if (spec === undefined) return reject(new RperfError("internal", `stream ${index} has no spec`));
            member.worker.prepare(spec, (event) =>
              this.#guarded(() => this.#event(member, index, event, resolve, reject)),
            );
          }),
      ),
    );
  }

  /** `terms`: what was agreed on since the streams were made ready. */
  start(terms: StartTerms | null = null): void {
    this.#isStarted = true;
    for (const member of this.#members) member.worker.start(terms);
    for (const [index, member] of this.#members.entries()) {
      if (member.earlyEnd !== null) this.#tellEnd(member, index, member.earlyEnd);
    }
  }

  /** Ends every stream in good order; their last intervals and ends still come. */
  stop(): void {
    for (const member of this.#members) member.worker.stop();
  }

  /** Senders that are held send nothing; their time goes on, and nothing is made up for later. */
  hold(isHeld: boolean): void {
    for (const member of this.#members) member.worker.hold(isHeld);
  }

  stopStream(streamIndex: number): void {
    this.#members[streamIndex]?.worker.stop();
  }

  /** Whether the stream is there, and not over. */
  isLive(streamIndex: number): boolean {
    const member = this.#members[streamIndex];
    return member !== undefined && !member.isOver;
  }

  /** The peer of a live stream has come to the control port. */
  take(streamIndex: number, handed: Handed): void {
    if (this.isLive(streamIndex)) this.#members[streamIndex]?.worker.take(handed);
    else letGo(handed);
  }

  /** The sender of a stream is done; one that is over has no use for it. */
  finish(streamIndex: number, sent: SentTotals): void {
    if (this.isLive(streamIndex)) this.#members[streamIndex]?.worker.finish(sent);
  }

  /** Ends every Worker at once; no event comes any more. */
  dispose(): void {
    for (const member of this.#members) {
      member.isOver = true;
      member.isEndTold = true;
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
        return this.#tell(`stream ${index}: ${event.message}`, (text) => this.#events.onWarning(text));
      case "debug":
        return this.#tell(`stream ${index}: ${event.message}`, (text) => this.#events.onDebug(text));
      case "ended":
        return this.#over(member, index, { failure: null, report: event.report });
      case "failed":
        if (!this.#isStarted) onFailedToPrepare(new RperfError(event.code, event.message));
        return this.#over(member, index, {
          failure: { code: event.code, message: event.message },
          report: event.report,
        });
    }
  }

  #guarded(serve: () => void): void {
    try {
      serve();
    } catch (error) {
      if (this.#events.onThrown === undefined) throw error;
      this.#events.onThrown(error);
    }
  }

  #tell(text: string, tell: (text: string) => void): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    tell(text);
  }

  #over(member: Member, index: number, end: Omit<StreamEnd, "socket">): void {
    if (member.isOver) return;
    member.isOver = true;
    if (this.#isStarted) this.#tellEnd(member, index, end);
    else member.earlyEnd = end;
  }

  #tellEnd(member: Member, index: number, end: Omit<StreamEnd, "socket">): void {
    member.isEndTold = true;
    this.#events.onOver(index, { ...end, socket: member.socket });
  }
}

function newState(): Omit<Member, "worker"> {
  return { port: 0, socket: null, isOver: false, earlyEnd: null, isEndTold: false };
}

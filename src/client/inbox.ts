import type { ChannelEvents } from "../control/channel.ts";
import { RperfError } from "../errors.ts";
import { decodeServerMessage } from "../protocol/decode.ts";
import type { ServerMessage } from "../protocol/messages.ts";

export type ServerAnswer = Extract<ServerMessage, { kind: "connect" | "connect-ready" | "challenge" | "resumed" }>;
/** What a running test hears from its server; the server numbers these. */
export type RunningMessage = Extract<ServerMessage, { kind: "result" | "done" | "failed" }>;

export type Queued = Extract<ServerMessage, { kind: "queued" }>;

/** How long an answer may take. */
export interface AnswerTerms {
  readonly timeoutMs: number;
  /** The code of the error when none comes; of a server that is known to be rperf it says that the link is gone. */
  readonly lateCode?: "peer-protocol" | "peer-lost";
  /** Where the server may let the client wait: for how much longer at the most, and who hears of it. */
  readonly queue?: { readonly waitMs: number; readonly onQueued: (message: Queued) => void };
}

export interface LinkEvents {
  /** `silentMs`: how long nothing had come over the same connection. */
  onMessage(message: RunningMessage, silentMs: number): void;
  /** The server gave up on this test, or the connection did; nothing comes any more. Called once at the most. */
  onLost(error: RperfError): void;
}

/** Somebody waits for an answer. */
interface Answered {
  resolve(answer: ServerAnswer): void;
  reject(error: RperfError): void;
  queued(message: Queued): void;
}

/** What may be behind the end of a connection over which no test began. */
const UNANSWERED = "before it answered (is it rperf? does it ask for --tls?)";

/** Takes what comes over a control connection: first its answers, then the messages of a running test. */
export class Inbox implements ChannelEvents {
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>;
  lastHeardMs = performance.now();
  readonly #streams: number;
  readonly #server: string;
  #markClosed = (): void => {};
  #answered: Answered | null = null;
  #listener: LinkEvents | null = null;
  /** Messages that came right behind an answer, before there was a listener. */
  readonly #early: RunningMessage[] = [];
  #isResuming = false;
  #failure: RperfError | null = null;

  /** `server` names it in errors. */
  constructor(streams: number, server: string) {
    this.#streams = streams;
    this.#server = server;
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
  }

  /**
   * The answer to a configuration or a resumption. Rejects with `peer-refused`, `peer-protocol` or `peer-lost`, and with
   * `lateCode` when none comes in time.
   */
  async nextAnswer({ timeoutMs, lateCode = "peer-protocol", queue }: AnswerTerms): Promise<ServerAnswer> {
    if (this.#failure !== null) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<ServerAnswer>();
    const late = (): void => {
      const doubt = lateCode === "peer-protocol" ? "; is it rperf?" : "";
      reject(new RperfError(lateCode, `${this.#server} took the connection and did not answer${doubt}`));
    };
    let timer = setTimeout(late, timeoutMs);
    let isQueued = false;
    const queued = (message: Queued): void => {
      if (queue === undefined) throw outOfOrder(message.kind);
      if (!isQueued) {
        // The server gives up first. What else it says of the queue puts off nothing more.
        isQueued = true;
        clearTimeout(timer);
        timer = setTimeout(late, queue.waitMs + timeoutMs);
      }
      queue.onQueued(message);
    };
    this.#answered = { resolve, reject, queued };
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#answered = null;
    }
  }

  /** From now on the test runs, and everything goes to `listener`. */
  listen(listener: LinkEvents): void {
    this.#listener = listener;
    for (const message of this.#early.splice(0)) listener.onMessage(message, 0);
    if (this.#failure !== null) listener.onLost(this.#failure);
  }

  /** Nothing that happens to the connection is a loss any more; figures are still taken. */
  expectEnd(): void {
    const listener = this.#listener;
    if (listener !== null) this.#listener = { ...listener, onLost: () => {} };
  }

  onBody(body: Uint8Array): void {
    const nowMs = performance.now();
    const silentMs = nowMs - this.lastHeardMs;
    this.lastHeardMs = nowMs;
    const message = decodeServerMessage(body, this.#streams);
    switch (message.kind) {
      case "connect":
      case "connect-ready":
      case "challenge":
      case "resumed":
        if (this.#answered === null) throw outOfOrder(message.kind);
        this.#isResuming = message.kind === "resumed";
        return this.#answered.resolve(message);
      case "result":
      case "done":
      case "failed":
        return this.#running(message, silentMs);
      case "queued":
        if (this.#answered === null) throw outOfOrder(message.kind);
        return this.#answered.queued(message);
      case "data-ready":
        throw new RperfError("peer-protocol", "a data-ready on a control connection");
      case "error":
        return this.#lost(new RperfError("peer-refused", `${this.#server} says: ${message.message}`));
    }
  }

  onError(error: RperfError): void {
    const isLost = error.code === "peer-lost" && this.#listener === null;
    const what = error.code === "peer-protocol" ? `does not speak as rperf does: ${error.message}` : error.message;
    this.#lost(
      new RperfError(error.code, `${this.#server} ${what}${isLost ? ` ${UNANSWERED}` : ""}`, { cause: error }),
    );
  }

  onClosed(): void {
    this.#markClosed();
    const when = this.#listener === null ? UNANSWERED : "in mid-test";
    this.#lost(new RperfError("peer-lost", `${this.#server} closed the control connection ${when}`));
  }

  #running(message: RunningMessage, silentMs: number): void {
    if (this.#listener !== null) return this.#listener.onMessage(message, silentMs);
    if (!this.#isResuming) throw new RperfError("peer-protocol", `a ${message.kind} before the begin`);
    this.#early.push(message);
  }

  #lost(error: RperfError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#answered?.reject(error);
    this.#listener?.onLost(error);
  }
}

function outOfOrder(kind: string): RperfError {
  return new RperfError("peer-protocol", `a ${kind} out of order`);
}

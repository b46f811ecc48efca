import type { ChannelEvents } from "../control/channel.ts";
import { RperfError } from "../errors.ts";
import { decodeServerMessage } from "../protocol/decode.ts";
import type { ServerMessage } from "../protocol/messages.ts";

export type ServerAnswer = Extract<ServerMessage, { kind: "connect" | "connect-ready" }>;
/** What a running test hears from its server. */
export type RunningMessage = Extract<ServerMessage, { kind: "result" | "done" | "failed" }>;

export interface LinkEvents {
  onMessage(message: RunningMessage): void;
  /** The server gave up on this test, or the connection did; nothing comes any more. Called once at the most. */
  onLost(error: RperfError): void;
}

/** Takes what comes over a control connection: first one answer, then the messages of a running test. */
export class Inbox implements ChannelEvents {
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>;
  lastHeardMs = performance.now();
  readonly #streams: number;
  readonly #server: string;
  #markClosed = (): void => {};
  #answered: { resolve: (answer: ServerAnswer) => void; reject: (error: RperfError) => void } | null = null;
  #listener: LinkEvents | null = null;
  #failure: RperfError | null = null;

  /** `server` names it in errors. */
  constructor(streams: number, server: string) {
    this.#streams = streams;
    this.#server = server;
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
  }

  /** The answer to a configuration. Rejects with `peer-refused`, `peer-protocol` or `peer-lost`. */
  async nextAnswer(timeoutMs: number): Promise<ServerAnswer> {
    if (this.#failure !== null) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<ServerAnswer>();
    this.#answered = { resolve, reject };
    const timer = setTimeout(() => {
      reject(new RperfError("peer-protocol", `${this.#server} took the connection and did not answer; is it rperf?`));
    }, timeoutMs);
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
    if (this.#failure !== null) listener.onLost(this.#failure);
  }

  /** Nothing that happens to the connection is a loss any more; figures are still taken. */
  expectEnd(): void {
    const listener = this.#listener;
    if (listener !== null) this.#listener = { onMessage: (message) => listener.onMessage(message), onLost: () => {} };
  }

  onBody(body: Uint8Array): void {
    this.lastHeardMs = performance.now();
    const message = decodeServerMessage(body, this.#streams);
    switch (message.kind) {
      case "connect":
      case "connect-ready":
        if (this.#answered === null) throw new RperfError("peer-protocol", `a ${message.kind} out of order`);
        return this.#answered.resolve(message);
      case "result":
      case "done":
      case "failed":
        if (this.#listener === null) throw new RperfError("peer-protocol", `a ${message.kind} before the begin`);
        return this.#listener.onMessage(message);
      case "error":
        return this.#lost(new RperfError("peer-refused", `${this.#server} says: ${message.message}`));
    }
  }

  onError(error: RperfError): void {
    const what = error.code === "peer-protocol" ? `does not speak as rperf does: ${error.message}` : error.message;
    this.#lost(new RperfError(error.code, `${this.#server} ${what}`, { cause: error }));
  }

  onClosed(): void {
    this.#markClosed();
    const when = this.#listener === null ? "before it answered (is it rperf?)" : "in mid-test";
    this.#lost(new RperfError("peer-lost", `${this.#server} closed the control connection ${when}`));
  }

  #lost(error: RperfError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#answered?.reject(error);
    this.#listener?.onLost(error);
  }
}

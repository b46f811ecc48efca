import { encodeClientMessage } from "../protocol/encode.ts";
import { decodeServerMessage } from "../protocol/decode.ts";
import { encodeFrame, FrameDecoder } from "../protocol/framing.ts";
import { withDeadline } from "../clock.ts";
import { messageOf, RperfError } from "../errors.ts";
import type { ConnectionSource, SourceEvents } from "./connection-source.ts";
import type { DialEndpoint, Endpoint, StreamSpec } from "./spec.ts";
import { connectData, type DataSocket, NOBODY } from "./tcp-connection.ts";

/** How long the control port may take to hand a data connection to its stream. */
const TAKEN_TIMEOUT_MS = 5000;

/** Connects when the stream starts, as in 0.1.8: the first data bear the test id. */
export class ConnectSource implements ConnectionSource {
  readonly #spec: StreamSpec;
  readonly #endpoint: Extract<Endpoint, { type: "connect" }>;
  #events: SourceEvents | null = null;
  #isClosed = false;

  constructor(spec: StreamSpec, endpoint: Extract<Endpoint, { type: "connect" }>) {
    this.#spec = spec;
    this.#endpoint = endpoint;
  }

  async open(events: SourceEvents): Promise<null> {
    this.#events = events;
    return null;
  }

  async start(): Promise<void> {
    const socket = await connectData(this.#endpoint, this.#spec.path, NOBODY);
    if (this.#isClosed) socket.terminate();
    else this.#events?.onConnection(socket, 0);
  }

  take(): void {}

  close(): void {
    this.#isClosed = true;
  }
}

/** Connects before the test begins, and says which stream it is for. */
export class DialSource implements ConnectionSource {
  readonly #spec: StreamSpec;
  readonly #endpoint: DialEndpoint;
  #socket: DataSocket | null = null;
  #isOver = false;

  constructor(spec: StreamSpec, endpoint: DialEndpoint) {
    this.#spec = spec;
    this.#endpoint = endpoint;
  }

  async open(events: SourceEvents): Promise<null> {
    const socket = await connectData(this.#endpoint, this.#spec.path, NOBODY);
    this.#socket = socket;
    if (this.#isOver) {
      socket.terminate();
      return null;
    }
    if (this.#endpoint.isControlPort) await this.#announce(socket);
    else socket.write(this.#spec.testId);
    // Closed, and so ended, meanwhile.
    if (this.#isOver) return null;
    this.#isOver = true;
    events.onConnection(socket, 0);
    return null;
  }

  async start(): Promise<void> {}

  take(): void {}

  close(): void {
    if (!this.#isOver) this.#socket?.terminate();
    this.#isOver = true;
  }

  /** Says whose the connection is in a message of the control protocol, and waits until the stream has it. */
  async #announce(socket: DataSocket): Promise<void> {
    const { testId, streamIndex } = this.#spec;
    const taken = Promise.withResolvers<void>();
    const decoder = new FrameDecoder();
    const closed = () =>
      taken.reject(new RperfError("stream-failed", "the server closed a data connection to its control port"));
    socket.data = {
      data: (_, chunk) => {
        try {
          for (const body of decoder.push(chunk)) answered(body, taken);
        } catch (error) {
          taken.reject(error);
        }
      },
      writable: () => {},
      ended: closed,
      over: closed,
    };
    socket.write(encodeFrame(encodeClientMessage({ kind: "data", testId, streamIndex })));
    try {
      await withDeadline(taken.promise, TAKEN_TIMEOUT_MS);
    } catch (cause) {
      socket.terminate();
      if (cause instanceof RperfError) throw cause;
      const why = messageOf(cause) || `no answer within ${TAKEN_TIMEOUT_MS / 1000} s`;
      throw new RperfError("stream-failed", `a data connection to the server's control port: ${why}`, { cause });
    } finally {
      socket.data = NOBODY;
    }
  }
}

/** The server says nothing behind its answer before the test begins. */
function answered(body: Uint8Array, taken: PromiseWithResolvers<void>): void {
  const message = decodeServerMessage(body, 1);
  if (message.kind === "data-ready") taken.resolve();
  else if (message.kind === "error")
    taken.reject(new RperfError("peer-refused", `the server says: ${message.message}`));
  else taken.reject(new RperfError("peer-protocol", `a ${message.kind} on a data connection`));
}

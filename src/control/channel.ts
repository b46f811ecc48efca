import { detachConnection } from "../../ffi/detach-connection.ts";
import { descriptorOf } from "../../ffi/descriptor.ts";
import { limitSilence } from "../../ffi/sockopt.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { encodeFrame, FrameDecoder } from "../protocol/framing.ts";

/** A peer that vanished without a packet is given up after this long. */
const SILENCE_SECONDS = 5;
const KEEPALIVE_MS = 2000;
/** A frame that has begun must end within this time. */
const FRAME_DEADLINE_MS = 5000;
/** What may wait for a peer that does not read; a result is some 300 bytes. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** How long a closing channel waits for the peer to read the last message and close. */
const LINGER_MS = 1000;

export interface ChannelEvents {
  /** One message's body; what it throws closes the channel and reaches `onError`. */
  onBody(body: Uint8Array): void;
  /** The peer broke the rules, or (`peer-lost`, a predicate of the peer's) the connection. `onClosed` follows. */
  onError(error: RperfError): void;
  /** No more events come; called once, whoever closed. */
  onClosed(): void;
}

/** One control connection: framed messages out and in, bounded in size and time. */
export class ControlChannel {
  /** Both addresses are null when the peer had reset the connection before it was taken. */
  readonly localAddress: string | null;
  readonly remoteAddress: string | null;
  readonly remotePort: number;
  readonly #socket: Bun.Socket<ControlChannel>;
  readonly #events: ChannelEvents;
  readonly #decoder = new FrameDecoder();
  readonly #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #frameTimer: Timer | null = null;
  #lingerTimer: Timer | null = null;
  #state: "open" | "closing" | "closed" = "open";

  constructor(socket: Bun.Socket<ControlChannel>, events: ChannelEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.data = this;
    // Bun's types promise strings; a socket that is no longer connected has none.
    this.localAddress = nullIfMissing(socket.localAddress);
    this.remoteAddress = nullIfMissing(socket.remoteAddress);
    this.remotePort = socket.remotePort;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_MS);
    const fd = descriptorOf(socket);
    // Where the system cannot bound the silence, the deadlines of the sessions still do.
    if (fd !== null) limitSilence(fd, SILENCE_SECONDS);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Queues a message; it is lost without a word when the connection is over. */
  send(message: object): void {
    if (this.#state !== "open") return;
    const frame = encodeFrame(message);
    this.#pending.push(frame);
    this.#pendingBytes += frame.length;
    this.flush();
    if (this.#pendingBytes > MAX_PENDING_BYTES) this.#fail("peer-lost", "does not read what it is sent");
  }

  /** Closes once the peer has had a second to read what was sent. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#cancelFrameTimer();
    this.#lingerTimer = setTimeout(() => this.#socket.terminate(), LINGER_MS);
    // With nothing left to write the peer sees the end at once; what it still sends is read and dropped, since
    // closing over unread bytes would reset the connection and take the last message with it.
    if (this.#pendingBytes === 0) this.#socket.shutdown();
  }

  /**
   * Gives the connection away, to be gone on with elsewhere, and tells nobody: its descriptor, or null where the system
   * refuses.
   */
  detach(): number | null {
    if (this.#state !== "open") return null;
    // Bun tells of a close that this side makes too.
    this.#state = "closed";
    this.#cancelFrameTimer();
    const taken = detachConnection(this.#socket);
    if (taken.ok) return taken.value;
    this.#socket.terminate();
    return null;
  }

  /** Ends the connection at once; what was not sent is lost, and no event comes any more but `onClosed`. */
  abort(): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    this.#socket.terminate();
  }

  /** Socket event: bytes came. */
  received(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    try {
      for (const body of this.#decoder.push(chunk)) {
        this.#cancelFrameTimer();
        this.#events.onBody(body);
        if (!this.isOpen) return;
      }
    } catch (error) {
      this.#report(
        error instanceof RperfError ? error : new RperfError("internal", messageOf(error), { cause: error }),
      );
      return;
    }
    this.#watchFrame();
  }

  /** Socket event: there is room to write. */
  flush(): void {
    while (this.#state !== "closed") {
      const frame = this.#pending[0];
      if (frame === undefined) break;
      const takenBytes = this.#socket.write(frame);
      if (takenBytes <= 0) return;
      this.#pendingBytes -= takenBytes;
      if (takenBytes < frame.length) {
        this.#pending[0] = frame.subarray(takenBytes);
        return;
      }
      this.#pending.shift();
    }
    if (this.#state === "closing") this.#socket.shutdown();
  }

  /** Socket event: the connection is over, with or without an error. */
  ended(error: unknown): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    this.#cancelFrameTimer();
    if (this.#lingerTimer !== null) clearTimeout(this.#lingerTimer);
    if (wasOpen && error !== null) {
      this.#events.onError(
        new RperfError("peer-lost", `broke the control connection (${systemCodeOf(error) ?? messageOf(error)})`, {
          cause: error,
        }),
      );
    }
    this.#events.onClosed();
    this.#socket.terminate();
  }

  /** From the first byte of a frame to its last, however many chunks it comes in. */
  #watchFrame(): void {
    if (!this.#decoder.isMidFrame || this.#frameTimer !== null) return;
    this.#frameTimer = setTimeout(
      () => this.#fail("peer-protocol", `a message was left unfinished for ${FRAME_DEADLINE_MS / 1000} s`),
      FRAME_DEADLINE_MS,
    );
  }

  #cancelFrameTimer(): void {
    if (this.#frameTimer !== null) clearTimeout(this.#frameTimer);
    this.#frameTimer = null;
  }

  #fail(code: "peer-lost" | "peer-protocol", message: string): void {
    this.#report(new RperfError(code, message));
  }

  #report(error: RperfError): void {
    this.#events.onError(error);
    this.close();
  }
}

function nullIfMissing(address: string | undefined): string | null {
  return address ?? null;
}

/** The events of Bun's sockets, handed to the channel that each socket carries. */
export const channelSocketHandlers = {
  data: (socket: Bun.Socket<ControlChannel>, chunk: Uint8Array) => socket.data.received(chunk),
  drain: (socket: Bun.Socket<ControlChannel>) => socket.data.flush(),
  end: (socket: Bun.Socket<ControlChannel>) => socket.data.ended(null),
  // Bun tells of a reset here, and not in `error`.
  close: (socket: Bun.Socket<ControlChannel>, error?: Error) => socket.data.ended(error ?? null),
  error: (socket: Bun.Socket<ControlChannel>, error: Error) => socket.data.ended(error),
};

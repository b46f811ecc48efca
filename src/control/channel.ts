import { detachConnection } from "../../ffi/detach-connection.ts";
import { descriptorOf } from "../../ffi/descriptor.ts";
import { limitSilence } from "../../ffi/sockopt.ts";
import { readTcpInfo } from "../../ffi/tcp-info.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { encodeFrame, FrameDecoder } from "../protocol/framing.ts";

/** A peer that vanished without a packet is given up after this long. */
const SILENCE_SECONDS = 5;
const KEEPALIVE_MS = 2000;
/** Whoever speaks TLS does so within this time. */
const HANDSHAKE_DEADLINE_MS = 5000;
/** What proofs are bound to the connection by (RFC 5705; RFC 9266 has the like for TLS 1.3). */
const EXPORTER_LABEL = "EXPORTER-rperf-auth";
const EXPORTER_BYTES = 32;
/** A frame that has begun must end within this time. */
const FRAME_DEADLINE_MS = 5000;
/** What may wait for a peer that does not read; a result is some 300 bytes. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** How long a closing channel waits for the peer to read the last message and close. */
const LINGER_MS = 1000;

export interface ChannelEvents {
  /** One message's body; what it throws closes the channel and reaches `onError`. */
  onBody(body: Uint8Array): void;
  /** The peer broke the rules, there is no TLS with it (`tls-failed`), or (`peer-lost`, a predicate of the peer's) the connection. `onClosed` follows. */
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
  #hasReceived = false;
  readonly #isTls: boolean;
  #handshakeTimer: Timer | null = null;
  #frameTimer: Timer | null = null;
  #lingerTimer: Timer | null = null;
  #state: "handshaking" | "open" | "closing" | "closed";

  /** `isTls`: Bun speaks TLS over `socket`, and nothing is sent before `handshaken`. */
  constructor(socket: Bun.Socket<ControlChannel>, events: ChannelEvents, isTls = false) {
    this.#socket = socket;
    this.#events = events;
    this.#isTls = isTls;
    this.#state = isTls ? "handshaking" : "open";
    if (isTls)
      this.#handshakeTimer = setTimeout(
        () => this.guarded(() => this.#fail("tls-failed", `no TLS handshake within ${HANDSHAKE_DEADLINE_MS / 1000} s`)),
        HANDSHAKE_DEADLINE_MS,
      );
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

  /** What only the two ends of its TLS connection know (RFC 5705); null without TLS. */
  get keyingMaterial(): Uint8Array | null {
    if (!this.#isTls || this.#state !== "open") return null;
    const exported: unknown = this.#socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
    if (exported instanceof Uint8Array) return exported;
    throw new RperfError("internal", "TLS gives no keying material");
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** How long ago the peer's system was heard of: its answers to keepalives count too. Null = not known here. */
  get silentSeconds(): number | null {
    const fd = this.isOpen ? descriptorOf(this.#socket) : null;
    const info = fd === null ? null : readTcpInfo(fd);
    const silentMs = info?.ok === true ? info.value.sinceAckMilliseconds : null;
    return silentMs === null ? null : silentMs / 1000;
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
    if (this.#state === "handshaking") return this.abort();
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#cancelFrameTimer();
    this.#lingerTimer = setTimeout(() => this.guarded(() => this.#socket.terminate()), LINGER_MS);
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
    this.#cancelHandshakeTimer();
    this.#socket.terminate();
  }

  /**
   * Serves an event of the socket, or of a timer: what goes wrong in it ends this connection and nothing else. Where it cannot
   * even be told of, it is thrown on its own, for whoever counts what nobody caught.
   */
  guarded(serve: () => void): void {
    try {
      serve();
    } catch (error) {
      try {
        this.#report(toRperfError(error));
      } catch (second) {
        this.#socket.terminate();
        queueMicrotask(() => {
          throw second;
        });
      }
    }
  }

  /** Socket event: the TLS handshake is over; `error` is why it failed, or what is to be said of the peer's certificate. */
  handshaken(isDone: boolean, error: Error | null): void {
    if (this.#state !== "handshaking") return;
    this.#cancelHandshakeTimer();
    if (isDone) this.#state = "open";
    else this.#fail("tls-failed", `does not speak TLS 1.3 (${messageOf(error)})`);
  }

  /** Socket event: bytes came. */
  received(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    if (!this.#hasReceived && isTlsHello(chunk)) return this.#fail("peer-protocol", "TLS is not spoken here");
    this.#hasReceived = true;
    try {
      for (const body of this.#decoder.push(chunk)) {
        this.#cancelFrameTimer();
        this.#events.onBody(body);
        if (!this.isOpen) return;
      }
    } catch (error) {
      this.#report(toRperfError(error));
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
    this.#cancelHandshakeTimer();
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
    const message = `a message was left unfinished for ${FRAME_DEADLINE_MS / 1000} s`;
    const expire = (): void => this.#fail("peer-protocol", message);
    this.#frameTimer = setTimeout(() => this.guarded(expire), FRAME_DEADLINE_MS);
  }

  #cancelFrameTimer(): void {
    if (this.#frameTimer !== null) clearTimeout(this.#frameTimer);
    this.#frameTimer = null;
  }

  #cancelHandshakeTimer(): void {
    if (this.#handshakeTimer !== null) clearTimeout(this.#handshakeTimer);
    this.#handshakeTimer = null;
  }

  #fail(code: "peer-lost" | "peer-protocol" | "tls-failed", message: string): void {
    this.#report(new RperfError(code, message));
  }

  #report(error: RperfError): void {
    this.#events.onError(error);
    this.close();
  }
}

function toRperfError(error: unknown): RperfError {
  return error instanceof RperfError ? error : new RperfError("internal", messageOf(error), { cause: error });
}

/** The head of a handshake record (RFC 8446, 5.1); as a frame's it would be followed by what no JSON begins with. */
function isTlsHello(chunk: Uint8Array): boolean {
  return chunk[0] === 0x16 && chunk[1] === 0x03 && chunk[2] !== undefined && chunk[2] <= 0x04;
}

function nullIfMissing(address: string | undefined): string | null {
  return address ?? null;
}

/** The events of Bun's sockets, handed to the channel that each socket carries. */
export const channelSocketHandlers = {
  handshake: (socket: Bun.Socket<ControlChannel>, isDone: boolean, error: Error | null) =>
    withChannel(socket, (channel) => channel.handshaken(isDone, error)),
  data: (socket: Bun.Socket<ControlChannel>, chunk: Uint8Array) =>
    withChannel(socket, (channel) => channel.received(chunk)),
  drain: (socket: Bun.Socket<ControlChannel>) => withChannel(socket, (channel) => channel.flush()),
  end: (socket: Bun.Socket<ControlChannel>) => withChannel(socket, (channel) => channel.ended(null)),
  // Bun tells of a reset here, and not in `error`.
  close: (socket: Bun.Socket<ControlChannel>, error?: Error) =>
    withChannel(socket, (channel) => channel.ended(error ?? null)),
  error: (socket: Bun.Socket<ControlChannel>, error: Error) => withChannel(socket, (channel) => channel.ended(error)),
};

/** A socket whose channel could not be made has none. */
function withChannel(
  { data }: { readonly data: ControlChannel | undefined },
  act: (channel: ControlChannel) => void,
): void {
  data?.guarded(() => act(data));
}

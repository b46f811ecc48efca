import { ControlChannel } from "../control/channel.ts";
import { formatEndpoint, ipVersionOf, isLinkLocal, receiverBindAddress, unmapAddress } from "../control/address.ts";
import { nextPhase, phaseDeadlineReason, phaseDeadlineSeconds, type ServerPhase } from "../control/phases.ts";
import { messageOf, RperfError } from "../errors.ts";
import { decodeClientMessage } from "../protocol/decode.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import { type Configuration, EXTENSION_VERSION, type Extensions, type ServerMessage } from "../protocol/messages.ts";
import type { SocketFacts } from "../results/types.ts";
import type { StreamSpec } from "../streams/spec.ts";
import type { CpuDealer, PortDealer } from "../workers/dealers.ts";
import { type StreamFailure, StreamGroup } from "../workers/stream-group.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import type { ServerEvent } from "./events.ts";
import { receiverSpec, senderSpec } from "./stream-specs.ts";

/** Messages that may wait while streams are being prepared. */
const MAX_WAITING_MESSAGES = 8;
/** How long streams that an early `end` stops may take to tell their last figures. */
const STOP_MS = 2000;

/** What all sessions of one server share. */
export interface SessionContext {
  readonly pool: StreamWorkerPool;
  readonly cpus: CpuDealer;
  readonly ports: PortDealer;
  readonly emit: (event: ServerEvent) => void;
  /** Takes a place for a test; false when the server is full. Given back by `onClosed`. */
  admit(session: ClientSession): boolean;
  onClosed(session: ClientSession): void;
}

/** The streams of one configuration. */
interface Part {
  readonly configuration: Configuration;
  readonly group: StreamGroup;
}

/** One client's control connection, from its first byte to the last thing it held. */
export class ClientSession {
  readonly #context: SessionContext;
  readonly #channel: ControlChannel;
  readonly #name: string;
  readonly #localAddress: string;
  readonly #remoteAddress: string;
  readonly #parts: Part[] = [];
  readonly #waiting: Uint8Array[] = [];
  #phase: ServerPhase = "configuring";
  #isBusy = false;
  #isClosed = false;
  #deadline: Timer | null = null;
  #goodbye: string | null = null;
  #isRefused = false;

  constructor(socket: Bun.Socket<ControlChannel>, context: SessionContext) {
    this.#context = context;
    this.#channel = new ControlChannel(socket, {
      onBody: (body) => this.#body(body),
      onError: (error) => this.#broken(error),
      onClosed: () => this.#closed(),
    });
    this.#localAddress = unmapAddress(this.#channel.localAddress ?? "");
    this.#remoteAddress = unmapAddress(this.#channel.remoteAddress ?? "");
    const isGone = this.#channel.remoteAddress === null;
    this.#name = isGone ? "a client that is gone" : formatEndpoint(this.#remoteAddress, this.#channel.remotePort);
    this.#armDeadline();
  }

  /** Tells the client why, ends its streams at once and closes. */
  refuse(message: string): void {
    if (this.#goodbye !== null || !this.#channel.isOpen) return;
    this.#goodbye = message;
    this.#isRefused = true;
    this.#context.emit({ type: "client-refused", client: this.#name, message });
    this.#send({ kind: "error", message });
    this.#disposeStreams();
    this.#channel.close();
  }

  #body(body: Uint8Array): void {
    // Messages are served one by one; the next waits until the streams of a configuration are ready.
    if (this.#waiting.length >= MAX_WAITING_MESSAGES)
      throw new RperfError("peer-protocol", "too many messages at once");
    this.#waiting.push(body);
    if (!this.#isBusy) this.#serveWaiting();
  }

  #serveWaiting(): void {
    for (let body = this.#waiting.shift(); body !== undefined; body = this.#waiting.shift()) {
      const message = decodeClientMessage(body);
      switch (message.kind) {
        case "configuration":
          this.#configure(message);
          return;
        case "begin":
          this.#begin();
          break;
        case "end":
          return this.#end();
      }
    }
  }

  #configure(configuration: Configuration): void {
    this.#enter(nextPhase(this.#phase, "configuration"));
    if (this.#parts.some((part) => part.configuration.role === configuration.role)) {
      throw new RperfError("peer-protocol", `a second configuration with role ${configuration.role}`);
    }
    if (configuration.role === "upload" && isLinkLocal(this.#remoteAddress)) {
      const message = "no reverse test over a link-local address: sockets do not tell the interface it belongs to";
      throw new RperfError("peer-protocol", message);
    }
    if (this.#parts.length === 0 && !this.#context.admit(this)) {
      return this.refuse("the server has as many clients as it may have; try again later");
    }
    this.#isBusy = true;
    this.#prepare(configuration).then(
      () => this.#prepared(),
      (error: unknown) => this.#broken(toRperfError(error)),
    );
  }

  async #prepare(configuration: Configuration): Promise<void> {
    const { streams, role, family } = configuration;
    const cpus = this.#context.cpus.size;
    const workers = await this.#context.pool.acquire({ streams, cpus, streamBytesPerSecond: rateOf(configuration) });
    const group: StreamGroup = new StreamGroup(workers, {
      onInterval: (streamIndex, interval) => this.#send({ kind: "result", streamIndex, interval }),
      onWarning: (message) => this.#context.emit({ type: "warning", client: this.#name, message }),
      onDebug: (message) => this.#context.emit({ type: "debug", client: this.#name, message }),
      onOver: (index, failure, facts) => this.#streamOver(configuration, index, failure, facts),
    });
    if (this.#isClosed || this.#goodbye !== null) return group.dispose();
    this.#parts.push({ configuration, group });
    await group.prepare(Array.from({ length: streams }, (_, index) => this.#spec(configuration, index)));
    const direction = role === "download" ? "forward" : "reverse";
    this.#context.emit({ type: "test-configured", client: this.#name, family, direction, streams });
    const extensions = answerTo(configuration.extensions);
    if (role === "upload") this.#send({ kind: "connect-ready", extensions });
    else this.#send({ kind: "connect", streamPorts: group.ports, extensions });
  }

  #prepared(): void {
    this.#isBusy = false;
    if (this.#isClosed || this.#goodbye !== null) return;
    this.#enter(nextPhase(this.#phase, "prepared"));
    try {
      this.#serveWaiting();
    } catch (error) {
      this.#broken(toRperfError(error));
    }
  }

  #spec(configuration: Configuration, streamIndex: number): StreamSpec {
    const affinityCpu = this.#context.cpus.next();
    if (configuration.role === "upload") {
      return senderSpec(configuration, { streamIndex, affinityCpu }, this.#remoteAddress);
    }
    const bindAddress = receiverBindAddress(this.#localAddress);
    const choice = this.#context.ports.next(configuration.family, ipVersionOf(bindAddress));
    return receiverSpec(configuration, { streamIndex, affinityCpu }, bindAddress, choice);
  }

  #begin(): void {
    this.#enter(nextPhase(this.#phase, "begin"));
    this.#context.emit({ type: "test-started", client: this.#name });
    for (const { group } of this.#parts) group.start();
  }

  #streamOver(
    { extensions }: Configuration,
    streamIndex: number,
    failure: StreamFailure,
    socket: SocketFacts | null,
  ): void {
    if (failure !== null) {
      this.#context.emit({ type: "warning", client: this.#name, message: `stream ${streamIndex}: ${failure.message}` });
    }
    // Only a peer of ours knows what to do with more than the two facts of the original.
    const added = extensions === null ? { socket: null, message: null } : { socket, message: failure?.message ?? null };
    this.#send({ kind: failure === null ? "done" : "failed", streamIndex, ...added });
    if (!this.#parts.every((part) => part.group.isOver)) return;
    this.#enter(nextPhase(this.#phase, "streams-over"));
    if (this.#goodbye !== null) this.#channel.close();
  }

  /** The client has what it wants, or wants no more: running streams tell their last figures before the close. */
  #end(): void {
    this.#goodbye ??= this.#phase === "finished" ? "the test ended" : "the client ended the test early";
    if (this.#phase !== "running") {
      this.#disposeStreams();
      this.#channel.close();
      return;
    }
    for (const { group } of this.#parts) group.stop();
    this.#setDeadline(STOP_MS, () => {
      this.#disposeStreams();
      this.#channel.close();
    });
  }

  #broken(error: RperfError): void {
    if (error.code === "peer-lost") this.#goodbye ??= `the client ${error.message}`;
    else this.refuse(error.message);
    // The channel closes itself after an error of its own; one of ours ends it here.
    this.#channel.close();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelDeadline();
    this.#disposeStreams();
    this.#tellEnd();
    this.#context.onClosed(this);
  }

  /** One line for each client: a refusal has had its own, and a connection that asked for nothing is no client. */
  #tellEnd(): void {
    const client = this.#name;
    const emit = this.#context.emit;
    if (this.#isRefused) return;
    if (this.#parts.length === 0) return emit({ type: "debug", client, message: "connected and asked for nothing" });
    emit({ type: "client-ended", client, message: this.#goodbye ?? "the client disconnected in mid-test" });
  }

  #send(message: ServerMessage): void {
    this.#channel.send(encodeServerMessage(message));
  }

  #enter(phase: ServerPhase): void {
    this.#phase = phase;
    this.#armDeadline();
  }

  #armDeadline(): void {
    this.#cancelDeadline();
    const seconds = phaseDeadlineSeconds(this.#phase);
    if (seconds === null) return;
    this.#setDeadline(seconds * 1000, () => this.refuse(phaseDeadlineReason(this.#phase)));
  }

  #setDeadline(delayMs: number, expire: () => void): void {
    this.#cancelDeadline();
    this.#deadline = setTimeout(expire, delayMs);
  }

  #cancelDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #disposeStreams(): void {
    for (const { group } of this.#parts) group.dispose();
  }
}

/** What a server of ours answers to what it was offered; silence to an original peer. */
function answerTo(offered: Extensions | null): Extensions | null {
  return offered === null ? null : { version: EXTENSION_VERSION, omitSeconds: offered.omitSeconds };
}

/** What each stream will carry; 0 = no limit, null = not known. */
function rateOf(configuration: Configuration): number | null {
  if (configuration.role === "upload") return configuration.bandwidthBytesPerSecond;
  return configuration.extensions?.bandwidthBytesPerSecond ?? null;
}

function toRperfError(error: unknown): RperfError {
  return error instanceof RperfError ? error : new RperfError("internal", messageOf(error), { cause: error });
}

import { ControlChannel } from "../control/channel.ts";
import { formatEndpoint, placeOf, unmapAddress } from "../protocol/address.ts";
import { phaseDeadlineReason, phaseDeadlineSeconds } from "../control/phases.ts";
import { RperfError, systemCodeOf } from "../errors.ts";
import { decodeClientMessage } from "../protocol/decode.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import type { ClientMessage } from "../protocol/messages.ts";
import type { SessionContext } from "./context.ts";
import type { Guarded } from "./guard.ts";
import type { IdleConnection } from "./idle-connections.ts";
import { ServerTest, type TestMessage } from "./server-test.ts";
import type { ClientLink, LinkEnd } from "./test-client.ts";

/** Messages that may wait while streams are being prepared. */
const MAX_WAITING_MESSAGES = 8;

/** What a resumption that cannot be is answered with, whatever the reason: the reasons are secrets of others. */
const NO_SUCH_TEST = "there is no such test to resume";

/** One connection to the control port, from its first byte on: a new test's, an older one's, or a stream's. */
export class ClientSession implements ClientLink, IdleConnection {
  readonly #context: SessionContext;
  readonly #onClosed: (session: ClientSession) => void;
  readonly #channel: ControlChannel;
  readonly #name: string;
  readonly #guarded: Guarded;
  readonly #localAddress: string;
  readonly #remoteAddress: string;
  readonly place: string;
  readonly #waiting: Uint8Array[] = [];
  #test: ServerTest | null = null;
  #isBusy = false;
  #isClosed = false;
  #isRefused = false;
  #isData = false;
  #isEvicted = false;
  #end: { readonly how: LinkEnd; readonly message: string } = {
    how: "closed",
    message: "the client disconnected in mid-test",
  };
  #deadline: Timer | null;

  constructor(socket: Bun.Socket<ControlChannel>, context: SessionContext, onClosed: (session: ClientSession) => void) {
    this.#context = context;
    this.#onClosed = onClosed;
    const events = {
      onBody: (body: Uint8Array) => this.#guarded.run(() => this.#body(body)),
      onError: (error: RperfError) => this.#guarded.run(() => this.#broken(error)),
      onClosed: () => this.#guarded.run(() => this.#closed()),
    };
    this.#channel = new ControlChannel(socket, events, context.isTls);
    this.#localAddress = unmapAddress(this.#channel.localAddress ?? "");
    this.#remoteAddress = unmapAddress(this.#channel.remoteAddress ?? "");
    this.place = placeOf(this.#remoteAddress);
    const isGone = this.#channel.remoteAddress === null;
    this.#name = isGone ? "a client that is gone" : formatEndpoint(this.#remoteAddress, this.#channel.remotePort);
    this.#guarded = context.guard.of(this.#name, this);
    const seconds = phaseDeadlineSeconds("configuring") ?? 0;
    const expire = (): void => this.refuse(phaseDeadlineReason("configuring"));
    this.#deadline = setTimeout(() => this.#guarded.run(expire), seconds * 1000);
    context.enterIdle(this);
  }

  get silentSeconds(): number | null {
    return this.#channel.silentSeconds;
  }

  send(message: object): void {
    this.#channel.send(message);
  }

  isCounted(): void {
    this.#context.leaveIdle(this);
  }

  close(): void {
    this.#closeChannel();
  }

  evict(): void {
    this.#isEvicted = true;
    // Results that were being fetched are there to be fetched again.
    this.#end = { how: "lost", message: "the client's connection had to make room for others" };
    this.#channel.abort();
  }

  /** Tells the client why, ends its test at once and closes. */
  refuse(message: string): void {
    try {
      if (this.#test !== null) {
        this.#test.refuse(message);
      } else if (!this.#isRefused && this.#channel.isOpen) {
        this.#isRefused = true;
        this.#context.emit({ type: "client-refused", client: this.#name, message });
        this.send(encodeServerMessage({ kind: "error", message }));
      }
    } finally {
      this.#closeChannel();
    }
  }

  #body(body: Uint8Array): void {
    // Messages are served one by one; the next waits until the streams of a configuration are ready.
    if (this.#test?.isBeingAdmitted === true && this.#serveAtOnce(body, this.#test)) return;
    if (this.#waiting.length >= MAX_WAITING_MESSAGES)
      throw new RperfError("peer-protocol", "too many messages at once");
    this.#waiting.push(body);
    if (!this.#isBusy) this.#serveWaiting();
  }

  /** A client that is not let in yet may prove something, or leave; false for all else, which waits. */
  #serveAtOnce(body: Uint8Array, test: ServerTest): boolean {
    const message = decodeClientMessage(body);
    if (message.kind !== "proof" && message.kind !== "end") return false;
    test.handle(message, body)?.catch((error: unknown) => this.#guarded.caught(error));
    return true;
  }

  #serveWaiting(): void {
    for (let body = this.#waiting.shift(); body !== undefined; body = this.#waiting.shift()) {
      const serving = this.#serve(decodeClientMessage(body), body);
      if (serving === null) continue;
      this.#isBusy = true;
      serving.then(
        () => this.#guarded.run(() => this.#served()),
        (error: unknown) => this.#guarded.caught(error),
      );
      return;
    }
  }

  #served(): void {
    this.#isBusy = false;
    if (!this.#isClosed && this.#channel.isOpen) this.#serveWaiting();
  }

  #serve(message: ClientMessage, body: Uint8Array): Promise<void> | null {
    switch (message.kind) {
      case "resume":
        this.#resume(message.token, message.have);
        return null;
      case "data":
        this.#data(message);
        return null;
      case "configuration":
      case "begin":
      case "sent":
      case "ack":
      case "proof":
      case "end":
        return this.#serveTest(message, body);
    }
  }

  #serveTest(message: TestMessage, body: Uint8Array): Promise<void> | null {
    if (this.#test === null && message.kind === "configuration") {
      const { keyingMaterial } = this.#channel;
      const ends = { localAddress: this.#localAddress, remoteAddress: this.#remoteAddress };
      const test = new ServerTest(this.#context, { name: this.#name, ...ends, keyingMaterial }, this);
      this.#context.onTestBegun(test);
      this.#adopt(test);
    }
    if (this.#test !== null) return this.#test.handle(message, body);
    if (message.kind === "end") this.close();
    else throw new RperfError("peer-protocol", `a ${message.kind} has no place while configuring`);
    return null;
  }

  #resume(token: string, have: number): void {
    this.#demandFirst("resume");
    const test = this.#context.registry.resume(token, this.#remoteAddress);
    if (test === "later") return this.close();
    if (!(test instanceof ServerTest) || !test.resume(this, have)) return this.refuse(NO_SUCH_TEST);
    this.#adopt(test);
  }

  /** The connection is a stream's; what comes from now on is for its Worker. */
  #data(message: Extract<ClientMessage, { kind: "data" }>): void {
    this.#demandFirst("data");
    const take = this.#context.registry.taker(message, "tcp", this.#remoteAddress);
    if (take === null) return this.refuse("no stream of this server waits for such a connection");
    this.#isData = true;
    const descriptor = this.#channel.detach();
    this.#closed();
    if (descriptor !== null) take({ family: "tcp", descriptor });
  }

  #demandFirst(kind: string): void {
    if (this.#test !== null) throw new RperfError("peer-protocol", `a ${kind} has no place in a test`);
  }

  /** From now on the test has deadlines of its own. */
  #adopt(test: ServerTest): void {
    this.#test = test;
    this.#cancelDeadline();
  }

  #broken(error: RperfError): void {
    if (error.code === "peer-lost") {
      const isReset = systemCodeOf(error.cause) === "ECONNRESET";
      this.#end = { how: isReset ? "reset" : "lost", message: `the client ${error.message}` };
    } else if (error.code === "tls-failed") {
      // Whoever passes by: there is nobody to be told why.
      this.#isRefused = true;
      this.#context.emit({ type: "debug", client: this.#name, message: error.message });
    } else this.#guarded.caught(error.code === "internal" ? (error.cause ?? error) : error);
    // The channel closes itself after an error of its own; one of ours ends it here.
    this.#closeChannel();
  }

  /** A peer that does not read, or close, holds a connection for a moment longer. */
  #closeChannel(): void {
    const { isOpen } = this.#channel;
    this.#channel.close();
    if (isOpen) this.#context.enterIdle(this);
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#context.leaveIdle(this);
    this.#cancelDeadline();
    this.#onClosed(this);
    if (this.#test !== null) this.#test.linkEnded(this, this.#end.how, this.#end.message);
    // A refusal has had its own line, evictions are summed up, and a connection that asked for nothing is no client.
    else if (!this.#isRefused && !this.#isData && !this.#isEvicted) {
      this.#context.emit({ type: "debug", client: this.#name, message: "connected and asked for nothing" });
    }
  }

  #cancelDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }
}

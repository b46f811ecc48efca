import { ControlChannel } from "../control/channel.ts";
import { formatEndpoint, unmapAddress } from "../protocol/address.ts";
import { phaseDeadlineReason, phaseDeadlineSeconds } from "../control/phases.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { decodeClientMessage } from "../protocol/decode.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import type { ClientMessage } from "../protocol/messages.ts";
import type { SessionContext } from "./context.ts";
import { type ClientLink, type LinkEnd, ServerTest, type TestMessage } from "./server-test.ts";

/** Messages that may wait while streams are being prepared. */
const MAX_WAITING_MESSAGES = 8;

/** What a resumption that cannot be is answered with, whatever the reason: the reasons are secrets of others. */
const NO_SUCH_TEST = "there is no such test to resume";

/** One connection to the control port, from its first byte on: a new test's, an older one's, or a stream's. */
export class ClientSession implements ClientLink {
  readonly #context: SessionContext;
  readonly #onClosed: (session: ClientSession) => void;
  readonly #channel: ControlChannel;
  readonly #name: string;
  readonly #localAddress: string;
  readonly #remoteAddress: string;
  readonly #waiting: Uint8Array[] = [];
  #test: ServerTest | null = null;
  #isBusy = false;
  #isClosed = false;
  #isRefused = false;
  #isData = false;
  #end: { readonly how: LinkEnd; readonly message: string } = {
    how: "closed",
    message: "the client disconnected in mid-test",
  };
  #deadline: Timer | null;

  constructor(socket: Bun.Socket<ControlChannel>, context: SessionContext, onClosed: (session: ClientSession) => void) {
    this.#context = context;
    this.#onClosed = onClosed;
    this.#channel = new ControlChannel(socket, {
      onBody: (body) => this.#body(body),
      onError: (error) => this.#broken(error),
      onClosed: () => this.#closed(),
    });
    this.#localAddress = unmapAddress(this.#channel.localAddress ?? "");
    this.#remoteAddress = unmapAddress(this.#channel.remoteAddress ?? "");
    const isGone = this.#channel.remoteAddress === null;
    this.#name = isGone ? "a client that is gone" : formatEndpoint(this.#remoteAddress, this.#channel.remotePort);
    const seconds = phaseDeadlineSeconds("configuring") ?? 0;
    this.#deadline = setTimeout(() => this.refuse(phaseDeadlineReason("configuring")), seconds * 1000);
  }

  send(message: object): void {
    this.#channel.send(message);
  }

  close(): void {
    this.#channel.close();
  }

  /** Tells the client why, ends its test at once and closes. */
  refuse(message: string): void {
    if (this.#test !== null) {
      this.#test.refuse(message);
    } else if (!this.#isRefused && this.#channel.isOpen) {
      this.#isRefused = true;
      this.#context.emit({ type: "client-refused", client: this.#name, message });
      this.send(encodeServerMessage({ kind: "error", message }));
    }
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
      const serving = this.#serve(decodeClientMessage(body));
      if (serving === null) continue;
      this.#isBusy = true;
      serving.then(
        () => this.#served(),
        (error: unknown) => this.#broken(toRperfError(error)),
      );
      return;
    }
  }

  #served(): void {
    this.#isBusy = false;
    if (this.#isClosed || !this.#channel.isOpen) return;
    try {
      this.#serveWaiting();
    } catch (error) {
      this.#broken(toRperfError(error));
    }
  }

  #serve(message: ClientMessage): Promise<void> | null {
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
      case "end":
        return this.#serveTest(message);
    }
  }

  #serveTest(message: TestMessage): Promise<void> | null {
    if (this.#test === null && message.kind === "configuration") {
      const client = { name: this.#name, localAddress: this.#localAddress, remoteAddress: this.#remoteAddress };
      const test = new ServerTest(this.#context, client, this);
      if (!this.#context.admit(test)) {
        this.refuse("the server has as many clients as it may have; try again later");
        return null;
      }
      this.#adopt(test);
    }
    if (this.#test !== null) return this.#test.handle(message);
    if (message.kind === "end") this.close();
    else throw new RperfError("peer-protocol", `a ${message.kind} has no place while configuring`);
    return null;
  }

  #resume(token: string, have: number): void {
    this.#demandFirst("resume");
    const test = this.#context.registry.resume(token, this.#remoteAddress);
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
    } else this.refuse(error.message);
    // The channel closes itself after an error of its own; one of ours ends it here.
    this.#channel.close();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelDeadline();
    if (this.#test !== null) this.#test.linkEnded(this, this.#end.how, this.#end.message);
    // A refusal has had its own line, and a connection that asked for nothing is no client.
    else if (!this.#isRefused && !this.#isData) {
      this.#context.emit({ type: "debug", client: this.#name, message: "connected and asked for nothing" });
    }
    this.#onClosed(this);
  }

  #cancelDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }
}

function toRperfError(error: unknown): RperfError {
  return error instanceof RperfError ? error : new RperfError("internal", messageOf(error), { cause: error });
}

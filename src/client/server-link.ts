import { formatEndpoint, ipVersionOf, receiverBindAddress, unmapAddress } from "../protocol/address.ts";
import type { ControlChannel } from "../control/channel.ts";
import { waitWithin } from "../clock.ts";
import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import { encodeClientMessage } from "../protocol/encode.ts";
import type { ClientMessage, Configuration, Extensions, ServerMessage, TestId } from "../protocol/messages.ts";
import type { Key } from "../config/keys.ts";
import { exchangeWith, withKey } from "./authenticate.ts";
import { connectControl, connectOnce, type ControlPath, resolveHost } from "./connect.ts";
import { Inbox, type LinkEvents, type Queued, type RunningMessage, type ServerAnswer } from "./inbox.ts";

/** How long a server may take to answer, over a link that loses much, and for each stream that it has to open. */
const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_PER_STREAM_MS = 40;
/** How long the original keeps the connection after its `end`. */
const END_TO_CLOSE_MS = 250;
/** A resumption is tried again soon where it is not answered: the link may have gone anew. */
const RESUME_ANSWER_MS = 3000;
/** So many numbered messages are taken before the server is told that it may forget them. */
const ACKNOWLEDGE_EVERY = 16;

/** The server's answer to a configuration: ports in forward mode, none in reverse. */
export interface ConfigurationAnswer {
  readonly streamPorts: readonly number[];
  readonly extensions: Extensions | null;
  /** What the data begin with: as configured, or with a key what follows from it. */
  readonly testId: TestId;
}

type Resumed = Extract<ServerMessage, { kind: "resumed" }>;

/** The client's end of a test's control connection, and of the one that takes its place, in terms of the protocol. */
export class ServerLink {
  readonly address: string;
  readonly port: number;
  readonly #streams: number;
  readonly #path: ControlPath;
  readonly #key: Key | null;
  #channel: ControlChannel;
  #inbox: Inbox;
  /** What the server granted to be resumed by. */
  #token: string | null = null;
  /** Numbered messages heard, and acknowledged. */
  #have = 0;
  #acknowledged = 0;
  #hasSaidEnd = false;
  #isQueued = false;
  #isClosed = false;
  /** Of an attempt to resume that is not answered yet. */
  #candidate: ControlChannel | null = null;

  private constructor(channel: ControlChannel, inbox: Inbox, address: string, config: TestConfig) {
    this.#channel = channel;
    this.#inbox = inbox;
    this.address = address;
    this.port = config.port;
    this.#streams = config.parallel;
    this.#path = config;
    this.#key = config.key;
  }

  /** Connects to the first address of `host` that answers. Throws `resolve-failed`, `connect-…`, `bind-failed`. */
  static async open(config: TestConfig): Promise<ServerLink> {
    const { host, port, parallel } = config;
    const addresses = await resolveHost(host, config.ipv6Only, config.localAddress);
    const newInbox = () => new Inbox(parallel, formatEndpoint(host, port));
    const { channel, address, inbox } = await connectControl(addresses, port, config, newInbox);
    return new ServerLink(channel, inbox, address, config);
  }

  get endpoint(): string {
    return formatEndpoint(this.address, this.port);
  }

  get ipVersion(): 4 | 6 {
    return ipVersionOf(unmapAddress(this.address));
  }

  /** Where this side's receivers listen: on the address by which it reaches the server. */
  get receiverAddress(): string {
    const { localAddress } = this.#channel;
    if (localAddress === null) throw new RperfError("peer-lost", `${this.endpoint} reset the connection at once`);
    return receiverBindAddress(localAddress);
  }

  get mayResume(): boolean {
    return this.#token !== null && !this.#hasSaidEnd;
  }

  /** Seconds since the server was last heard of. */
  silenceSeconds(nowMs: number): number {
    return (nowMs - this.#inbox.lastHeardMs) / 1000;
  }

  /**
   * Sends the configuration, proves to have the key, if there is one, and waits for the answer, and before it for a place if
   * the server lets it wait: `onQueued` hears of that. Throws `peer-refused`, `peer-protocol`, `peer-lost` or, where the
   * server does not prove the same, `auth-failed`.
   */
  async configure(configuration: Configuration, onQueued: (message: Queued) => void): Promise<ConfigurationAnswer> {
    const { testId, resumeToken } =
      this.#key === null
        ? this.#configureOpenly(configuration)
        : await this.#configureWithKey(configuration, this.#key);
    const answer = await this.#placedAnswer(configuration, onQueued);
    const expected = configuration.role === "download" ? "connect" : "connect-ready";
    if (answer.kind !== expected) {
      throw new RperfError("peer-protocol", `${this.endpoint} answered ${answer.kind} instead of ${expected}`);
    }
    const { extensions } = answer;
    // Of a bidirectional test both configurations have the token of the first.
    this.#token ??= tokenOf(extensions, resumeToken);
    return { streamPorts: answer.kind === "connect" ? answer.streamPorts : [], extensions, testId };
  }

  #configureOpenly(configuration: Configuration) {
    this.send(configuration);
    return { testId: configuration.testId, resumeToken: null };
  }

  async #configureWithKey(configuration: Configuration, key: Key) {
    const offered = withKey(configuration, key);
    this.send(offered.configuration);
    const answer = await this.#inbox.nextAnswer({ timeoutMs: this.#answerTimeoutMs });
    if (answer.kind !== "challenge") {
      throw new RperfError("auth-failed", `${this.endpoint} asks for no key, and so proves nothing`);
    }
    const exchange = exchangeWith(this.endpoint, key, offered, answer, this.#channel.keyingMaterial);
    this.send({ kind: "proof", mac: exchange.clientMac });
    return exchange;
  }

  get #answerTimeoutMs(): number {
    return ANSWER_TIMEOUT_MS + this.#streams * ANSWER_TIMEOUT_PER_STREAM_MS;
  }

  /** The answer to somebody who has a place by then. */
  async #placedAnswer({ extensions }: Configuration, onQueued: (message: Queued) => void): Promise<ServerAnswer> {
    const timeoutMs = this.#answerTimeoutMs;
    const waitMs = (extensions?.waitSeconds ?? 0) * 1000;
    const queue = {
      waitMs,
      onQueued: (message: Queued) => {
        this.#isQueued = true;
        onQueued(message);
      },
    };
    const answer = await this.#inbox.nextAnswer(waitMs > 0 ? { timeoutMs, queue } : { timeoutMs });
    this.#isQueued = false;
    return answer;
  }

  /** From now on messages go to `events`. */
  begin(events: LinkEvents): void {
    this.#listen(events);
    this.send({ kind: "begin" });
  }

  /**
   * One attempt to go on over a new connection, from which all that was missed goes to `events`. Rejects with `connect-…`,
   * `peer-lost` or, when the server would have none of it, `peer-refused`.
   */
  async resume(events: LinkEvents): Promise<{ readonly phase: Resumed["phase"]; readonly missed: number }> {
    const token = this.#token;
    if (token === null) throw new RperfError("internal", "there is nothing to resume by");
    this.abandon();
    const inbox = new Inbox(this.#streams, this.endpoint);
    const channel = await connectOnce(this.address, this.port, this.#path, inbox);
    const have = this.#have;
    this.#candidate = channel;
    try {
      if (this.#isClosed) throw new RperfError("stopped", "the test is over");
      channel.send(encodeClientMessage({ kind: "resume", token, have }));
      const answer = await inbox.nextAnswer({ timeoutMs: RESUME_ANSWER_MS, lateCode: "peer-lost" });
      if (answer.kind !== "resumed") {
        throw new RperfError("peer-protocol", `${this.endpoint} answered ${answer.kind} instead of resumed`);
      }
      if (answer.first < have) {
        const message = `${this.endpoint} resumed from ${answer.first}, which came before: ${have} are here`;
        throw new RperfError("peer-protocol", message);
      }
      // The test ended while this was tried: the server is to know.
      if (this.#isClosed) throw new RperfError("stopped", "the test is over");
      this.#channel = channel;
      this.#inbox = inbox;
      this.#have = answer.first;
      this.#acknowledged = have;
      this.#listen(events);
      return { phase: answer.phase, missed: answer.first - have };
    } catch (error) {
      // Good order tells a server that has taken it that this side ended: only where it did, and not where the link is gone anew.
      if (!this.#isClosed) {
        channel.abort();
        throw error;
      }
      channel.close();
      throw new RperfError("stopped", "the test is over", { cause: error });
    } finally {
      this.#candidate = null;
    }
  }

  /** The connection is not to be heard of any more. */
  abandon(): void {
    this.#inbox.expectEnd();
    this.#channel.abort();
  }

  /**
   * Says that the test is over and closes: as soon as the server does, or after the quarter of a second that the
   * original leaves it.
   */
  async end(): Promise<void> {
    this.sayEnd();
    await waitWithin(this.#inbox.closed, END_TO_CLOSE_MS);
    this.close();
  }

  /** Says that the test is over; what the server still tells is heard. */
  sayEnd(): void {
    if (this.#hasSaidEnd) return;
    this.#hasSaidEnd = true;
    this.#inbox.expectEnd();
    this.send({ kind: "end" });
  }

  close(): void {
    this.#isClosed = true;
    // Its place in the queue is somebody else's at once.
    if (this.#isQueued) this.sayEnd();
    this.#candidate?.close();
    this.#inbox.expectEnd();
    this.#channel.close();
  }

  send(message: ClientMessage): void {
    this.#channel.send(encodeClientMessage(message));
  }

  #listen(events: LinkEvents): void {
    this.#inbox.listen({
      onMessage: (message, silentMs) => {
        this.#have++;
        events.onMessage(message, silentMs);
        this.#acknowledge(message);
      },
      onLost: (error) => events.onLost(error),
    });
  }

  /** Only a server that keeps them wants to know. */
  #acknowledge(message: RunningMessage): void {
    if (this.#token === null) return;
    if (message.kind === "result" && this.#have - this.#acknowledged < ACKNOWLEDGE_EVERY) return;
    this.#acknowledged = this.#have;
    this.send({ kind: "ack", have: this.#have });
  }
}

/** By what the client may come back; null = by nothing. Throws `peer-protocol` where that is not told and does not follow. */
function tokenOf(extensions: Extensions | null, derived: string | null): string | null {
  if (extensions === null || extensions.resume === null) return null;
  const token = derived ?? extensions.resume.token;
  if (token === null) throw new RperfError("peer-protocol", "the server granted resume without a token");
  return token;
}

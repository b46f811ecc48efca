import { formatEndpoint, ipVersionOf, receiverBindAddress, unmapAddress } from "../control/address.ts";
import type { ControlChannel } from "../control/channel.ts";
import { waitWithin } from "../clock.ts";
import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import { encodeClientMessage } from "../protocol/encode.ts";
import type { ClientMessage, Configuration, Extensions } from "../protocol/messages.ts";
import { connectControl, resolveHost } from "./connect.ts";
import { Inbox, type LinkEvents } from "./inbox.ts";

/** How long a server may take to answer a configuration, and for each stream that it has to open. */
const ANSWER_TIMEOUT_MS = 5000;
const ANSWER_TIMEOUT_PER_STREAM_MS = 40;
/** How long the original keeps the connection after its `end`. */
const END_TO_CLOSE_MS = 250;

/** The server's answer to a configuration: ports in forward mode, none in reverse. */
export interface ConfigurationAnswer {
  readonly streamPorts: readonly number[];
  readonly extensions: Extensions | null;
}

/** The client's end of one control connection, in terms of the protocol. */
export class ServerLink {
  readonly address: string;
  readonly port: number;
  readonly #streams: number;
  readonly #channel: ControlChannel;
  readonly #inbox: Inbox;
  #hasSaidEnd = false;

  private constructor(channel: ControlChannel, address: string, port: number, streams: number, inbox: Inbox) {
    this.#channel = channel;
    this.address = address;
    this.port = port;
    this.#streams = streams;
    this.#inbox = inbox;
  }

  /** Connects to the first address of `host` that answers. Throws `resolve-failed`, `connect-…`. */
  static async open(config: TestConfig): Promise<ServerLink> {
    const { host, port, parallel } = config;
    const inbox = new Inbox(parallel, formatEndpoint(host, port));
    const addresses = await resolveHost(host, config.ipv6Only);
    const { channel, address } = await connectControl(addresses, port, inbox);
    return new ServerLink(channel, address, port, parallel, inbox);
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

  /** Seconds since the server was last heard of. */
  silenceSeconds(nowMs: number): number {
    return (nowMs - this.#inbox.lastHeardMs) / 1000;
  }

  /** Sends the configuration and waits for its answer. Throws `peer-refused`, `peer-protocol` or `peer-lost`. */
  async configure(configuration: Configuration): Promise<ConfigurationAnswer> {
    this.#send(configuration);
    const answer = await this.#inbox.nextAnswer(ANSWER_TIMEOUT_MS + this.#streams * ANSWER_TIMEOUT_PER_STREAM_MS);
    const expected = configuration.role === "download" ? "connect" : "connect-ready";
    if (answer.kind !== expected) {
      throw new RperfError("peer-protocol", `${this.endpoint} answered ${answer.kind} instead of ${expected}`);
    }
    return { streamPorts: answer.kind === "connect" ? answer.streamPorts : [], extensions: answer.extensions };
  }

  /** From now on messages go to `events`. */
  begin(events: LinkEvents): void {
    this.#inbox.listen(events);
    this.#send({ kind: "begin" });
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
    this.#send({ kind: "end" });
  }

  close(): void {
    this.#inbox.expectEnd();
    this.#channel.close();
  }

  #send(message: ClientMessage): void {
    this.#channel.send(encodeClientMessage(message));
  }
}

import { isLinkLocal } from "../protocol/address.ts";
import { nextPhase, phaseDeadlineReason, phaseDeadlineSeconds, type ServerPhase } from "../control/phases.ts";
import { runAfter } from "../clock.ts";
import { messageOf, RperfError } from "../errors.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import type { ClientMessage, Configuration, ResumedPhase, ServerMessage, TestId } from "../protocol/messages.ts";
import { isSameTest } from "../protocol/tcp-data.ts";
import { NO_TOTALS } from "../results/types.ts";
import type { Handed } from "../streams/spec.ts";
import { type StreamEnd, type StreamFailure, StreamGroup } from "../workers/stream-group.ts";
import type { SessionContext } from "./context.ts";
import { answerOf, type Grant, grantOf, newToken, plannedSecondsOf, rateOf } from "./grant.ts";
import { specsOf } from "./test-streams.ts";
import { TestLog } from "./test-log.ts";
import type { RegisteredTest } from "./test-registry.ts";

/** How long streams that are stopped early may take to tell their last figures. */
const STOP_MS = 2000;
/** A client whose connection was reset lives, and comes back at once, or does not live any more. */
const RESET_GRACE_MS = 5000;
/** How long behind the last moment in which its client may come back a test ends, whatever it waits for. */
const OVERDUE_MS = 5000;
/** Where it may not come back: as long as its client waits for what is under way. */
const MOST_DRAIN_SECONDS = 30;

/** Who asked for a test. */
export interface TestClient {
  /** Where it is, for a person. */
  readonly name: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
}

/** The connection over which its client hears of a test. */
export interface ClientLink {
  send(message: object): void;
  /** Once the client has had a moment to read what was sent. */
  close(): void;
}

/** How a connection went away. */
export type LinkEnd = "closed" | "reset" | "lost";

/** The messages that a test takes. */
export type TestMessage = Extract<ClientMessage, { kind: "configuration" | "begin" | "sent" | "ack" | "end" }>;

/** The streams of one configuration. */
interface Part {
  readonly configuration: Configuration;
  readonly grant: Grant;
  readonly group: StreamGroup;
  /** Streams that have been handed their connection. */
  readonly taken: Set<number>;
}

/** One client's test, from its first configuration until nobody wants anything of it any more. */
export class ServerTest implements RegisteredTest {
  readonly #context: SessionContext;
  readonly #client: TestClient;
  readonly #parts: Part[] = [];
  readonly #log = new TestLog();
  readonly #token = newToken();
  #link: ClientLink | null;
  #phase: ServerPhase = "configuring";
  #isOver = false;
  #deadline: Timer | null = null;
  #cancelOverdue = (): void => {};
  #goodbye: string | null = null;
  /** What streams that end from now on have failed by. */
  #stopFailure: StreamFailure = null;
  #isRefused = false;

  constructor(context: SessionContext, client: TestClient, link: ClientLink) {
    this.#context = context;
    this.#client = client;
    this.#link = link;
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress;
  }

  get keptBytes(): number {
    return this.#log.bytes;
  }

  /** Whether it goes on without its client. */
  get isDetached(): boolean {
    return !this.#isOver && this.#link === null && this.#phase !== "finished";
  }

  /** Serves one message; the next is to wait for the promise, if there is one. Throws or rejects with RperfError. */
  handle(message: TestMessage): Promise<void> | null {
    // Behind an end that came while streams were being made ready.
    if (this.#isOver) return null;
    switch (message.kind) {
      case "configuration":
        return this.#configure(message);
      case "begin":
        this.#begin();
        return null;
      case "sent":
        this.#sent(message);
        return null;
      case "ack":
        this.#log.acknowledge(message.have);
        return null;
      case "end":
        this.#end();
        return null;
    }
  }

  /** The client is back, over another connection; false when there is nothing to go on with. */
  resume(link: ClientLink, have: number): boolean {
    const phase = resumedPhase(this.#phase);
    if (phase === null || this.#isOver || this.#goodbye !== null) return false;
    this.#log.acknowledge(have);
    const before = this.#link;
    this.#link = link;
    before?.close();
    this.#context.registry.release(this);
    const { first, messages } = this.#log.missing(have);
    link.send(encodeServerMessage({ kind: "resumed", phase, first }));
    for (const message of messages) link.send(message);
    this.#context.emit({ type: "client-resumed", client: this.#client.name });
    this.#armDeadline();
    return true;
  }

  /** A connection of this test's client is over. */
  linkEnded(link: ClientLink, how: LinkEnd, message: string): void {
    if (this.#isOver || link !== this.#link) return;
    this.#link = null;
    if (!this.#mayResume(how)) return this.#finish(message);
    this.#context.emit({ type: "client-lost", client: this.#client.name, message });
    if (this.#phase === "finished") this.#keep();
    else if (how === "reset") this.#setDeadline(RESET_GRACE_MS, () => this.#orphan(message));
  }

  /** Its client is gone, as it seems: what there is by now is kept, in case it is not. */
  #orphan(message: string): void {
    if (this.#phase !== "running") return this.#finish(message);
    this.#context.release(this);
    this.#stopStreams("its client had gone");
  }

  /** Tells the client why, and ends everything at once. */
  refuse(message: string): void {
    if (this.#isOver) return;
    if (this.#goodbye === null) {
      this.#goodbye = message;
      this.#isRefused = true;
      this.#context.emit({ type: "client-refused", client: this.#client.name, message });
      this.#link?.send(encodeServerMessage({ kind: "error", message }));
    }
    this.#finish(message);
  }

  take(testId: TestId, streamIndex: number, family: Handed["family"]): ((handed: Handed) => void) | null {
    const part = this.#parts.find(({ configuration }) => isSameTest(configuration.testId, testId));
    if (part === undefined || !part.grant.singlePort || part.configuration.family !== family) return null;
    // A hello may be said again; a second connection for one stream is another's.
    if (!part.group.isLive(streamIndex) || (family === "tcp" && part.taken.has(streamIndex))) return null;
    return (handed) => {
      part.taken.add(streamIndex);
      part.group.take(streamIndex, handed);
    };
  }

  expired(): void {
    this.#finish("its results were not asked for");
  }

  async #configure(configuration: Configuration): Promise<void> {
    this.#enter(nextPhase(this.#phase, "configuration"));
    if (this.#parts.some((part) => part.configuration.role === configuration.role)) {
      throw new RperfError("peer-protocol", `a second configuration with role ${configuration.role}`);
    }
    const grant = await this.#grant(configuration);
    if (this.#isOver) return;
    if (configuration.role === "upload" && !(grant.clientDials && configuration.family === "tcp")) {
      refuseLinkLocal(this.#client.remoteAddress);
    }
    await this.#prepare(configuration, grant);
    if (!this.#isOver) this.#enter(nextPhase(this.#phase, "prepared"));
  }

  /** A number that another program has of UDP cannot be had: then the test goes over other ports. */
  async #grant(configuration: Configuration): Promise<Grant> {
    const { remoteAddress, name: client } = this.#client;
    const grant = grantOf(configuration, remoteAddress);
    if (!grant.singlePort || configuration.family === "tcp") return grant;
    try {
      await this.#context.enterUdpDoor(this);
      return grant;
    } catch (error) {
      this.#context.emit({ type: "warning", client, message: `no test over the control port: ${messageOf(error)}` });
      return { ...grant, singlePort: false };
    }
  }

  async #prepare(configuration: Configuration, grant: Grant): Promise<void> {
    const { streams, role, family } = configuration;
    const { pool, cpus, registry, emit } = this.#context;
    const client = this.#client.name;
    const workers = await pool.acquire({
      streams,
      cpus: cpus.size,
      streamBytesPerSecond: rateOf(configuration),
    });
    const group: StreamGroup = new StreamGroup(workers, {
      onInterval: (streamIndex, interval) => this.#tell({ kind: "result", streamIndex, interval }),
      onWarning: (message) => emit({ type: "warning", client, message }),
      onDebug: (message) => emit({ type: "debug", client, message }),
      onOver: (streamIndex, end) => this.#streamOver(configuration, streamIndex, end),
    });
    if (this.#isOver) return group.dispose();
    this.#parts.push({ configuration, grant, group, taken: new Set() });
    await group.prepare(specsOf(configuration, grant, this.#client, this.#context));
    if (this.#isOver) return;
    if (grant.singlePort && !registry.addData(this, configuration.testId)) {
      throw new RperfError("peer-protocol", "test_id is that of other streams");
    }
    if (grant.resumeTimeoutSeconds !== null) registry.add(this, this.#token);
    emit({
      type: "test-configured",
      client,
      family,
      direction: role === "download" ? "forward" : "reverse",
      streams,
    });
    const ports = grant.singlePort ? group.ports.map(() => this.#context.controlPort()) : group.ports;
    const extensions = answerOf(configuration, grant, { ports, token: this.#token });
    if (role === "upload") this.#send({ kind: "connect-ready", extensions });
    else this.#send({ kind: "connect", streamPorts: ports, extensions });
  }

  #begin(): void {
    this.#enter(nextPhase(this.#phase, "begin"));
    this.#context.emit({ type: "test-started", client: this.#client.name });
    this.#planEnd();
    for (const { group } of this.#parts) group.start();
  }

  /** A receiver that is over has no use for it any more. */
  #sent({ streamIndex, sent }: Extract<TestMessage, { kind: "sent" }>): void {
    const part = this.#parts.find(({ configuration }) => configuration.role === "download");
    if (part === undefined || (this.#phase !== "running" && this.#phase !== "finished")) {
      throw new RperfError("peer-protocol", `a sent has no place while ${this.#phase}, or without a receiver`);
    }
    const { streams } = part.configuration;
    if (streamIndex >= streams) {
      throw new RperfError("peer-protocol", `stream_idx must be below ${streams}, not ${streamIndex}`);
    }
    part.group.finish(streamIndex, sent);
  }

  /** Where the end is known, nothing of the test outlives it for long, whatever it waits for. */
  #planEnd(): void {
    const longest = (secondsOf: (part: Part) => number | null) =>
      Math.max(...this.#parts.map((part) => secondsOf(part) ?? Infinity));
    const plannedSeconds = longest(({ configuration }) => plannedSecondsOf(configuration));
    if (plannedSeconds === Infinity) return;
    const resumeSeconds = longest(({ grant }) => grant.resumeTimeoutSeconds ?? MOST_DRAIN_SECONDS);
    const overdueMs = (plannedSeconds + resumeSeconds) * 1000 + OVERDUE_MS;
    this.#cancelOverdue = runAfter(overdueMs, () => this.#stopStreams("its time was over"));
  }

  #streamOver({ extensions, role }: Configuration, streamIndex: number, end: StreamEnd): void {
    const { socket, report } = end;
    const failure = end.failure ?? this.#stopFailure;
    if (failure !== null) {
      const message = `stream ${streamIndex}: ${failure.message}`;
      this.#context.emit({ type: "warning", client: this.#client.name, message });
    }
    const kind = failure === null ? "done" : "failed";
    // Only a peer of ours knows what to do with more than the two facts of the original.
    const isOurs = extensions !== null;
    this.#tell({
      kind,
      streamIndex,
      role: isOurs ? role : null,
      socket: isOurs ? socket : null,
      message: isOurs ? (failure?.message ?? null) : null,
      totals: (isOurs ? report?.totals : null) ?? NO_TOTALS,
      sent: (isOurs ? report?.sent : null) ?? null,
    });
    if (!this.#parts.every((part) => part.group.isOver)) return;
    this.#streamsOver();
  }

  #streamsOver(): void {
    this.#enter(nextPhase(this.#phase, "streams-over"));
    if (this.#goodbye !== null) this.#finish(this.#goodbye);
    else if (this.#link === null) this.#keep();
  }

  /** The client has what it wants, or wants no more: running streams tell their last figures before the close. */
  #end(): void {
    this.#goodbye ??= this.#phase === "finished" ? "the test ended" : "the client ended the test early";
    if (this.#phase === "running") this.#stopStreams(null);
    else this.#finish(this.#goodbye);
  }

  /** `why`: what makes their figures incomplete; null = the client wants it so. */
  #stopStreams(why: string | null): void {
    if (this.#isOver || this.#phase !== "running") return;
    if (why !== null) this.#stopFailure = { code: "stopped", message: `the server stopped it: ${why}` };
    for (const { group } of this.#parts) group.stop();
    this.#setDeadline(STOP_MS, () => this.#finish(this.#goodbye ?? "its streams did not stop"));
  }

  /** Whether its client may still want to know how the test went. */
  #mayResume(how: LinkEnd): boolean {
    if (this.#goodbye !== null || resumedPhase(this.#phase) === null) return false;
    const isGranted = this.#parts.every(({ grant }) => grant.resumeTimeoutSeconds !== null);
    // A client that closes in good order has ended, and its system has closed for it.
    return isGranted && how !== "closed";
  }

  /** Holds the figures for the client, and nothing else. */
  #keep(): void {
    this.#cancelDeadlines();
    this.#disposeStreams();
    this.#context.release(this);
    this.#context.registry.keep(this);
  }

  #finish(message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelDeadlines();
    this.#disposeStreams();
    this.#context.registry.remove(this);
    const link = this.#link;
    this.#link = null;
    link?.close();
    if (!this.#isRefused) {
      this.#context.emit({ type: "client-ended", client: this.#client.name, message: this.#goodbye ?? message });
    }
    this.#context.release(this);
    this.#context.onTestOver(this);
  }

  /** What a resumed client must not miss is numbered, and kept until it has it. */
  #tell(message: ServerMessage): void {
    if (!this.#parts.some(({ grant }) => grant.resumeTimeoutSeconds !== null)) return this.#send(message);
    const encoded = this.#log.append(message);
    this.#link?.send(encoded);
  }

  #send(message: ServerMessage): void {
    this.#link?.send(encodeServerMessage(message));
  }

  #enter(phase: ServerPhase): void {
    this.#phase = phase;
    this.#armDeadline();
  }

  #armDeadline(): void {
    this.#cancelDeadline();
    const phase = this.#phase;
    const seconds = phaseDeadlineSeconds(phase);
    if (seconds === null) return;
    this.#setDeadline(seconds * 1000, () => this.#expire(phase));
  }

  /** A client that says nothing behind the end may have lost its connection without this side knowing. */
  #expire(phase: ServerPhase): void {
    const link = this.#link;
    if (phase !== "finished" || link === null || !this.#mayResume("lost"))
      return this.refuse(phaseDeadlineReason(phase));
    this.#link = null;
    link.close();
    this.#keep();
  }

  #setDeadline(delayMs: number, expire: () => void): void {
    this.#cancelDeadline();
    this.#deadline = setTimeout(expire, delayMs);
  }

  #cancelDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #cancelDeadlines(): void {
    this.#cancelDeadline();
    this.#cancelOverdue();
  }

  #disposeStreams(): void {
    for (const { group } of this.#parts) group.dispose();
    this.#context.leaveUdpDoor(this);
  }
}

/** Null where a client has not been told that it may resume, or has nothing to. */
function resumedPhase(phase: ServerPhase): ResumedPhase | null {
  return phase === "ready" || phase === "running" || phase === "finished" ? phase : null;
}

/** The interface belongs to such an address, and sockets do not tell it. */
function refuseLinkLocal(address: string): void {
  if (!isLinkLocal(address)) return;
  const message = "no reverse test over a link-local address: sockets do not tell the interface it belongs to";
  throw new RperfError("peer-protocol", message);
}

import { nextPhase, NO_BEGIN, phaseDeadlineReason, type ServerPhase } from "../control/phases.ts";
import { messageOf, RperfError } from "../errors.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import type { ClientMessage, Configuration, ResumedPhase, ServerMessage, TestId } from "../protocol/messages.ts";
import type { Handed } from "../streams/spec.ts";
import { type Admitted, Admission } from "./admission.ts";
import type { SessionContext } from "./context.ts";
import type { Guarded } from "./guard.ts";
import { answerOf, type Grant, grantOf, rateOf } from "./grant.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { ClientLink, LinkEnd, TestClient } from "./test-client.ts";
import { TestDeadlines } from "./test-deadlines.ts";
import { TestLimits } from "./test-limits.ts";
import { TestLog } from "./test-log.ts";
import { TestParts } from "./test-parts.ts";
import type { RegisteredTest } from "./test-registry.ts";

/** A client checks what the server proves before it proves anything itself. */
const NO_ANSWER = "the client left without a proof: its key may be another";

/** The messages that a test takes. */
export type TestMessage = Extract<
  ClientMessage,
  { kind: "configuration" | "begin" | "sent" | "ack" | "proof" | "end" }
>;

/**
 * One client's test, from its first configuration until nobody wants anything of it any more: where it stands, and who hears
 * of it. What it was let in with, its streams, and how long it waits, have classes of their own.
 */
export class ServerTest implements RegisteredTest {
  readonly #context: SessionContext;
  readonly #client: TestClient;
  readonly #guarded: Guarded;
  readonly #log = new TestLog();
  readonly #admission: Admission;
  readonly #parts: TestParts;
  readonly #deadlines: TestDeadlines;
  #limits: TestLimits | null = null;
  #link: ClientLink | null;
  #phase: ServerPhase = "configuring";
  #isOver = false;
  #silence: SilenceWatch | null = null;
  #goodbye: string | null = null;
  #isRefused = false;

  constructor(context: SessionContext, client: TestClient, link: ClientLink) {
    this.#context = context;
    this.#client = client;
    this.#link = link;
    this.#guarded = context.guard.of(client.name, this);
    this.#deadlines = new TestDeadlines(this.#guarded);
    this.#admission = new Admission(context.gate, client, {
      tell: (message) => this.#send(message),
      isCounted: () => this.#link?.isCounted(),
    });
    this.#parts = new TestParts(context, client, this.#guarded, {
      tell: (message) => this.#tell(message),
      onOver: () => this.#streamsOver(),
    });
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress;
  }

  get keptBytes(): number {
    return this.#log.bytes + this.#parts.keptBytes;
  }

  get isFinished(): boolean {
    return this.#phase === "finished";
  }

  /** Whether it goes on without its client. */
  get isDetached(): boolean {
    return !this.#isOver && this.#link === null && this.#phase !== "finished";
  }

  /** Data connections that its client may be about to open to the control port. */
  get awaitedConnections(): number {
    return this.#phase === "running" || this.#phase === "finished" ? 0 : this.#parts.awaitedConnections;
  }

  /** Whether its streams run. */
  get isRunning(): boolean {
    return !this.#isOver && this.#phase === "running";
  }

  /** Whether nothing has been promised to its client yet. */
  get isOutside(): boolean {
    return !this.#admission.isInside;
  }

  /** Whether the client is asked, or waits, for being let in: then what it says is no message of a test yet. */
  get isBeingAdmitted(): boolean {
    return this.#phase === "admission";
  }

  /**
   * Serves one message, `body` of the frame it came in; the next is to wait for the promise, if there is one. Throws or
   * rejects with RperfError.
   */
  handle(message: TestMessage, body: Uint8Array): Promise<void> | null {
    // Behind an end that came while streams were being made ready.
    if (this.#isOver) return null;
    switch (message.kind) {
      case "configuration":
        return this.#configure(message, body);
      case "begin":
        this.#begin();
        return null;
      case "sent":
        this.#sent(message);
        return null;
      case "ack":
        this.#log.acknowledge(message.have);
        return null;
      case "proof":
        if (this.#admission.prove(message)) return null;
        throw new RperfError("peer-protocol", `a proof has no place while ${this.#phase}`);
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
    // Who fetches results needs nothing else, however late and often it comes.
    if (phase === "finished") this.#letGo();
    if (this.#admission.hasPlace) link.isCounted();
    this.#deadlines.returned();
    // Out of a long outage it has a moment to begin, or to fetch; the begin has a deadline of its own besides.
    if (phase !== "running") this.#deadlines.awaitPhase(phase, () => this.#expire(phase));
    const { first, messages } = this.#log.missing(have);
    link.send(encodeServerMessage({ kind: "resumed", phase, first }));
    for (const message of messages) link.send(message);
    this.#context.emit({ type: "client-resumed", client: this.#client.name });
    this.#silence?.heard();
    return true;
  }

  /** A connection of this test's client is over. */
  linkEnded(link: ClientLink, how: LinkEnd, message: string): void {
    if (this.#isOver || link !== this.#link) return;
    this.#link = null;
    if (!this.#mayResume(how)) return this.#finish(this.#admission.isProofAwaited ? NO_ANSWER : message);
    this.#context.emit({ type: "client-lost", client: this.#client.name, message });
    if (how === "reset") this.#silence?.heard();
    if (this.#phase === "finished") this.#keep();
    else if (how === "reset") this.#deadlines.awaitReturn("reset", () => this.#orphan(message));
    else if (this.#phase === "running") this.#deadlines.awaitReturn("lost", () => this.#orphan(message));
  }

  /** Its client is gone, as it seems: what there is by now is kept, in case it is not. */
  #orphan(message: string): void {
    if (this.#phase !== "running") return this.#finish(message);
    this.#admission.release();
    this.#stopStreams("its client had gone");
  }

  /** Tells the client why, and ends everything at once. */
  refuse(message: string): void {
    if (this.#isOver) return;
    if (this.#goodbye === null) {
      this.#goodbye = message;
      this.#isRefused = true;
      this.#context.emit({ type: "client-refused", client: this.#client.name, message });
      this.#guarded.step(() => this.#link?.send(encodeServerMessage({ kind: "error", message })));
    }
    this.#finish(message);
  }

  take(testId: TestId, streamIndex: number, family: Handed["family"]): ((handed: Handed) => void) | null {
    return this.#parts.taker(testId, streamIndex, family);
  }

  expired(): void {
    this.#guarded.run(() => this.#finish("its results were not asked for"));
  }

  async #configure(configuration: Configuration, body: Uint8Array): Promise<void> {
    this.#enter(nextPhase(this.#phase, "configuration"));
    if (this.#parts.has(configuration.role)) {
      throw new RperfError("peer-protocol", `a second configuration with role ${configuration.role}`);
    }
    const admitted = await this.#admission.enter(configuration, body);
    if (this.#isOver) return;
    this.#enter(nextPhase(this.#phase, "admitted"));
    await this.#prepare(admitted);
    if (!this.#isOver) this.#enter(nextPhase(this.#phase, "prepared"));
  }

  /** A number that another program has of UDP cannot be had: then the test goes over other ports. */
  #grant(configuration: Configuration): Grant {
    const { name: client } = this.#client;
    const grant = grantOf(configuration, this.#client);
    if (!grant.singlePort || configuration.family === "tcp") return grant;
    try {
      this.#context.enterUdpDoor(this);
      return grant;
    } catch (error) {
      this.#context.emit({ type: "warning", client, message: `no test over the control port: ${messageOf(error)}` });
      return { ...grant, singlePort: false };
    }
  }

  async #prepare({ configuration, claim }: Admitted): Promise<void> {
    const { streams, role, family } = configuration;
    const { pool, cpus, registry, emit } = this.#context;
    const client = this.#client.name;
    this.#limits ??= new TestLimits(claim, (why) => this.#guarded.run(() => this.#overLimit(why)));
    const watch = this.#limits.watch(configuration);
    const grant = this.#grant(configuration);
    this.#admission.checkTargets(configuration, grant);
    const request = { streams, cpus: cpus.size, streamBytesPerSecond: rateOf(configuration) };
    const workers = await this.#admission.hold(pool.acquire(request, this.#admission.signal));
    const ports = await this.#parts.prepare(configuration, grant, workers, watch);
    if (this.#isOver) return;
    if (grant.singlePort && !registry.addData(this, configuration.testId)) {
      throw new RperfError("peer-protocol", "test_id is that of other streams");
    }
    if (grant.resumeTimeoutSeconds !== null) registry.add(this, this.#admission.token);
    emit({
      type: "test-configured",
      client,
      family,
      direction: role === "download" ? "forward" : "reverse",
      streams,
    });
    const extensions = answerOf(configuration, grant, { ports, token: this.#admission.toldToken });
    this.#deadlines.awaitBegin(() => this.refuse(NO_BEGIN));
    if (role === "upload") this.#send({ kind: "connect-ready", extensions });
    else this.#send({ kind: "connect", streamPorts: ports, extensions });
  }

  #begin(): void {
    this.#enter(nextPhase(this.#phase, "begin"));
    this.#context.emit({ type: "test-started", client: this.#client.name });
    this.#planEnd();
    if (this.#parts.has("upload")) this.#watchSilence();
    this.#parts.start();
  }

  /** Whoever is not there any more is not to be sent to; the time of the senders goes on. */
  #watchSilence(): void {
    const warn = (message: string) => this.#context.emit({ type: "warning", client: this.#client.name, message });
    const events = {
      // Where the system does not tell, a connection that is not lost is one of a client that is there.
      silentSeconds: () => (this.#link === null ? null : (this.#link.silentSeconds ?? 0)),
      onSilent: () => {
        this.#parts.hold(true);
        warn("its client is silent: nothing is sent to it until it is heard of again");
      },
      onHeard: (heldSeconds: number) => {
        this.#parts.hold(false);
        warn(`its client is there again: its streams were held back for ${heldSeconds.toFixed(1)} s`);
      },
    };
    this.#silence = new SilenceWatch(events, this.#guarded);
  }

  /** There is nothing to hold any more. */
  #stopWatching(): void {
    this.#silence?.stop();
    this.#silence = null;
  }

  #sent(message: Extract<TestMessage, { kind: "sent" }>): void {
    const hasStarted = this.#phase === "running" || this.#phase === "finished";
    if (hasStarted && this.#parts.finish(message)) return;
    throw new RperfError("peer-protocol", `a sent has no place while ${this.#phase}, or without a receiver`);
  }

  /** Where the end is known, nothing of the test outlives it for long, whatever it waits for. */
  #planEnd(): void {
    const { plannedSeconds, drainSeconds } = this.#parts;
    this.#limits?.begin();
    if (plannedSeconds === null) return;
    this.#deadlines.planEnd(plannedSeconds + drainSeconds, () => this.#stopStreams("its time was over"));
  }

  /** Data that come before the begin count too. */
  #overLimit(why: string): void {
    if (this.#phase === "running") this.#stopStreams(why);
    else if (this.#phase !== "finished") this.refuse(why);
  }

  #streamsOver(): void {
    this.#stopWatching();
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
    if (this.#isOver || this.#phase !== "running" || this.#parts.areStopped) return;
    this.#parts.stop(why);
    this.#deadlines.awaitFigures(() => this.#finish(this.#goodbye ?? "its streams did not stop"));
  }

  /** Whether its client may still want to know how the test went. */
  #mayResume(how: LinkEnd): boolean {
    if (this.#goodbye !== null || resumedPhase(this.#phase) === null) return false;
    // A client that closes in good order has ended, and its system has closed for it.
    return this.#parts.areResumable && how !== "closed";
  }

  /** Holds the figures for the client, and nothing else. */
  #keep(): void {
    this.#cancelDeadlines();
    this.#letGo();
    this.#context.registry.keep(this);
  }

  /** Its place, and all of the system's: what is left is memory. */
  #letGo(): void {
    this.#disposeStreams();
    this.#admission.release();
  }

  #finish(message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const link = this.#link;
    this.#link = null;
    const steps = [
      () => this.#cancelDeadlines(),
      () => this.#disposeStreams(),
      () => this.#context.registry.remove(this),
      () => this.#admission.leave(message),
      () => link?.close(),
      () => this.#tellEnd(message),
      () => this.#admission.release(),
      () => this.#context.onTestOver(this),
    ];
    // Nothing is left behind because something else went wrong.
    for (const step of steps) this.#guarded.step(step);
  }

  #tellEnd(message: string): void {
    if (this.#isRefused) return;
    this.#context.emit({ type: "client-ended", client: this.#client.name, message: this.#goodbye ?? message });
  }

  /** What a resumed client must not miss is numbered, and kept until it has it. */
  #tell(message: ServerMessage): void {
    if (!this.#parts.isAnyResumable) return this.#send(message);
    const encoded = this.#log.append(message);
    this.#link?.send(encoded);
  }

  #send(message: ServerMessage): void {
    this.#link?.send(encodeServerMessage(message));
  }

  #enter(phase: ServerPhase): void {
    this.#phase = phase;
    this.#deadlines.awaitNext(phase, () => this.#expire(phase));
    if (phase === "running") this.#context.trimIdle();
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

  #cancelDeadlines(): void {
    this.#deadlines.stop();
    this.#stopWatching();
    this.#limits?.stop();
  }

  #disposeStreams(): void {
    if (this.#limits?.areCounted === true) void this.#admission.holdUntil(this.#parts.settle());
    else this.#parts.dispose();
    this.#context.leaveUdpDoor(this);
  }
}

/** Null where a client has not been told that it may resume, or has nothing to. */
function resumedPhase(phase: ServerPhase): ResumedPhase | null {
  return phase === "ready" || phase === "running" || phase === "finished" ? phase : null;
}

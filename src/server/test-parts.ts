import { RperfError } from "../errors.ts";
import type { ClientMessage, Configuration, ServerMessage, TestId } from "../protocol/messages.ts";
import { isSameTest } from "../protocol/tcp-data.ts";
import { NO_TOTALS } from "../results/types.ts";
import type { Handed } from "../streams/spec.ts";
import { type StreamEnd, type StreamFailure, StreamGroup } from "../workers/stream-group.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import type { SessionContext } from "./context.ts";
import { drainSecondsOf, type Grant, plannedSecondsOf } from "./grant.ts";
import type { Guarded } from "./guard.ts";
import type { TestClient } from "./test-client.ts";
import type { LimitWatcher } from "./test-limits.ts";
import { specsOf } from "./test-streams.ts";

/** How long streams may take to tell what they moved, to nobody but the limits. */
const SETTLE_MS = 2000;
const SETTLE_POLL_MS = 5;
const KEPT_STREAM_BYTES = 2048;

/** The streams of one configuration. */
interface Part {
  readonly configuration: Configuration;
  readonly grant: Grant;
  readonly group: StreamGroup;
  /** Streams that have been handed their connection. */
  readonly taken: Set<number>;
  /** Streams whose `sent` has come: the first stands. */
  readonly finished: Set<number>;
}

export interface PartHooks {
  /** The client is to hear of its streams. */
  tell(message: ServerMessage): void;
  /** Every stream is over, and its end has been told. */
  onOver(): void;
}

/** The streams of one test on this side: those of one configuration, or of one for each direction. */
export class TestParts {
  readonly #context: SessionContext;
  readonly #client: TestClient;
  readonly #guarded: Guarded;
  readonly #hooks: PartHooks;
  readonly #parts: Part[] = [];
  /** What streams that end from now on have failed by; undefined = they have not been stopped. */
  #stopFailure: StreamFailure | undefined;
  #isDisposed = false;
  #settled: Promise<void> | null = null;

  constructor(context: SessionContext, client: TestClient, guarded: Guarded, hooks: PartHooks) {
    this.#context = context;
    this.#client = client;
    this.#guarded = guarded;
    this.#hooks = hooks;
  }

  /** About what is left of its streams when they are over, as measured (Bun 1.4.5). */
  get keptBytes(): number {
    return this.#parts.reduce((sum, { configuration }) => sum + configuration.streams * KEPT_STREAM_BYTES, 0);
  }

  /** Data connections that the client has not opened to the control port yet. */
  get awaitedConnections(): number {
    const streams = this.#parts.map(({ configuration, grant, taken }) =>
      grant.singlePort && configuration.family === "tcp" ? configuration.streams - taken.size : 0,
    );
    return streams.reduce((sum, count) => sum + count, 0);
  }

  /** Whether the client may come back to each of them. */
  get areResumable(): boolean {
    return this.#parts.every(({ grant }) => grant.resumeTimeoutSeconds !== null);
  }

  /** Whether the client may come back to one of them. */
  get isAnyResumable(): boolean {
    return this.#parts.some(({ grant }) => grant.resumeTimeoutSeconds !== null);
  }

  /** How long they are to take; null where the client does not tell of each. */
  get plannedSeconds(): number | null {
    const seconds = this.#longest(({ configuration }) => plannedSecondsOf(configuration) ?? Infinity);
    return seconds === Infinity ? null : seconds;
  }

  /** How long behind that something of them may still come. */
  get drainSeconds(): number {
    return this.#longest(({ grant }) => drainSecondsOf(grant));
  }

  /** Whether they are to end early. */
  get areStopped(): boolean {
    return this.#stopFailure !== undefined;
  }

  has(role: Configuration["role"]): boolean {
    return this.#of(role) !== undefined;
  }

  /**
   * Makes the streams of a configuration ready on `workers`, and resolves with their ports as the client is to know them:
   * with none where all was disposed of before. Rejects with the first failure.
   */
  async prepare(
    configuration: Configuration,
    grant: Grant,
    workers: readonly StreamWorker[],
    watch: LimitWatcher,
  ): Promise<readonly number[]> {
    const { emit } = this.#context;
    const { name: client } = this.#client;
    const group: StreamGroup = new StreamGroup(workers, {
      onInterval: (streamIndex, interval) => {
        if (!this.#isDisposed) this.#hooks.tell({ kind: "result", streamIndex, interval });
        watch(streamIndex, interval);
      },
      onWarning: (message) => this.#isDisposed || emit({ type: "warning", client, message }),
      onDebug: (message) => emit({ type: "debug", client, message }),
      onOver: (streamIndex, end) => this.#streamOver(configuration, streamIndex, end),
      onThrown: (error) => this.#guarded.caught(error),
    });
    if (this.#isDisposed) {
      group.dispose();
      return [];
    }
    this.#parts.push({ configuration, grant, group, taken: new Set(), finished: new Set() });
    await group.prepare(specsOf(configuration, grant, this.#client, this.#context));
    return grant.singlePort ? group.ports.map(() => this.#context.controlPort()) : group.ports;
  }

  /** The way to hand a stream what came to the control port; null when it does not want it. */
  taker(testId: TestId, streamIndex: number, family: Handed["family"]): ((handed: Handed) => void) | null {
    const part = this.#parts.find(({ configuration }) => isSameTest(configuration.testId, testId));
    if (part === undefined || !part.grant.singlePort || part.configuration.family !== family) return null;
    // What comes later for the same stream is another's, or a hello that was said again: its own socket answers those.
    if (!part.group.isLive(streamIndex) || part.taken.has(streamIndex)) return null;
    const { group, taken } = part;
    return (handed) =>
      this.#guarded.run(() => {
        taken.add(streamIndex);
        group.take(streamIndex, handed);
      });
  }

  start(): void {
    for (const { group } of this.#parts) group.start();
  }

  /** Senders that are held send nothing; their time goes on. */
  hold(isHeld: boolean): void {
    for (const { group } of this.#parts) group.hold(isHeld);
  }

  /**
   * The client's sender of a stream is done; false where there is no receiver. Of what it tells again, the first stands.
   * Throws `peer-protocol`.
   */
  finish({ streamIndex, sent }: Extract<ClientMessage, { kind: "sent" }>): boolean {
    const part = this.#of("download");
    if (part === undefined) return false;
    const { streams } = part.configuration;
    if (streamIndex >= streams) {
      throw new RperfError("peer-protocol", `stream_idx must be below ${streams}, not ${streamIndex}`);
    }
    if (!part.finished.has(streamIndex)) part.group.finish(streamIndex, sent);
    part.finished.add(streamIndex);
    return true;
  }

  /** They tell their last figures, and end. `why`: what makes those incomplete; null = the client wants it so. */
  stop(why: string | null): void {
    this.#stopFailure = why === null ? null : { code: "stopped", message: `the server stopped it: ${why}` };
    for (const { group } of this.#parts) group.stop();
  }

  /** Ends all at once, also what is still being made ready; nothing is told any more. */
  dispose(): void {
    this.#isDisposed = true;
    for (const { group } of this.#parts) group.dispose();
  }

  /** The same, but what was moved since their last figures is counted first: the limits are watched until it resolves. */
  settle(): Promise<void> {
    this.#isDisposed = true;
    this.#settled ??= this.#settle();
    return this.#settled;
  }

  async #settle(): Promise<void> {
    for (const { group } of this.#parts) group.stop();
    const givenUpAtMs = performance.now() + SETTLE_MS;
    while (this.#areLive && performance.now() < givenUpAtMs) await Bun.sleep(SETTLE_POLL_MS);
    this.dispose();
  }

  get #areLive(): boolean {
    return this.#parts.some(({ group }) => group.ports.some((_, streamIndex) => group.isLive(streamIndex)));
  }

  #of(role: Configuration["role"]): Part | undefined {
    return this.#parts.find(({ configuration }) => configuration.role === role);
  }

  #longest(secondsOf: (part: Part) => number): number {
    return Math.max(...this.#parts.map(secondsOf));
  }

  #streamOver({ extensions, role }: Configuration, streamIndex: number, end: StreamEnd): void {
    if (this.#isDisposed) return;
    const { socket, report } = end;
    const failure = end.failure ?? this.#stopFailure ?? null;
    if (failure !== null) {
      const message = `stream ${streamIndex}: ${failure.message}`;
      this.#context.emit({ type: "warning", client: this.#client.name, message });
    }
    const kind = failure === null ? "done" : "failed";
    // Only a peer of ours knows what to do with more than the two facts of the original.
    const isOurs = extensions !== null;
    this.#hooks.tell({
      kind,
      streamIndex,
      role: isOurs ? role : null,
      socket: isOurs ? socket : null,
      message: isOurs ? (failure?.message ?? null) : null,
      totals: (isOurs ? report?.totals : null) ?? NO_TOTALS,
      sent: (isOurs ? report?.sent : null) ?? null,
    });
    if (this.#parts.every(({ group }) => group.isOver)) this.#hooks.onOver();
  }
}

import { RperfError } from "../errors.ts";
import { isLinkLocal } from "../protocol/address.ts";
import type { Configuration } from "../protocol/messages.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import type { Claim } from "./class-books.ts";
import type { Applicant, Gate, Lease, Proof } from "./gate.ts";
import { type Grant, newToken } from "./grant.ts";
import type { TestClient } from "./test-client.ts";

/** Whoever waits for a proof gets it, or hears that none will come. */
interface ProofWaiter {
  resolve(proof: Proof): void;
  reject(error: RperfError): void;
}

/** A configuration that was let in. */
export interface Admitted {
  /** By the names that both sides know. */
  readonly configuration: Configuration;
  /** The same for both directions of a test. */
  readonly claim: Claim;
}

/** One test's way in: what it asks the gate for and is asked by it, what it got there, and its secrets. */
export class Admission {
  readonly #gate: Gate;
  readonly #client: TestClient;
  readonly #voice: Pick<Applicant, "tell" | "isCounted">;
  readonly #gone = new AbortController();
  #lease: Lease | null = null;
  #proofWaiter: ProofWaiter | null = null;
  #token = newToken();
  readonly #workers: StreamWorker[] = [];
  #holds = 0;
  #isReleased = false;

  constructor(gate: Gate, client: TestClient, voice: Pick<Applicant, "tell" | "isCounted">) {
    this.#gate = gate;
    this.#client = client;
    this.#voice = voice;
  }

  /** Whether something has been promised to the client. */
  get isInside(): boolean {
    return this.#lease !== null;
  }

  /** False once it was given back. */
  get hasPlace(): boolean {
    return this.#lease !== null && !this.#isReleased;
  }

  get isProofAwaited(): boolean {
    return this.#proofWaiter !== null;
  }

  /** Aborted: nobody wants anything for this test any more. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** The secret by which the client comes back. */
  get token(): string {
    return this.#token;
  }

  /** Null where the client knows it without being told. */
  get toldToken(): string | null {
    return (this.#lease?.derived ?? null) === null ? this.#token : null;
  }

  /**
   * Asks for a place; `body` is the configuration as it came. Rejects with `peer-protocol`, whose message is for the client.
   * A place that comes behind `release` is given back at once.
   */
  async enter(configuration: Configuration, body: Uint8Array): Promise<Admitted> {
    const earlier = this.#lease;
    const lease = await this.#gate.pass(this.#applicant(configuration, body, earlier));
    this.#lease = lease;
    if (this.#isReleased) this.#giveBack();
    const { claim, derived } = lease;
    if (derived === null) return { configuration, claim };
    // With a key both sides know the names of the test without telling them; the first configuration's token is its own.
    if (earlier === null) this.#token = derived.resumeToken;
    return { configuration: { ...configuration, testId: derived.testId }, claim };
  }

  /** Throws `peer-protocol` where this side would send to what it cannot reach, or to what is no receiver's. */
  checkTargets(configuration: Configuration, { clientDials }: Grant): void {
    if (configuration.role === "download") return;
    if (!clientDials || configuration.family === "udp") refuseLinkLocal(this.#client.remoteAddress);
    if (!clientDials) this.#gate.checkTargets(configuration.streamPorts);
  }

  /** The client gives a proof; false when none is waited for. */
  prove(proof: Proof): boolean {
    const waiter = this.#proofWaiter;
    if (waiter === null) return false;
    this.#proofWaiter = null;
    waiter.resolve(proof);
    return true;
  }

  /** The place is not free before the Workers are there, or given up, however soon the client goes. */
  async hold(acquiring: Promise<readonly StreamWorker[]>): Promise<readonly StreamWorker[]> {
    const holding = acquiring.then((workers) => void this.#workers.push(...workers));
    await this.holdUntil(holding);
    return acquiring;
  }

  /** Nor is it before `work` is done. */
  async holdUntil(work: Promise<void>): Promise<void> {
    this.#holds++;
    try {
      await work;
    } finally {
      this.#holds--;
      if (this.#isReleased) this.release();
    }
  }

  /** Gives the place back, as soon as nothing holds it; more than once is no error. */
  release(): void {
    this.#isReleased = true;
    if (this.#holds === 0) this.#giveBack();
  }

  /** Nobody waits for an answer any more, of either side. */
  leave(message: string): void {
    this.#gone.abort();
    this.#proofWaiter?.reject(new RperfError("stopped", message));
    this.#proofWaiter = null;
  }

  /** What the streams have is theirs until they are gone. */
  #giveBack(): void {
    this.#lease?.release(Promise.all(this.#workers.map(({ gone }) => gone)));
  }

  #applicant(configuration: Configuration, body: Uint8Array, earlier: Lease | null): Applicant {
    return {
      remoteAddress: this.#client.remoteAddress,
      configuration,
      body,
      keyingMaterial: this.#client.keyingMaterial,
      earlier,
      signal: this.signal,
      ...this.#voice,
      proof: () => {
        const { promise, resolve, reject } = Promise.withResolvers<Proof>();
        this.#proofWaiter = { resolve, reject };
        return promise;
      },
    };
  }
}

/** The interface belongs to such an address, and sockets do not tell it. */
function refuseLinkLocal(address: string): void {
  if (!isLinkLocal(address)) return;
  const message = "no reverse test over a link-local address: sockets do not tell the interface it belongs to";
  throw new RperfError("peer-protocol", message);
}

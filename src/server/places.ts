import { monotonicSeconds } from "../clock.ts";
import { RperfError } from "../errors.ts";
import type { Configuration } from "../protocol/messages.ts";
import { type DescriptorBudget, descriptorsOf } from "./descriptor-budget.ts";
import type { Applicant } from "./gate.ts";
import { plannedSecondsOf } from "./grant.ts";
import type { Guarded } from "./guard.ts";
import { bytesOf, type MemoryBudget } from "./memory-budget.ts";
import { expiryOf, type Guest } from "./occupancy.ts";
import { type RoomLimits, WaitingRoom } from "./waiting-room.ts";

/** A Worker that is ended has its descriptors for a moment longer. */
const LET_GO_MS = 500;
/** What has changed in the queue is told of together, however fast clients come and go. */
const NEWS_EVERY_MS = 100;

const NO_DESCRIPTOR = "the server is full, and has no descriptor left for a client that waits (RLIMIT_NOFILE)";

/** One client's place, with the descriptors and the memory of its streams. */
export interface Place {
  /** Takes in the other direction of the same test. Throws `peer-protocol` where there is no room for its streams. */
  extend(configuration: Configuration): void;
  /** Gives it back, and behind `gone` what its streams held; more than once is no error. */
  release(gone: Promise<unknown>): void;
}

/** What the places have to do with besides those who want them. */
export interface Surroundings {
  readonly descriptors: DescriptorBudget;
  readonly memory: MemoryBudget;
  /** How many CPUs streams are dealt in turn; 0 = they run anywhere. */
  readonly cpus: number;
  /** Catches what a timer of theirs throws. */
  readonly guarded: Guarded;
}

/** What an applicant that nobody waits for any more ends with. */
export function goneError(): RperfError {
  return new RperfError("stopped", "the client has gone");
}

interface Waiter {
  readonly applicant: Applicant;
  /** Throws `peer-protocol` where it may not come in any more. */
  renew(): void;
  resolve(): void;
  reject(error: RperfError): void;
}

/** Gives each client its place, at once or when its turn comes. */
export class Places {
  readonly #room: WaitingRoom;
  readonly #surroundings: Surroundings;
  readonly #guarded: Guarded;
  readonly #waiters = new Map<Guest, Waiter>();
  #newsTimer: Timer | null = null;
  #newsAtMs = -Infinity;

  constructor(limits: RoomLimits, surroundings: Surroundings) {
    this.#room = new WaitingRoom(limits);
    this.#surroundings = surroundings;
    this.#guarded = surroundings.guarded;
  }

  set limits(limits: RoomLimits) {
    for (const [guest, waiter] of this.#waiters) this.#renew(guest, waiter);
    this.#letIn(this.#room.change(limits, monotonicSeconds()));
  }

  /**
   * A place, with the descriptors and the memory of its streams. Rejects with `peer-protocol` whose message says why there
   * is none, and with `stopped` when the applicant has gone. While it waits `renew` is called whenever there are other
   * limits, also of `claim`: it throws `peer-protocol` where the applicant may not come in any more.
   */
  async take(applicant: Applicant, claim: Pick<Guest, "limits" | "place">, renew: () => void): Promise<Place> {
    const { configuration } = applicant;
    const waitSeconds = configuration.extensions?.waitSeconds ?? 0;
    const guest = { place: claim.place, limits: claim.limits, plannedSeconds: plannedSecondsOf(configuration) };
    const renewGuest = (): void => {
      renew();
      guest.limits = claim.limits;
    };
    const verdict = this.#room.enter(guest, waitSeconds > 0, monotonicSeconds());
    if (verdict.type === "refused") throw new RperfError("peer-protocol", verdict.why);
    applicant.isCounted();
    if (verdict.type === "waiting") await this.#wait(guest, { applicant, renew: renewGuest }, waitSeconds);
    const place = new TakenPlace(this.#surroundings, {
      prolong: (plannedSeconds) => this.#room.prolong(guest, plannedSeconds, monotonicSeconds()),
      leave: () => this.#leave(guest),
    });
    try {
      place.open(configuration);
    } catch (error) {
      place.release(Promise.resolve());
      throw error;
    }
    return place;
  }

  async #wait(guest: Guest, who: Pick<Waiter, "applicant" | "renew">, waitSeconds: number): Promise<void> {
    const { descriptors } = this.#surroundings;
    if (!descriptors.beginWait()) {
      this.#leave(guest);
      throw new RperfError("peer-protocol", NO_DESCRIPTOR);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { signal } = who.applicant;
    const gone = (): void => this.#giveUp(guest, goneError());
    const timer = setTimeout(() => this.#guarded.run(() => this.#expire(guest, waitSeconds)), waitSeconds * 1000);
    this.#waiters.set(guest, { ...who, resolve, reject });
    signal.addEventListener("abort", gone);
    try {
      if (signal.aborted) gone();
      this.#tellNews();
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", gone);
      descriptors.endWait();
    }
  }

  #renew(guest: Guest, waiter: Waiter): void {
    try {
      waiter.renew();
    } catch (error) {
      if (!(error instanceof RperfError)) throw error;
      this.#giveUp(guest, error);
    }
  }

  #expire(guest: Guest, waitSeconds: number): void {
    const obstacle = this.#room.obstacle(guest) ?? { of: "server" };
    this.#giveUp(guest, new RperfError("peer-protocol", expiryOf(obstacle, waitSeconds)));
  }

  #giveUp(guest: Guest, error: RperfError): void {
    const waiter = this.#waiters.get(guest);
    if (waiter === undefined) return;
    this.#waiters.delete(guest);
    this.#leave(guest);
    waiter.reject(error);
  }

  #leave(guest: Guest): void {
    this.#letIn(this.#room.leave(guest, monotonicSeconds()));
  }

  #letIn(guests: readonly Guest[]): void {
    for (const guest of guests) {
      this.#waiters.get(guest)?.resolve();
      this.#waiters.delete(guest);
    }
    this.#tellNews();
  }

  #tellNews(): void {
    const leftMs = this.#newsAtMs + NEWS_EVERY_MS - performance.now();
    if (leftMs > 0) return this.#tellNewsAfter(leftMs);
    this.#newsAtMs = performance.now();
    const { news, nextSeconds } = this.#room.news(monotonicSeconds());
    for (const { guest, place, waitSeconds } of news) {
      this.#waiters.get(guest)?.applicant.tell({ kind: "queued", place, waitSeconds });
    }
    if (nextSeconds !== null) this.#tellNewsAfter(nextSeconds * 1000);
  }

  #tellNewsAfter(delayMs: number): void {
    if (this.#newsTimer !== null) clearTimeout(this.#newsTimer);
    this.#newsTimer = setTimeout(() => {
      this.#newsTimer = null;
      this.#guarded.run(() => this.#tellNews());
    }, delayMs);
  }
}

interface PlaceEvents {
  prolong(plannedSeconds: number | null): void;
  leave(): void;
}

class TakenPlace implements Place {
  readonly #surroundings: Surroundings;
  readonly #events: PlaceEvents;
  #descriptors = 0;
  #bytes = 0;
  #isReleased = false;

  constructor(surroundings: Surroundings, events: PlaceEvents) {
    this.#surroundings = surroundings;
    this.#events = events;
  }

  /** Takes what a configuration's streams need. Throws `peer-protocol` where there is too little left; what it took stays its own. */
  open(configuration: Configuration): void {
    const { descriptors, memory, cpus } = this.#surroundings;
    const { streams, lengthBytes } = configuration;
    // The connection that tells of the streams is reckoned with each time: a client may come back over another.
    const count = 1 + descriptorsOf(configuration, cpus);
    if (!descriptors.reserve(count)) {
      const message = `the server has too few descriptors left for ${streams} streams (RLIMIT_NOFILE)`;
      throw new RperfError("peer-protocol", `${message}; try fewer, or again later`);
    }
    this.#descriptors += count;
    const bytes = bytesOf(configuration, cpus);
    if (!memory.reserve(bytes)) {
      const message = `the server has too little memory left for ${streams} streams of ${lengthBytes} B`;
      throw new RperfError("peer-protocol", `${message}; try fewer or shorter ones, or again later`);
    }
    this.#bytes += bytes;
  }

  extend(configuration: Configuration): void {
    this.open(configuration);
    this.#events.prolong(plannedSecondsOf(configuration));
  }

  release(gone: Promise<unknown>): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#events.leave();
    const { descriptors, memory } = this.#surroundings;
    const giveBack = (): void => {
      descriptors.release(this.#descriptors);
      memory.release(this.#bytes);
    };
    void gone.then(() => setTimeout(giveBack, LET_GO_MS).unref());
  }
}

import { type Guest, Occupancy, type Obstacle, refusalOf } from "./occupancy.ts";
import { endOf, forecastWaits } from "./wait-forecast.ts";

/** A guest is told of its place no more often than this. */
const NEWS_EVERY_SECONDS = 1;

/** How many places there are. */
export interface RoomLimits {
  /** 0 = any number. */
  readonly clientLimit: number;
  /** 0 = nobody waits. */
  readonly queueLimit: number;
}

export type Verdict =
  { readonly type: "inside" } | { readonly type: "waiting" } | { readonly type: "refused"; readonly why: string };

/** What a waiting guest is to be told. */
export interface News {
  readonly guest: Guest;
  /** 1 = next. */
  readonly place: number;
  /** Expected from now on, rounded up; null = not known. */
  readonly waitSeconds: number | null;
}

interface Told {
  readonly place: number;
  readonly atSeconds: number;
}

/**
 * Who has a place, and who waits for one. A place goes to the first of the waiting whom it suits: one whose class is full
 * holds up nobody behind it. One address, or network of IPv6 (`placeOf`), may have half of
 * the queue. A guest is an object: the same one must not enter twice.
 */
export class WaitingRoom {
  #limits: RoomLimits;
  readonly #occupancy = new Occupancy();
  /** With the ends of their tests; null = not known. */
  readonly #inside = new Map<Guest, number | null>();
  /** The first comes first; with what they were told last. */
  readonly #queue = new Map<Guest, Told | null>();

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  get inside(): number {
    return this.#inside.size;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Somebody comes; `mayWait`: it would wait for its place. */
  enter(guest: Guest, mayWait: boolean, nowSeconds: number): Verdict {
    const obstacle = this.obstacle(guest);
    if (obstacle === null) {
      this.#letIn(guest, nowSeconds);
      return { type: "inside" };
    }
    const noWait = this.#noWait(guest, mayWait);
    if (noWait !== null) return { type: "refused", why: `${refusalOf(obstacle)}${noWait}; try again later` };
    this.#queue.set(guest, null);
    return { type: "waiting" };
  }

  /** Why a guest is not let in now; null when it may come in. */
  obstacle(guest: Guest): Obstacle | null {
    return this.#occupancy.obstacle(guest, this.#limits.clientLimit);
  }

  /** Somebody goes, from inside or from the queue; gives those who are let in for it. */
  leave(guest: Guest, nowSeconds: number): readonly Guest[] {
    this.#queue.delete(guest);
    if (this.#inside.delete(guest)) this.#occupancy.remove(guest);
    return this.#fill(nowSeconds);
  }

  /** For those who come from now on; gives those who are let in for it. Nobody is sent away. */
  change(limits: RoomLimits, nowSeconds: number): readonly Guest[] {
    this.#limits = limits;
    return this.#fill(nowSeconds);
  }

  /** A test inside will not end before so many seconds from now; null = nobody knows. */
  prolong(guest: Guest, plannedSeconds: number | null, nowSeconds: number): void {
    const known = this.#inside.get(guest);
    if (known === undefined) return;
    const endSeconds = endOf({ ...guest, plannedSeconds }, nowSeconds);
    this.#inside.set(guest, known === null || endSeconds === null ? null : Math.max(known, endSeconds));
  }

  /**
   * What is to be told now, which then counts as told: to those who have just come, and to those whose place is another. In
   * how many seconds there is more; null = not before something happens.
   */
  news(nowSeconds: number): { readonly news: readonly News[]; readonly nextSeconds: number | null } {
    const due: { readonly guest: Guest; readonly place: number }[] = [];
    let nextSeconds: number | null = null;
    let ahead = 0;
    for (const [guest, told] of this.#queue) {
      const place = ++ahead;
      if (told?.place === place) continue;
      const leftSeconds = told === null ? 0 : told.atSeconds + NEWS_EVERY_SECONDS - nowSeconds;
      if (leftSeconds <= 0) due.push({ guest, place });
      else nextSeconds = Math.min(nextSeconds ?? leftSeconds, leftSeconds);
    }
    if (due.length === 0) return { news: [], nextSeconds };
    const { clientLimit } = this.#limits;
    const waits = forecastWaits({ inside: this.#inside, waiting: this.#queue.keys(), clientLimit }, nowSeconds);
    const news = due.map(({ guest, place }) => {
      this.#queue.set(guest, { place, atSeconds: nowSeconds });
      const waitSeconds = waits.get(guest) ?? null;
      return { guest, place, waitSeconds: waitSeconds === null ? null : Math.ceil(waitSeconds) };
    });
    return { news, nextSeconds };
  }

  /** What is said to a guest that may not wait; null when it may. */
  #noWait(guest: Guest, mayWait: boolean): string | null {
    const { queueLimit } = this.#limits;
    if (!mayWait || queueLimit === 0) return "";
    if (this.#queue.size >= queueLimit) return `, and so many wait already (${queueLimit})`;
    const share = Math.max(1, Math.floor(queueLimit / 2));
    let own = 0;
    for (const { place } of this.#queue.keys()) if (place === guest.place) own++;
    return own >= share ? `, and this address waits as often as it may (${share})` : null;
  }

  #letIn(guest: Guest, nowSeconds: number): void {
    this.#occupancy.add(guest);
    this.#inside.set(guest, endOf(guest, nowSeconds));
  }

  #fill(nowSeconds: number): readonly Guest[] {
    const letIn: Guest[] = [];
    for (const guest of this.#queue.keys()) {
      const obstacle = this.obstacle(guest);
      if (obstacle?.of === "server") break;
      if (obstacle !== null) continue;
      this.#queue.delete(guest);
      this.#letIn(guest, nowSeconds);
      letIn.push(guest);
    }
    return letIn;
  }
}

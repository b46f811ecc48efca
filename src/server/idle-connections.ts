/** A connection that has no test. */
export interface IdleConnection {
  /** Where it comes from (see `placeOf`). */
  readonly place: string;
  /** Another one takes its place: it is to be closed at once. */
  evict(): void;
}

/** Of one place: how many are too many, and its oldest. */
interface Candidate {
  readonly count: number;
  readonly oldest: number;
  readonly connection: IdleConnection | null;
}

/**
 * The connections that have no test (yet, or any more), up to a limit. When there are too many, the oldest of the place
 * with the most of them goes: whoever holds many loses its own, and somebody who has just come has time to speak.
 */
export class IdleConnections {
  readonly #limit: number;
  /** By place, connections that a test needs, and that may come at the same time; asked for when there are too many. */
  readonly #awaited: () => ReadonlyMap<string, number>;
  /** By place, the oldest first, with the order in which they came. */
  readonly #byPlace = new Map<string, Map<IdleConnection, number>>();
  #size = 0;
  #serial = 0;

  constructor(limit: number, awaited: () => ReadonlyMap<string, number>) {
    this.#limit = limit;
    this.#awaited = awaited;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds one that is not there yet; `trim` is due. */
  add(connection: IdleConnection): void {
    const { place } = connection;
    const ofPlace = this.#byPlace.get(place) ?? new Map<IdleConnection, number>();
    if (ofPlace.has(connection)) return;
    this.#byPlace.set(place, ofPlace);
    ofPlace.set(connection, this.#serial++);
    this.#size++;
  }

  /** Takes out those that are too many, and gives them: to be called when one was added, and when fewer are awaited. */
  trim(): readonly IdleConnection[] {
    const surplus: IdleConnection[] = [];
    if (this.#size <= this.#limit) return surplus;
    const awaited = this.#awaited();
    while (this.#size > this.#limit) {
      const one = this.#surplus(awaited);
      if (one === null) break;
      this.remove(one);
      surplus.push(one);
    }
    return surplus;
  }

  remove(connection: IdleConnection): void {
    const ofPlace = this.#byPlace.get(connection.place);
    if (ofPlace?.delete(connection) !== true) return;
    this.#size--;
    if (ofPlace.size === 0) this.#byPlace.delete(connection.place);
  }

  #surplus(awaited: ReadonlyMap<string, number>): IdleConnection | null {
    let counted = 0;
    let most: Candidate = { count: 0, oldest: Infinity, connection: null };
    for (const [place, ofPlace] of this.#byPlace) {
      const count = ofPlace.size - (awaited.get(place) ?? 0);
      const [first] = ofPlace;
      if (count <= 0 || first === undefined) continue;
      counted += count;
      const [connection, oldest] = first;
      if (count > most.count || (count === most.count && oldest < most.oldest)) most = { count, oldest, connection };
    }
    return counted > this.#limit ? most.connection : null;
  }
}

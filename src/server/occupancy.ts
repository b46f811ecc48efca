import type { ClassLimits } from "../config/policy.ts";

/** Somebody who wants a place. */
export interface Guest {
  /** Where it comes from (see `placeOf`). */
  readonly place: string;
  readonly limits: ClassLimits;
  /** How long its test takes; null = nobody knows. */
  readonly plannedSeconds: number | null;
}

/** What keeps a guest out. */
export type Obstacle =
  | { readonly of: "server" }
  | { readonly of: "class"; readonly className: string; readonly limit: number }
  | { readonly of: "address"; readonly className: string; readonly limit: number };

/** How many are inside: in all, of each class, and from each place in a class. */
export class Occupancy {
  readonly #ofClass = new Map<string, number>();
  readonly #ofPlace = new Map<string, number>();
  #size = 0;

  /** `clientLimit` 0 = any number. */
  obstacle(guest: Guest, clientLimit: number): Obstacle | null {
    if (clientLimit > 0 && this.#size >= clientLimit) return { of: "server" };
    const { name: className, clients, clientsPerAddress } = guest.limits;
    if (clients !== null && (this.#ofClass.get(className) ?? 0) >= clients) {
      return { of: "class", className, limit: clients };
    }
    if (clientsPerAddress !== null && (this.#ofPlace.get(placeKey(guest)) ?? 0) >= clientsPerAddress) {
      return { of: "address", className, limit: clientsPerAddress };
    }
    return null;
  }

  add(guest: Guest): void {
    this.#change(guest, 1);
  }

  remove(guest: Guest): void {
    this.#change(guest, -1);
  }

  #change(guest: Guest, by: 1 | -1): void {
    this.#size += by;
    change(this.#ofClass, guest.limits.name, by);
    change(this.#ofPlace, placeKey(guest), by);
  }
}

/** No place has a space in it. */
function placeKey({ place, limits }: Guest): string {
  return `${place} ${limits.name}`;
}

function change(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** Why somebody is turned away at once. */
export function refusalOf(obstacle: Obstacle): string {
  switch (obstacle.of) {
    case "server":
      return "the server has as many clients as it may have";
    case "class":
      return `this server allows class ${obstacle.className} at most ${tests(obstacle.limit)} at a time`;
    case "address":
      return `this server allows class ${obstacle.className} at most ${tests(obstacle.limit)} at a time from one address`;
  }
}

/** Why somebody has waited in vain. */
export function expiryOf(obstacle: Obstacle, waitedSeconds: number): string {
  switch (obstacle.of) {
    case "server":
      return `the server was full for ${waitedSeconds} s`;
    case "class":
      return `class ${obstacle.className} was full for ${waitedSeconds} s (clients: ${obstacle.limit})`;
    case "address":
      return `class ${obstacle.className} was full for this address for ${waitedSeconds} s (clients: ${obstacle.limit})`;
  }
}

function tests(count: number): string {
  return count === 1 ? "1 test" : `${count} tests`;
}

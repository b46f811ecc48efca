import { type Guest, Occupancy } from "./occupancy.ts";

/** What the time between a test and the next takes beyond what it was planned for: setting up, draining, the last figures. */
const ALLOWANCE_SECONDS = 1;

/** When a test that is let in now will have ended; null = nobody knows. */
export function endOf({ plannedSeconds }: Guest, nowSeconds: number): number | null {
  return plannedSeconds === null ? null : nowSeconds + plannedSeconds + ALLOWANCE_SECONDS;
}

interface Present {
  readonly guest: Guest;
  readonly endSeconds: number;
}

/** How things stand at a moment. */
export interface Situation {
  /** With the ends of their tests; null = not known. */
  readonly inside: Iterable<readonly [guest: Guest, endSeconds: number | null]>;
  /** The first comes first. */
  readonly waiting: Iterable<Guest>;
  /** 0 = any number. */
  readonly clientLimit: number;
}

/**
 * Seconds that each of the waiting will wait if all tests end as planned, nobody leaves and the first whom a place suits gets
 * it; null where a test whose end is not known stands in the way.
 */
export function forecastWaits(
  { inside, waiting, clientLimit }: Situation,
  nowSeconds: number,
): ReadonlyMap<Guest, number | null> {
  const occupancy = new Occupancy();
  const ends: Present[] = [];
  for (const [guest, endSeconds] of inside) {
    occupancy.add(guest);
    // One that is overdue may end at any moment.
    if (endSeconds !== null) ends.push({ guest, endSeconds: Math.max(endSeconds, nowSeconds) });
  }
  ends.sort((one, other) => one.endSeconds - other.endSeconds);
  const left = new Set(waiting);
  const waits = new Map<Guest, number | null>();
  for (let next = 0; left.size > 0; next++) {
    const ended = ends[next];
    if (ended === undefined) break;
    occupancy.remove(ended.guest);
    for (const guest of left) {
      const obstacle = occupancy.obstacle(guest, clientLimit);
      if (obstacle?.of === "server") break;
      if (obstacle !== null) continue;
      left.delete(guest);
      occupancy.add(guest);
      waits.set(guest, ended.endSeconds - nowSeconds);
      const endSeconds = endOf(guest, ended.endSeconds);
      if (endSeconds !== null) insert(ends, next + 1, { guest, endSeconds });
      // What one has left lets one in: whoever else could come in would be there already.
      break;
    }
  }
  for (const guest of left) waits.set(guest, null);
  return waits;
}

/** Keeps `ends` in order, of which those before `from` are past. */
function insert(ends: Present[], from: number, present: Present): void {
  let [low, high] = [from, ends.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle]?.endSeconds ?? Infinity) <= present.endSeconds) low = middle + 1;
    else high = middle;
  }
  ends.splice(low, 0, present);
}

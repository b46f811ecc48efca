import type { Outcome } from "./types.ts";

/** The worse an outcome, the higher. */
const BADNESS: Readonly<Record<Outcome, number>> = { completed: 0, interrupted: 1, partial: 2, failed: 3 };

/** The first of those that ended worst; there is at least one. */
export function worst<T extends { readonly outcome: Outcome }>(ends: readonly T[]): T {
  return ends.reduce((found, end) => (BADNESS[end.outcome] > BADNESS[found.outcome] ? end : found));
}

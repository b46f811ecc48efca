/** Where time comes from; pure logic takes times as arguments and never reads a clock. */
export interface Clock {
  /** Seconds on a clock that never steps; only differences mean anything, and only within one thread. */
  monotonicSeconds(): number;
  /** UNIX seconds of a monotonic instant. The wall clock is read once, so a step of it changes nothing later. */
  wallSecondsOf(monotonicSeconds: number): number;
}

/** The system's, for those who need no wall clock. */
export function monotonicSeconds(): number {
  return performance.now() / 1000;
}

/** The system's clock, its wall anchor taken now. */
export function systemClock(): Clock {
  const anchorMonotonicSeconds = monotonicSeconds();
  const anchorWallSeconds = Date.now() / 1000;
  return {
    monotonicSeconds,
    wallSecondsOf: (seconds) => anchorWallSeconds + (seconds - anchorMonotonicSeconds),
  };
}

/** What `withDeadline` rejects with when time ran out. */
export class DeadlineError extends Error {}

/** `promise`, or a rejection with DeadlineError after `deadlineMs`; leaves no timer behind. */
export async function withDeadline<T>(promise: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: Timer | undefined;
  const expiry = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError()), deadlineMs);
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `promise`, but no longer than `deadlineMs`; whether it came, and with what, does not matter. */
export async function waitWithin(promise: Promise<unknown>, deadlineMs: number): Promise<void> {
  await withDeadline(promise, deadlineMs).catch(() => {});
}

/** The longest delay that setTimeout takes for what it is. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** Runs `task` after any time, however long; gives what calls it off. */
export function runAfter(delayMs: number, task: () => void): () => void {
  let timer: Timer;
  const arm = (leftMs: number): void => {
    const partMs = Math.min(leftMs, MOST_TIMER_MS);
    timer = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : task()), partMs);
  };
  arm(delayMs);
  return () => clearTimeout(timer);
}

/** Where time comes from; pure logic takes times as arguments and never reads a clock. */
export interface Clock {
  /** Seconds on a clock that never steps; only differences mean anything, and only within one thread. */
  monotonicSeconds(): number;
  /** UNIX seconds of a monotonic instant. The wall clock is read once, so a step of it changes nothing later. */
  wallSecondsOf(monotonicSeconds: number): number;
}

/** The system's clock, its wall anchor taken now. */
export function systemClock(): Clock {
  const anchorMonotonicSeconds = performance.now() / 1000;
  const anchorWallSeconds = Date.now() / 1000;
  return {
    monotonicSeconds: () => performance.now() / 1000,
    wallSecondsOf: (monotonicSeconds) => anchorWallSeconds + (monotonicSeconds - anchorMonotonicSeconds),
  };
}

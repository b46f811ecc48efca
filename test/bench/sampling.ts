// Looking at something again and again while something else goes on.

/** Calls `sample` now and every `periodMs` until `act` has ended, and gives what that gives. */
export async function sampledWhile<Value>(
  sample: () => void,
  periodMs: number,
  act: () => Promise<Value>,
): Promise<Value> {
  sample();
  const sampling = setInterval(sample, periodMs);
  try {
    return await act();
  } finally {
    clearInterval(sampling);
  }
}

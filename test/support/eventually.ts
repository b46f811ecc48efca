// Waiting for something that comes about on its own.

const POLL_MS = 20;

/**
 * Polls `read` until `isReached` holds of what it gives, and gives that. Rejects after `timeoutMs` (8 s unless told)
 * with `what` and the last value.
 */
export async function eventually<Value>(
  what: string,
  read: () => Value | Promise<Value>,
  isReached: (value: Value) => boolean,
  timeoutMs = 8_000,
): Promise<Value> {
  const givenUpAtMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (isReached(value)) return value;
    if (performance.now() > givenUpAtMs) {
      throw new Error(`${what}: not within ${timeoutMs} ms; at the end it was ${JSON.stringify(value)}`);
    }
    await Bun.sleep(POLL_MS);
  }
}

/** As the promise, or rejects with `what` after `timeoutMs`. */
export async function within<Value>(what: string, promise: Promise<Value>, timeoutMs = 8_000): Promise<Value> {
  let timer: Timer | undefined;
  const expiry = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

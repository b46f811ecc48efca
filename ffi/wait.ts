import { directIoCalls, ptr } from "./libc.ts";
import { platform } from "./platform.ts";

export const READABLE = 0x1;
export const WRITABLE = 0x4;

/** struct pollfd: i32 fd, i16 events, i16 revents. */
const POLLFD_INTS = 2;
const NANOSECONDS_PER_SECOND = 1e9;

/** Waits for descriptors and for time on the calling thread, to the precision of the system's timers. */
export interface Waiter {
  /** Forgets all descriptors. */
  clear(): void;
  /** `readiness` is READABLE or WRITABLE; gives the number by which `isReady` knows it. */
  add(fd: number, readiness: number): number;
  /** Blocks this thread until a descriptor is ready or the time is over; how many are ready. */
  wait(timeoutSeconds: number): number;
  /** Of the last wait. A descriptor in error is ready: the next call on it tells. */
  isReady(index: number): boolean;
}

/** For this thread; null where descriptors cannot be waited for. Timers of this thread are exact from then on. */
export function openWaiter(): Waiter | null {
  const options = platform.directIo;
  const libc = directIoCalls();
  if (options === null || libc === null) return null;
  const { ppoll, prctl } = libc.calls;
  // 1 ns instead of 50 µs. A refusal only makes the waits later.
  prctl(options.timerSlack, 1, 0, 0, 0);
  let polled = new Int32Array(8 * POLLFD_INTS);
  let count = 0;
  // struct timespec: i64 seconds, i64 nanoseconds, little-endian.
  const timeout = new Int32Array(4);
  return {
    clear: () => {
      count = 0;
    },
    add: (fd, readiness) => {
      if (count * POLLFD_INTS === polled.length) {
        const larger = new Int32Array(polled.length * 2);
        larger.set(polled);
        polled = larger;
      }
      polled[count * POLLFD_INTS] = fd;
      polled[count * POLLFD_INTS + 1] = readiness;
      return count++;
    },
    wait: (timeoutSeconds) => {
      const seconds = Math.floor(timeoutSeconds);
      timeout[0] = seconds;
      timeout[2] = Math.floor((timeoutSeconds - seconds) * NANOSECONDS_PER_SECOND);
      for (let i = 0; i < count; i++) {
        const at = i * POLLFD_INTS + 1;
        polled[at] = (polled[at] ?? 0) & 0xffff;
      }
      return Math.max(0, ppoll(ptr(polled), count, ptr(timeout), null));
    },
    isReady: (index) => (polled[index * POLLFD_INTS + 1] ?? 0) >>> 16 !== 0,
  };
}

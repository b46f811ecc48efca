import type { Configuration } from "../protocol/messages.ts";
import { MAX_CANDIDATES } from "../streams/tcp-listen-source.ts";
import { workersFor } from "../workers/stream-worker-pool.ts";

/** For what nobody asks leave for: Bun itself, files that are read for a moment, a connection that is just being closed. */
const RESERVE = 16;
/** Connections without a test, where the system has descriptors for more. */
const MOST_IDLE = 256;
const LEAST_IDLE = 4;
/** Of what there is, the share that connections without a test may have. */
const IDLE_SHARE = 1 / 4;

/** Of what there is for tests, the share that may be of clients who wait for their turn: those inside need the rest. */
const WAITING_SHARE = 1 / 4;

/** Of a Worker's event loop, as measured (Bun 1.4.5). */
const WORKER_DESCRIPTORS = 2;
/** The socket, and one more while it passes from hand to hand. */
const STREAM_DESCRIPTORS = 2;
/** The socket that takes hellos at the control port's number. */
const DOOR_DESCRIPTORS = 1;

/**
 * What a server may have open at the same time. It must not come to the system's limit: there Bun's accept fails, and is
 * tried again at once, without end.
 */
export class DescriptorBudget {
  /** Connections without a test. */
  readonly idle: number;
  readonly #mostWaiting: number;
  #left: number;
  #waiting = 0;

  /** `limit` of the process, Infinity where it is not known; `open` before the first connection. */
  constructor(limit: number, open: number) {
    const spare = Math.max(0, limit - open - RESERVE);
    this.idle = Math.min(MOST_IDLE, Math.max(LEAST_IDLE, Math.floor(spare * IDLE_SHARE)));
    this.#left = Math.max(0, spare - this.idle);
    this.#mostWaiting = Math.floor(this.#left * WAITING_SHARE);
  }

  /** Whether there are so many; then they are the caller's until it releases them. */
  reserve(count: number): boolean {
    if (count > this.#left) return false;
    this.#left -= count;
    return true;
  }

  release(count: number): void {
    this.#left += count;
  }

  /** Whether there is one for the connection of a client that waits; then it is the client's until `endWait`. */
  beginWait(): boolean {
    if (this.#waiting >= this.#mostWaiting || !this.reserve(1)) return false;
    this.#waiting++;
    return true;
  }

  endWait(): void {
    this.#waiting--;
    this.release(1);
  }
}

/** The most that the streams of a configuration take, the control connection apart; `cpus` that they are dealt, 0 = any. */
export function descriptorsOf(configuration: Configuration, cpus: number): number {
  const { streams } = configuration;
  const ofWorkers = WORKER_DESCRIPTORS * workersFor(streams, cpus);
  return streams * descriptorsOfStream(configuration) + ofWorkers + DOOR_DESCRIPTORS;
}

function descriptorsOfStream({ family, role, extensions }: Configuration): number {
  if (family === "udp" || extensions?.singlePort === true) return STREAM_DESCRIPTORS;
  const serverDials = role === "upload" && !extensions?.clientDials;
  // A port that listens is open to strangers until its own connection is there.
  return STREAM_DESCRIPTORS + (serverDials ? 0 : MAX_CANDIDATES);
}

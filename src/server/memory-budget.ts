import type { Configuration } from "../protocol/messages.ts";
import { writeBytesOf } from "../streams/tcp-sender.ts";
import { mostWorkersOf } from "../workers/stream-worker-pool.ts";
import { rateOf } from "./grant.ts";
import { unlimitedIfUnreachable } from "./stream-specs.ts";

/** What is left is for the system, for other programs, and for what nobody reckons with. */
const SHARE = 1 / 2;
const MIB = 1024 * 1024;
/** An engine and its thread, as measured (Bun 1.4.5, Linux). */
const WORKER_BYTES = 6 * MIB;
/** Sockets, figures, and a batch of UDP packets. */
const STREAM_BYTES = 128 * 1024;

/** What the streams of all tests of a server may take at the same time. */
export class MemoryBudget {
  #leftBytes: number;

  /** `totalBytes` that this process could have; `usedBytes` before the first test. */
  constructor(totalBytes: number, usedBytes: number) {
    this.#leftBytes = Math.max(0, Math.floor(totalBytes * SHARE) - usedBytes);
  }

  /** Whether there are so many; then they are the caller's until it releases them. */
  reserve(bytes: number): boolean {
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  release(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

/** The most that the streams of a configuration take; `cpus` that they are dealt, 0 = any. */
export function bytesOf(configuration: Configuration, cpus: number): number {
  const { streams } = configuration;
  const workers = mostWorkersOf({ streams, cpus, streamBytesPerSecond: rateOf(configuration) });
  return workers * WORKER_BYTES + streams * (STREAM_BYTES + bufferBytesOf(configuration));
}

/** UDP has buffers of one size. */
function bufferBytesOf(configuration: Configuration): number {
  const { family, role, lengthBytes } = configuration;
  if (family === "udp" || role === "download") return 0;
  const bandwidthBytesPerSecond = unlimitedIfUnreachable(configuration.bandwidthBytesPerSecond);
  const writeSize = configuration.extensions?.writeSize ?? "length";
  return writeBytesOf({ writeSize, lengthBytes, bandwidthBytesPerSecond });
}

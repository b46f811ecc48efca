import { readdirSync } from "node:fs";
import { notSupported, ptr, refused, resourceCalls } from "./libc.ts";
import { type Outcome, platform } from "./platform.ts";

const WHAT = "the limit of open descriptors";

/** How many descriptors this process may have, and how many it may ask for; Infinity = any number. */
export interface DescriptorLimit {
  readonly soft: number;
  readonly hard: number;
}

/** RLIMIT_NOFILE of this process. */
export function descriptorLimit(): Outcome<DescriptorLimit> {
  const limit = readLimit();
  if (!limit.ok) return limit;
  const [soft = 0n, hard = 0n] = limit.value;
  return { ok: true, value: { soft: countOf(soft), hard: countOf(hard) } };
}

/** Raises the soft limit to the hard one, as every process may. Gives what is in force then. */
export function raiseDescriptorLimit(): Outcome<DescriptorLimit> {
  const libc = resourceCalls();
  const limit = readLimit();
  if (libc === null || platform.openFilesLimit === null) return notSupported(WHAT);
  if (!limit.ok) return limit;
  const hard = limit.value[1] ?? 0n;
  const status = libc.calls.setrlimit(platform.openFilesLimit, ptr(new BigUint64Array([hard, hard])));
  return status === 0 ? descriptorLimit() : refused(WHAT, libc.errno());
}

/** Descriptors that this process has open. */
export function openDescriptors(): Outcome<number> {
  try {
    // One is that of the reading itself.
    return { ok: true, value: readdirSync("/dev/fd").length - 1 };
  } catch {
    return notSupported("counting open descriptors");
  }
}

/** struct rlimit of getrlimit(2): the soft and the hard limit, each an rlim_t of 64 bits here. */
function readLimit(): Outcome<BigUint64Array> {
  const libc = resourceCalls();
  if (libc === null || platform.openFilesLimit === null) return notSupported(WHAT);
  const limit = new BigUint64Array(2);
  const status = libc.calls.getrlimit(platform.openFilesLimit, ptr(limit));
  return status === 0 ? { ok: true, value: limit } : refused(WHAT, libc.errno());
}

/** RLIM_INFINITY is the greatest number there is: of Linux one of 64 bits, of macOS one of 63. */
function countOf(limit: bigint): number {
  return limit >= 2n ** 63n - 1n ? Infinity : Number(limit);
}

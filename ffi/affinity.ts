import { affinityCalls, notSupported, ptr, refused } from "./libc.ts";
import type { Outcome } from "./platform.ts";

/** 1,024 CPUs, the size of glibc's cpu_set_t (cpu_set(3)). */
const MASK_BYTES = 128;
const WHAT = "CPU affinity";
/** pid 0 of sched_setaffinity(2) is the calling thread alone, not the process. */
const CALLING_THREAD = 0;

/** Binds the calling thread to one logical CPU. */
export function pinThread(cpu: number): Outcome<null> {
  if (cpu >= MASK_BYTES * 8) return { ok: false, supported: true, message: `CPU ${cpu} is beyond what can be named` };
  const mask = new Uint8Array(MASK_BYTES);
  mask[cpu >> 3] = 1 << (cpu & 7);
  return setMask(mask);
}

/** The CPUs that the calling thread may run on, ascending. */
export function threadCpus(): Outcome<readonly number[]> {
  const mask = readMask();
  if (!mask.ok) return mask;
  const cpus: number[] = [];
  for (let cpu = 0; cpu < MASK_BYTES * 8; cpu++) {
    if (((mask.value[cpu >> 3] ?? 0) & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
  }
  return { ok: true, value: cpus };
}

/** Whether a thread of this process could be bound to `cpu`; the calling thread's own binding is left as it was. */
export function probeCpu(cpu: number): Outcome<null> {
  const before = readMask();
  if (!before.ok) return before;
  const outcome = pinThread(cpu);
  if (outcome.ok) setMask(before.value);
  return outcome;
}

function setMask(mask: Uint8Array): Outcome<null> {
  const libc = affinityCalls();
  if (libc === null) return notSupported(WHAT);
  const status = libc.calls.sched_setaffinity(CALLING_THREAD, MASK_BYTES, ptr(mask));
  return status === 0 ? { ok: true, value: null } : refused(WHAT, libc.errno());
}

function readMask(): Outcome<Uint8Array> {
  const libc = affinityCalls();
  if (libc === null) return notSupported(WHAT);
  const mask = new Uint8Array(MASK_BYTES);
  // glibc returns 0, the bare system call and musl the bytes written.
  const status = libc.calls.sched_getaffinity(CALLING_THREAD, MASK_BYTES, ptr(mask));
  return status >= 0 ? { ok: true, value: mask } : refused(WHAT, libc.errno());
}

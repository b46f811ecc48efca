import { constants } from "node:os";
import { directIoCalls, errorName, ptr } from "./libc.ts";
import { platform } from "./platform.ts";

/** Nothing to read, or no room to write, for now (EAGAIN, the same number as EWOULDBLOCK on Linux). */
const TRY_AGAIN = constants.errno.EAGAIN;
const INTERRUPTED = constants.errno.EINTR;
/** The most that one `discard` takes. */
const MAX_DISCARD_BYTES = 1024 * 1024;

/** What `DirectIo`'s calls return, beside counts, when nothing can be moved for now; every other refusal is below it. */
export const NOT_NOW = -1;

export type Address = ReturnType<typeof ptr>;

/** So many bytes behind `address`, within the same buffer. */
export function offsetAddress(address: Address, bytes: number): Address {
  // An address is a number by another name.
  return (address + bytes) as Address;
}

/** Calls on the descriptors of Bun's sockets that Bun itself does not make; none of them waits. */
export interface DirectIo {
  /** Where `send` finds the memory; good for as long as the caller holds the buffer, which must be one of its own. */
  addressOf(buffer: ArrayBuffer): Address;
  /** Sends from this memory, which is read before the call returns: the bytes taken, `NOT_NOW`, or a refusal. */
  send(fd: number, memory: Uint8Array | Address, bytes: number): number;
  /** Reads what a TCP connection has and throws it away: how many bytes, 0 at its end, `NOT_NOW`, or a refusal. */
  discard(fd: number): number;
  /** A second descriptor of the same socket, to be closed by whoever gets it; or a refusal. */
  duplicate(fd: number): number;
  /** The same under the number `target`, whose own socket is closed by it. */
  duplicateOnto(fd: number, target: number): number;
  /** Lets other threads have this CPU, if any wants it. */
  yieldCpu(): void;
}

/** Refusals lie below `NOT_NOW`: the system's error number, negated and moved by one. */
export function outcomeOf(result: number, errno: () => number): number {
  if (result >= 0) return result;
  const number = errno();
  return number === TRY_AGAIN || number === INTERRUPTED ? NOT_NOW : -number - 1;
}

/** The name of a refusal, such as `ECONNREFUSED`. */
export function refusalName(refusal: number): string {
  return errorName(-refusal - 1);
}

/** For this thread; null where the system has none of it. Kept by the caller: a call makes a new one. */
export function openDirectIo(): DirectIo | null {
  const options = platform.directIo;
  const libc = directIoCalls();
  if (options === null || libc === null) return null;
  const { calls, errno } = libc;
  const sendFlags = options.dontWait | options.noSignal;
  const discardFlags = options.dontWait | options.discard;
  // The flag keeps the data where it is and this memory untouched; were it ignored, nothing else is overwritten.
  const nowhere = new Uint8Array(MAX_DISCARD_BYTES);
  return {
    addressOf: (buffer) => ptr(buffer),
    send: (fd, memory, bytes) => {
      const address = typeof memory === "number" ? memory : ptr(memory);
      return outcomeOf(calls.send(fd, address, bytes, sendFlags), errno);
    },
    discard: (fd) => outcomeOf(calls.recv(fd, ptr(nowhere), MAX_DISCARD_BYTES, discardFlags), errno),
    duplicate: (fd) => outcomeOf(calls.fcntl(fd, options.duplicate, 0), errno),
    duplicateOnto: (fd, target) => outcomeOf(calls.dup3(fd, target, options.closeOnExec), errno),
    yieldCpu: () => void calls.sched_yield(),
  };
}

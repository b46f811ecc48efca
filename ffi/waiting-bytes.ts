import { directIoCalls, ptr } from "./libc.ts";
import { platform } from "./platform.ts";

/**
 * How many of the bytes that wait to be read from a TCP connection were copied to `memory`; whoever reads finds them still
 * there (MSG_PEEK of recv(2)). 0 when none wait, at its end and where it broke; null where the system cannot tell.
 */
export function peekWaitingBytes(fd: number, memory: Uint8Array): number | null {
  const options = platform.directIo;
  const libc = directIoCalls();
  if (options === null || libc === null) return null;
  return Math.max(0, libc.calls.recv(fd, ptr(memory), memory.byteLength, options.dontWait | options.peek));
}

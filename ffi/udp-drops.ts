import { notSupported } from "./libc.ts";
import { readOption } from "./option-calls.ts";
import { type Outcome, platform } from "./platform.ts";

/**
 * How many datagrams the kernel has dropped at this socket since it was made, because its buffer was full or a checksum
 * wrong: SO_MEMINFO gives the figures of sock_diag(7), which /proc/net/udp shows too. Modulo 2^32. A group that the
 * kernel gathered (UDP_GRO) counts as one, however many packets it holds: with it, this is the least that were dropped.
 */
export function readUdpDrops(fd: number): Outcome<number> {
  const what = "reading the drops of a socket";
  const memory = platform.path?.memory;
  if (memory === undefined) return notSupported(what);
  const words = new Uint32Array(new ArrayBuffer(memory.words * 4));
  const read = readOption(fd, platform.socketLevel, memory.option, words, what);
  return read.ok ? { ok: true, value: words[memory.drops] ?? 0 } : read;
}

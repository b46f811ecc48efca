import { notSupported, ptr, refused, socketCalls } from "./libc.ts";
import type { Outcome } from "./platform.ts";

const SIZE_OF_INT = 4;
/** IPPROTO_TCP, the same everywhere (RFC 1700). */
export const TCP_LEVEL = 6;

/** setsockopt(2) with the bytes of `value`; `what` names it where it is refused. */
export function setOption(
  fd: number,
  level: number,
  option: number,
  value: Uint8Array | Int32Array | Uint32Array,
  what: string,
): Outcome<null> {
  const libc = socketCalls();
  if (libc === null) return notSupported(what);
  const status = libc.calls.setsockopt(fd, level, option, ptr(value), value.byteLength);
  return status === 0 ? { ok: true, value: null } : refused(what, libc.errno());
}

/** setsockopt(2) of an option that takes an int, as most do. */
export function setInteger(fd: number, level: number, option: number, value: number, what: string): Outcome<null> {
  return setOption(fd, level, option, new Int32Array([value]), what);
}

/** getsockopt(2) into `target`: how many bytes the system wrote there. */
export function readOption(
  fd: number,
  level: number,
  option: number,
  target: Uint8Array | Int32Array | Uint32Array,
  what: string,
): Outcome<number> {
  const libc = socketCalls();
  if (libc === null) return notSupported(what);
  const length = new Uint32Array([target.byteLength]);
  const status = libc.calls.getsockopt(fd, level, option, ptr(target), ptr(length));
  return status === 0 ? { ok: true, value: length[0] ?? 0 } : refused(what, libc.errno());
}

/** getsockopt(2) of an option that gives an int. */
export function readInteger(fd: number, level: number, option: number, what: string): Outcome<number> {
  const value = new Int32Array(new ArrayBuffer(SIZE_OF_INT));
  const read = readOption(fd, level, option, value, what);
  return read.ok ? { ok: true, value: value[0] ?? 0 } : read;
}

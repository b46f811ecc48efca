// For programs of their own that bind themselves by a filter of system calls (seccomp(2)), and become another program.
// oxlint-disable-next-line no-restricted-imports -- the filter must be set by who becomes the command
import { dlopen, FFIType, ptr } from "bun:ffi";

// linux/bpf_common.h, linux/seccomp.h, linux/prctl.h.
export const LOAD_WORD = 0x20;
export const JUMP_IF_EQUAL = 0x15;
export const JUMP_IF_ABOVE = 0x25;
export const RETURN = 0x06;
export const ALLOW = 0x7fff_0000;
/** With an errno in its lower half. */
export const REFUSE = 0x0005_0000;
/** Of struct seccomp_data: i32 call, u32 architecture, u64 instruction, u64 arguments[6]. */
export const CALL_OFFSET = 0;
const SET_NO_NEW_PRIVILEGES = 38;
const SET_SECCOMP = 22;
const FILTER_MODE = 2;

export function fail(message: string): never {
  console.error(message);
  process.exit(127);
}

/** One struct sock_filter: u16 code, u8 steps if true, u8 steps if false, u32 operand. */
export function instruction(code: number, operand: number, ifTrue = 0, ifFalse = 0): number[] {
  return [code & 0xff, code >> 8, ifTrue, ifFalse, ...new Uint8Array(Uint32Array.of(operand).buffer)];
}

/** Puts the command in the place of this process, bound by the filter; ends with 127 where that cannot be. */
export function become(filterBytes: readonly number[], command: readonly string[]): never {
  const libc = dlopen("libc.so.6", {
    prctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr, FFIType.u64, FFIType.u64], returns: FFIType.i32 },
    execvp: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  }).symbols;
  const program = Uint8Array.from(filterBytes).slice();
  // struct sock_fprog: u16 count, padding, struct sock_filter *.
  const filter = new DataView(new ArrayBuffer(16));
  filter.setUint16(0, program.length / 8, true);
  filter.setBigUint64(8, BigInt(ptr(program)), true);
  const words = command.map((word) => new TextEncoder().encode(`${word}\0`).slice());
  const [file] = words;
  if (file === undefined) fail("no command");
  const pointers = BigUint64Array.from([...words.map((word) => BigInt(ptr(word))), 0n]);
  if (libc.prctl(SET_NO_NEW_PRIVILEGES, 1, null, 0, 0) !== 0) fail("the system grants no filter (no_new_privs)");
  if (libc.prctl(SET_SECCOMP, FILTER_MODE, ptr(filter), 0, 0) !== 0) fail("the system grants no filter (seccomp)");
  libc.execvp(ptr(file), ptr(pointers));
  fail(`${command[0]} could not be run`);
}

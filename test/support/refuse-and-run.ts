// Runs a command in whose processes the kernel refuses some system calls (seccomp(2)), as another kernel, a container or
// a device would. Linux on x64 and arm64 only.
//
//   bun refuse-and-run.ts '[{"call":"setsockopt","argument":1,"equals":17,"errno":92}]' program argument …
//
// The first argument is a list of `Refusal`s (refusals.ts). The program takes the place of this process.
// oxlint-disable-next-line no-restricted-imports -- a program of its own: the filter must be set by who becomes the command
import { dlopen, FFIType, ptr } from "bun:ffi";
import type { Refusal } from "./refusals.ts";

/** asm/unistd.h. */
const CALLS = {
  x64: { setsockopt: 54, sendto: 44 },
  arm64: { setsockopt: 208, sendto: 206 },
} as const;

// linux/bpf_common.h, linux/seccomp.h, linux/prctl.h.
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_ABOVE = 0x25;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const REFUSE = 0x0005_0000;
const SET_NO_NEW_PRIVILEGES = 38;
const SET_SECCOMP = 22;
const FILTER_MODE = 2;
/** struct seccomp_data: i32 call, u32 architecture, u64 instruction, u64 arguments[6]. */
const CALL_OFFSET = 0;
const argumentOffset = (argument: number) => 16 + 8 * argument;

const libc = dlopen("libc.so.6", {
  prctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr, FFIType.u64, FFIType.u64], returns: FFIType.i32 },
  execvp: { args: [FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
}).symbols;

function fail(message: string): never {
  console.error(message);
  process.exit(127);
}

/** One struct sock_filter: u16 code, u8 steps if true, u8 steps if false, u32 operand. */
function instruction(code: number, operand: number, ifTrue = 0, ifFalse = 0): number[] {
  return [code & 0xff, code >> 8, ifTrue, ifFalse, ...new Uint8Array(Uint32Array.of(operand).buffer)];
}

/** Refuses, or goes on behind itself. */
function block(refusal: Refusal): number[] {
  const numbers = CALLS[process.arch as keyof typeof CALLS] ?? fail(`no system calls are known on ${process.arch}`);
  const test =
    "equals" in refusal
      ? instruction(JUMP_IF_EQUAL, refusal.equals, 0, 1)
      : instruction(JUMP_IF_ABOVE, refusal.above, 0, 1);
  return [
    instruction(LOAD_WORD, CALL_OFFSET),
    instruction(JUMP_IF_EQUAL, numbers[refusal.call], 0, 3),
    instruction(LOAD_WORD, argumentOffset(refusal.argument)),
    test,
    instruction(RETURN, REFUSE | refusal.errno),
  ].flat();
}

const [rules = "[]", ...command] = process.argv.slice(2);
const program = Uint8Array.from([
  ...(JSON.parse(rules) as Refusal[]).flatMap(block),
  ...instruction(RETURN, ALLOW),
]).slice();
// struct sock_fprog: u16 count, padding, struct sock_filter *.
const filter = new DataView(new ArrayBuffer(16));
filter.setUint16(0, program.length / 8, true);
filter.setBigUint64(8, BigInt(ptr(program)), true);
if (libc.prctl(SET_NO_NEW_PRIVILEGES, 1, null, 0, 0) !== 0) fail("the system grants no filter (no_new_privs)");
if (libc.prctl(SET_SECCOMP, FILTER_MODE, ptr(filter), 0, 0) !== 0) fail("the system grants no filter (seccomp)");

const words = command.map((word) => new TextEncoder().encode(`${word}\0`).slice());
const [file] = words;
if (file === undefined) fail("no command");
const pointers = BigUint64Array.from([...words.map((word) => BigInt(ptr(word))), 0n]);
libc.execvp(ptr(file), ptr(pointers));
fail(`${command[0]} could not be run`);

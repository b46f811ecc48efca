// Runs a command in whose processes the kernel refuses some system calls (seccomp(2)), as another kernel, a container or
// a device would. Linux on x64 and arm64 only.
//
//   bun refuse-and-run.ts '[{"call":"setsockopt","argument":1,"equals":17,"errno":92}]' program argument …
//
// The first argument is a list of `Refusal`s (refusals.ts). The program takes the place of this process.
import {
  ALLOW,
  become,
  CALL_OFFSET,
  fail,
  instruction,
  JUMP_IF_ABOVE,
  JUMP_IF_EQUAL,
  LOAD_WORD,
  REFUSE,
  RETURN,
} from "./become.ts";
import type { Refusal } from "./refusals.ts";

/** asm/unistd.h. */
const CALLS = {
  x64: { setsockopt: 54, sendto: 44 },
  arm64: { setsockopt: 208, sendto: 206 },
} as const;

/** In struct seccomp_data. */
const argumentOffset = (argument: number) => 16 + 8 * argument;

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
become([...(JSON.parse(rules) as Refusal[]).flatMap(block), ...instruction(RETURN, ALLOW)], command);

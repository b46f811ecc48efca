// Runs a command in whose processes the kernel allows some system calls alone, and refuses all others with EPERM, as a
// unit of systemd does that has a SystemCallFilter. Linux only.
//
//   bun allow-and-run.ts '[0,1,…]' program argument …
//
// The first argument is a list of system calls, by their numbers. The program takes the place of this process.
import { constants } from "node:os";
import { ALLOW, become, CALL_OFFSET, instruction, JUMP_IF_EQUAL, LOAD_WORD, REFUSE, RETURN } from "./become.ts";

const [allowed = "[]", ...command] = process.argv.slice(2);
const calls = JSON.parse(allowed) as number[];
become(
  [
    ...instruction(LOAD_WORD, CALL_OFFSET),
    ...calls.flatMap((call) => [...instruction(JUMP_IF_EQUAL, call, 0, 1), ...instruction(RETURN, ALLOW)]),
    ...instruction(RETURN, REFUSE | constants.errno.EPERM),
  ],
  command,
);

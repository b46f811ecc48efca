// Programs in whose processes the kernel refuses some system calls: what no machine at hand refuses by itself.
import { constants } from "node:os";

import { testsUnless } from "./conditional.ts";
import { ROOT } from "./process.ts";

/** Calls of this name one of whose arguments is a number, or above it, fail with `errno`. */
export type Refusal = {
  readonly call: "setsockopt" | "sendto";
  /** Counted from 0; only its lower 32 bits matter. */
  readonly argument: number;
  readonly errno: number;
} & ({ readonly equals: number } | { readonly above: number });

const { ENOPROTOOPT, EIO } = constants.errno;

/** As a kernel that knows nothing of UDP's options (before 4.18), or a sandbox. */
export const NO_UDP_OPTIONS: Refusal = { call: "setsockopt", argument: 1, equals: 17, errno: ENOPROTOOPT };

/** As a device that computes no checksums: batches are refused, single packets are not (udp_send_skb). */
export function noBatchesAbove(bytes: number): Refusal {
  return { call: "sendto", argument: 2, above: bytes, errno: EIO };
}

/** The command, refused what `refusals` say. */
export function refusing(refusals: readonly Refusal[], command: readonly string[]): string[] {
  return [process.execPath, `${ROOT}/test/support/refuse-and-run.ts`, JSON.stringify(refusals), ...command];
}

function whyNot(): string | null {
  if (process.platform !== "linux") return "system calls can be refused on Linux only";
  const done = Bun.spawnSync(refusing([NO_UDP_OPTIONS], ["true"]), { stderr: "pipe", timeout: 10_000 });
  return done.success ? null : `system calls cannot be refused here: ${done.stderr.toString().trim()}`;
}

/** Null = system calls can be refused here. */
export const whyNoRefusals = whyNot();

/** A test and a group of tests that need refusals. */
export const { test: testWithRefusals, describe: describeWithRefusals } = testsUnless(whyNoRefusals);

// Tests that need something a machine may lack. The reason stands in the test's name, where every reporter, and the list
// of skipped tests at the end of `npm test`, shows it; it is printed once as well.
import { describe, test } from "bun:test";

export interface ConditionalTests {
  /** As bun:test's `test`, or skipped with the reason. */
  readonly test: (name: string, run: () => Promise<void> | void, timeoutMs?: number) => void;
  /** As bun:test's `describe`, or skipped with the reason. */
  readonly describe: (name: string, run: () => void) => void;
}

const printed = new Set<string>();

/** Prints a reason for skipping, once each. */
export function printReason(reason: string): void {
  if (printed.has(reason)) return;
  printed.add(reason);
  console.error(`skipping: ${reason}`);
}

/** Tests that run when `reason` is null and are skipped for that reason otherwise. */
export function testsUnless(reason: string | null): ConditionalTests {
  return {
    test(name, run, timeoutMs) {
      if (reason === null) {
        test(name, run, timeoutMs);
        return;
      }
      printReason(reason);
      test.skip(`${name} (skipped: ${reason})`, run);
    },
    describe(name, run) {
      if (reason === null) {
        describe(name, run);
        return;
      }
      printReason(reason);
      describe.skip(`${name} (skipped: ${reason})`, run);
    },
  };
}

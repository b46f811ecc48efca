// The original rperf 0.1.8, to test against. It is no part of this repository: RPERF_REFERENCE names it.
import { accessSync, constants } from "node:fs";

import { testsUnless } from "./conditional.ts";

function find(): { path: string | null; reason: string | null } {
  const path = process.env["RPERF_REFERENCE"];
  if (path === undefined || path === "") return { path: null, reason: "RPERF_REFERENCE names no original rperf" };
  try {
    accessSync(path, constants.X_OK);
    return { path, reason: null };
  } catch {
    return { path: null, reason: `RPERF_REFERENCE=${path} is no program` };
  }
}

const found = find();

/** Path of the original's executable; null where there is none. */
export const referencePath: string | null = found.path;

/** The command line of the original; only inside the tests below. */
export function reference(...args: readonly string[]): string[] {
  if (referencePath === null) throw new Error(found.reason ?? "no original");
  return [referencePath, ...args];
}

/** A test and a group of tests that need the original. */
export const { test: testWithReference, describe: describeWithReference } = testsUnless(found.reason);

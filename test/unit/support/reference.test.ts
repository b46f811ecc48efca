import { expect, test } from "bun:test";

import { testsUnless } from "../../support/conditional.ts";
import { run } from "../../support/process.ts";
import { reference, referencePath, testWithReference } from "../../support/reference.ts";

testWithReference("the original answers", async () => {
  const { stdout } = await run(reference("--version"));
  expect(stdout).toContain("0.1.8");
});

test("the path is that of RPERF_REFERENCE", () => {
  const path = process.env["RPERF_REFERENCE"];
  if (referencePath !== null) expect(referencePath).toBe(path as string);
});

testsUnless(null).test("a condition that holds lets a test run", () => {
  expect(testsUnless("reason").test).toBeFunction();
});

import { expect, test } from "bun:test";

import { runAfter } from "../../src/clock.ts";

test("a task runs after its time", async () => {
  const startMs = performance.now();
  await new Promise<void>((resolve) => void runAfter(30, resolve));
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(29);
});

test("a task that is called off does not run", async () => {
  let runs = 0;
  const cancel = runAfter(10, () => runs++);
  cancel();
  await Bun.sleep(40);
  expect(runs).toBe(0);
});

test("a time beyond what a timer takes is not over at once", async () => {
  let runs = 0;
  const cancel = runAfter(31 * 86_400_000, () => runs++);
  await Bun.sleep(40);
  cancel();
  expect(runs).toBe(0);
});

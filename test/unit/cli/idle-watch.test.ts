import { expect, test } from "bun:test";

import { IdleWatch } from "../../../src/cli/idle-watch.ts";

test("it is over when nothing was busy for so long", () => {
  const watch = new IdleWatch(60, 1000);
  expect(watch.isOver(1059.9)).toBe(false);
  watch.busy(1050);
  expect(watch.isOver(1109.9)).toBe(false);
  expect(watch.isOver(1110)).toBe(true);
});

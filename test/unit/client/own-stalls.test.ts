import { expect, test } from "bun:test";
import { OwnStalls } from "../../../src/client/own-stalls.ts";

const TICK_MS = 250;

test("ticks in time, and early, tell of no stall", () => {
  const stalls = new OwnStalls(TICK_MS, 1000);
  for (const nowMs of [1250, 1500, 1600, 1850]) stalls.sinceRestartMs(nowMs);
  expect(stalls.sinceRestartMs(2000)).toBe(0);
});

test("what is late is summed up, whoever notices it first, and counted once", () => {
  const stalls = new OwnStalls(TICK_MS, 0);
  stalls.sinceRestartMs(1250);
  stalls.sinceRestartMs(1500);
  expect(stalls.sinceRestartMs(2000)).toBe(1000 + 250);
  // The tick that the same stall has put off.
  stalls.sinceRestartMs(2001);
  stalls.sinceRestartMs(2251);
  expect(stalls.sinceRestartMs(2251)).toBe(1250);
});

test("a restart begins anew, and what was before it is no stall", () => {
  const stalls = new OwnStalls(TICK_MS, 0);
  stalls.sinceRestartMs(2000);
  stalls.restart(5000);
  expect(stalls.sinceRestartMs(5250)).toBe(0);
  stalls.sinceRestartMs(5500);
  expect(stalls.sinceRestartMs(6750)).toBe(1000);
});

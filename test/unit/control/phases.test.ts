import { describe, expect, test } from "bun:test";
import {
  nextPhase,
  phaseDeadlineReason,
  phaseDeadlineSeconds,
  type ServerPhase,
  type ServerStep,
} from "../../../src/control/phases.ts";

const STEPS = [
  "configuration",
  "admitted",
  "prepared",
  "begin",
  "streams-over",
] as const satisfies readonly ServerStep[];

/** The phase behind each step; null = the client may not take it. */
const TABLE: Readonly<Record<ServerPhase, Readonly<Record<ServerStep, ServerPhase | null>>>> = {
  configuring: { configuration: "admission", admitted: null, prepared: null, begin: null, "streams-over": null },
  admission: { configuration: null, admitted: "preparing", prepared: null, begin: null, "streams-over": null },
  preparing: { configuration: null, admitted: null, prepared: "ready", begin: null, "streams-over": null },
  ready: { configuration: "admission", admitted: null, prepared: null, begin: "running", "streams-over": null },
  running: { configuration: null, admitted: null, prepared: null, begin: null, "streams-over": "finished" },
  finished: { configuration: null, admitted: null, prepared: null, begin: null, "streams-over": null },
};
const PHASES = Object.keys(TABLE) as ServerPhase[];
const CASES = PHASES.flatMap((phase) => STEPS.map((step) => [phase, step, TABLE[phase][step]] as const));

test.each(CASES)("%s, then %s: %p", (phase, step, expected) => {
  if (expected !== null) {
    expect(nextPhase(phase, step)).toBe(expected);
    return;
  }
  expect(() => nextPhase(phase, step)).toThrow(
    expect.objectContaining({ name: "RperfError", code: "peer-protocol", message: expect.stringContaining(step) }),
  );
});

test.each([
  ["one configuration", ["configuration", "admitted", "prepared", "begin", "streams-over"]],
  [
    "both directions",
    ["configuration", "admitted", "prepared", "configuration", "admitted", "prepared", "begin", "streams-over"],
  ],
] as const)("a whole test with %s", (_name, steps) => {
  let phase: ServerPhase = "configuring";
  for (const step of steps) phase = nextPhase(phase, step);
  expect(phase).toBe("finished");
});

describe("deadlines", () => {
  test.each([
    ["configuring", 10, "configuration"],
    ["preparing", 10, "streams"],
    ["ready", 10, "begin"],
    ["running", null, "end"],
    ["finished", 10, "end"],
  ] as const)("%s: %p s, and the reason names what did not come", (phase, seconds, text) => {
    expect(phaseDeadlineSeconds(phase)).toBe(seconds);
    expect(phaseDeadlineReason(phase)).toContain(text);
  });
});

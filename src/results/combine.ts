import type { TestConfig } from "../config/types.ts";
import type { TestEnd } from "./collector.ts";
import { worst } from "./outcomes.ts";
import { summariseTest } from "./summarise.ts";
import { type Direction, type DirectionResult, SCHEMA_VERSION, type TestResult } from "./types.ts";

/** What a result tells of the test as a whole. */
export interface TestMeta extends Pick<TestResult, "server" | "startedSeconds" | "features" | "outages"> {
  readonly config: TestConfig;
}

/**
 * Makes the result of a test from that of its one direction, or from those of two, forward first. `end` is how the
 * session saw it end; a direction that ended worse outweighs it.
 */
export function makeTestResult(meta: TestMeta, directions: readonly DirectionResult[], end: TestEnd): TestResult {
  const [forward, reverse] = directions;
  const ends = directions.map((direction) => endOfDirection(direction, directions.length > 1));
  const { outcome, reason } = worst([end, ...ends]);
  return {
    schemaVersion: SCHEMA_VERSION,
    ...meta,
    streams: directions.flatMap(({ streams }) => streams),
    summary: summariseTest(
      meta.config,
      directions.map(({ summary }) => summary),
    ),
    success: outcome === "completed",
    outcome,
    reason,
    directions: forward === undefined || reverse === undefined ? null : { forward, reverse },
  };
}

function endOfDirection({ outcome, reason, config }: DirectionResult, isNamed: boolean): TestEnd {
  const name: Direction = config.reverse ? "reverse" : "forward";
  return {
    outcome,
    reason: isNamed ? reason && { code: reason.code, message: `${name}: ${reason.message}` } : reason,
  };
}

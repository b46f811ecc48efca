import type { TestConfig } from "../config/types.ts";
import type { Direction, Reason, Side, TestResult } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";

/** A test about to run, as far as a report names it. */
export interface TestStart {
  readonly config: TestConfig;
  readonly address: string;
  readonly port: number;
  readonly ipVersion: 4 | 6;
}

/** Renders one test as it happens and at its end; computes no statistics beyond what a line shows. */
export interface Reporter {
  started(test: TestStart): void;
  interval(direction: Direction, streamIndex: number, interval: Interval): void;
  /** One side of a stream gives no more intervals; `failure` is null when it completed. */
  sideEnded(direction: Direction, streamIndex: number, side: Side, failure: string | null): void;
  /** The server is full, and the test waits: 1 = next, and seconds as expected, null = not known. Before `started`. */
  queued?(place: number, waitSeconds: number | null): void;
  /** The control connection is lost, and tried to be had again. */
  outage?(message: string): void;
  /** The control connection is had again. */
  resumed?(outageSeconds: number): void;
  /** The result is whole, even when the test is not; called at most once, and last. */
  finished(result: TestResult): void;
  /** There is no result: the test could not begin. Called at most once, and last. */
  failed?(reason: NonNullable<Reason>): void;
}

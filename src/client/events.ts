import type { TestConfig } from "../config/types.ts";
import type { Direction, Side } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";

/** What a running test tells as it happens. */
export type ClientEvent =
  | {
      readonly type: "connected";
      readonly config: TestConfig;
      readonly address: string;
      readonly port: number;
      readonly ipVersion: 4 | 6;
    }
  /** The server is full, and the test waits: 1 = next, and seconds as expected, null = not known. */
  | { readonly type: "queued"; readonly place: number; readonly waitSeconds: number | null }
  | { readonly type: "started" }
  | {
      readonly type: "interval";
      readonly direction: Direction;
      readonly streamIndex: number;
      readonly interval: Interval;
    }
  | {
      readonly type: "stream-ended";
      readonly direction: Direction;
      readonly streamIndex: number;
      readonly side: Side;
      /** Null when that side completed. */
      readonly failure: string | null;
    }
  /** The control connection is lost, and tried to be had again. */
  | { readonly type: "outage"; readonly message: string }
  | { readonly type: "resumed"; readonly outageSeconds: number }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "debug"; readonly message: string };

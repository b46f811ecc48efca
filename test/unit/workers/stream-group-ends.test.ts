import { expect, test } from "bun:test";
import { StreamGroup } from "../../../src/workers/stream-group.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";
import { eventually } from "../../support/eventually.ts";
import { RECEIVER } from "./streams.ts";

test("a group whose streams were over before the start is over once it has told of the last", async () => {
  const prepared = { type: "prepared", port: 1 } as const;
  const failed = { type: "failed", code: "stream-failed", message: "it broke", report: null } as const;
  const workers = await scriptedPool({ prepare: [prepared, failed], start: [] }).acquire({
    streams: 2,
    cpus: 0,
    streamBytesPerSecond: 0,
  });
  const told: boolean[] = [];
  const group: StreamGroup = new StreamGroup(workers, {
    onInterval: () => {},
    onWarning: () => {},
    onDebug: () => {},
    onOver: () => void told.push(group.isOver),
  });
  await group.prepare([RECEIVER, RECEIVER]);
  await eventually(
    "both ends",
    () => [0, 1].filter((index) => group.isLive(index)),
    (live) => live.length === 0,
  );
  expect(group.isOver).toBe(false);
  group.start();
  expect(told).toEqual([false, true]);
  group.dispose();
});

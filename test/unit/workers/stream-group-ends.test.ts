import { expect, test } from "bun:test";
import { StreamGroup } from "../../../src/workers/stream-group.ts";
import { StreamWorker } from "../../../src/workers/worker-thread.ts";
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

test("a stream that is over is not told what its sender has sent", async () => {
  const commands: string[] = [];
  const thread = { command: ({ type }: { readonly type: string }) => void commands.push(type), dispose: () => {} };
  const worker = new StreamWorker(0, thread);
  const group = new StreamGroup([worker], {
    onInterval: () => {},
    onWarning: () => {},
    onDebug: () => {},
    onOver: () => {},
  });
  const preparing = group.prepare([RECEIVER]);
  worker.event({ type: "prepared", port: 1 });
  await preparing;
  group.start();
  group.finish(0, { packets: 1, omittedPackets: 0 });
  worker.event({ type: "failed", code: "stream-failed", message: "it broke", report: null });
  group.finish(0, { packets: 1, omittedPackets: 0 });
  group.finish(7, { packets: 1, omittedPackets: 0 });
  expect(commands).toEqual(["prepare", "start", "finish"]);
});

import { expect, test } from "bun:test";
import type { StreamSpec } from "../../../src/streams/spec.ts";
import type { WorkerReport } from "../../../src/workers/messages.ts";
import { serveStreams } from "../../../src/workers/serve-streams.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/ports.ts";
import { RECEIVER } from "./streams.ts";

/** What a Worker does, on this thread; tells the types of each slot's events. */
function served() {
  const told: [number, string][] = [];
  const command = serveStreams((report: WorkerReport) => {
    if (report.type === "stream") told.push([report.slot, report.event.type]);
  });
  const prepare = async (slot: number, spec: StreamSpec) => {
    command({ type: "prepare", slot, spec });
    await eventually(
      `stream ${slot}`,
      () => told,
      (events) => events.some(([of, type]) => of === slot && (type === "prepared" || type === "failed")),
    );
  };
  return { command, prepare, told };
}

test("a stream that is dropped is stopped, and tells nothing of it", async () => {
  const { command, prepare, told } = served();
  await prepare(0, RECEIVER);
  await prepare(1, RECEIVER);
  const before = told.length;
  command({ type: "drop", slot: 0 });
  command({ type: "stop", slot: 0 });
  command({ type: "stop", slot: 1 });
  expect(told.slice(before)).toEqual([[1, "failed"]]);
  command({ type: "drop", slot: 1 });
});

test("one that is dropped before it could bind tells nothing, and holds no port", async () => {
  const { command, prepare, told } = served();
  await prepare(0, RECEIVER);
  command({ type: "stop", slot: 0 });
  const before = told.length;
  const port = await freePort();
  const ports = [{ first: port, last: port }];
  command({ type: "prepare", slot: 1, spec: { ...RECEIVER, ports } });
  command({ type: "drop", slot: 1 });
  await Bun.sleep(20);
  expect(told).toHaveLength(before);
  await prepare(2, { ...RECEIVER, ports });
  expect(told.at(-1)).toEqual([2, "prepared"]);
  command({ type: "drop", slot: 2 });
});

test("commands for a stream that is not there do nothing", () => {
  const { command, told } = served();
  for (const type of ["start", "stop", "drop"] as const) command({ type, slot: 3 });
  expect(told).toEqual([]);
});

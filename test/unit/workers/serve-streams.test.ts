import { expect, test } from "bun:test";
import type { StreamSpec } from "../../../src/streams/spec.ts";
import type { WorkerReport } from "../../../src/workers/messages.ts";
import { serveStreams } from "../../../src/workers/serve-streams.ts";
import { openConnection } from "../../../src/streams/tcp-connection.ts";
import { StreamGroup } from "../../../src/workers/stream-group.ts";
import { StreamWorker } from "../../../src/workers/worker-thread.ts";
import { eventually, within } from "../../support/eventually.ts";
import { freePort } from "../../support/ports.ts";
import { ELSEWHERE, RECEIVER, receiverOn, senderTo } from "./streams.ts";

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
  command({ type: "prepare", slot: 1, spec: receiverOn(ports) });
  command({ type: "drop", slot: 1 });
  await Bun.sleep(20);
  expect(told).toHaveLength(before);
  await prepare(2, receiverOn(ports));
  expect(told.at(-1)).toEqual([2, "prepared"]);
  command({ type: "drop", slot: 2 });
});

test.each<[string, StreamSpec | null]>([
  ["there is none", null],
  ["it could not be made", { ...senderTo(9), lengthBytes: -1 }],
  ["it could not be prepared", ELSEWHERE],
  ["a sender was stopped", senderTo(9)],
  ["a receiver was stopped", RECEIVER],
])("a connection for a stream is closed where %s", async (_name, spec) => {
  const { command, prepare } = served();
  if (spec !== null) await prepare(0, spec);
  command({ type: "stop", slot: 0 });
  const { descriptor, closed } = await connection();
  command({ type: "take", slot: 0, handed: { family: "tcp", descriptor } });
  await within("the close", closed);
});

test("a group closes a connection for a stream that it does not have, or has no more", async () => {
  const events = { onInterval: () => {}, onWarning: () => {}, onDebug: () => {}, onOver: () => {} };
  const group = new StreamGroup([new StreamWorker(0, { command: () => {}, dispose: () => {} })], events);
  group.dispose();
  for (const streamIndex of [0, 1]) {
    const { descriptor, closed } = await connection();
    group.take(streamIndex, { family: "tcp", descriptor });
    await within("the close", closed);
  }
});

/** A connection to hand over, and the end of its peer's. */
async function connection() {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const socket = { data: () => {}, close: () => resolve() };
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const path = { ...RECEIVER.path, localAddress: "127.0.0.1" };
  const descriptor = await openConnection("127.0.0.1", listener.port, path);
  return { descriptor, closed: closed.finally(() => listener.stop(true)) };
}

test("commands for a stream that is not there do nothing", () => {
  const { command, told } = served();
  for (const type of ["stop", "drop"] as const) command({ type, slot: 3 });
  command({ type: "start", slot: 3, terms: null });
  command({ type: "finish", slot: 3, sent: { packets: 1, omittedPackets: 0 } });
  expect(told).toEqual([]);
});

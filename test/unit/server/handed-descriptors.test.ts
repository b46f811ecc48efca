// A data connection that came to the control port is closed by whoever finds that nobody wants it any more.
import { expect, test } from "bun:test";
import { openSocket } from "../../../ffi/open-socket.ts";
import { existsSync } from "node:fs";
import type { Handed, ReceiverSpec, SenderSpec, StreamSpec } from "../../../src/streams/spec.ts";
import { StreamGroup } from "../../../src/workers/stream-group.ts";
import { serveStreams } from "../../../src/workers/serve-streams.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";

const PATH = { localAddress: null, localPort: 0, device: null, congestion: null, dscp: null, maxSegmentBytes: null };
const COMMON = {
  family: "tcp",
  streamIndex: 0,
  testId: new Uint8Array(16),
  lengthBytes: 1024,
  endpoint: { type: "handed", localAddress: "127.0.0.1", localPort: 5199 },
  path: PATH,
  intervalSeconds: 1,
  omitSeconds: 0,
  affinityCpu: null,
  offload: "auto",
} as const;
const RECEIVER: ReceiverSpec = {
  ...COMMON,
  role: "receiver",
  bandwidthBytesPerSecond: null,
  receiveBufferBytes: 0,
  isPatient: true,
};
const SENDER: SenderSpec = {
  ...COMMON,
  role: "sender",
  bandwidthBytesPerSecond: 0,
  durationSeconds: 1,
  pacing: "even",
  sendIntervalSeconds: 0.05,
  writeSize: "auto",
  sendBufferBytes: 0,
  noDelay: false,
};

/** Null where the system has no such sockets. */
function connection(): { readonly handed: Handed; isOpen(): boolean } | null {
  const nowhere = { localAddress: null, localPort: 0, device: null, reusePort: false } as const;
  const opened = openSocket({ transport: "tcp", ipVersion: 4, ...nowhere });
  if (!opened.ok || !existsSync("/proc/self/fd")) return null;
  const descriptor = opened.value;
  return { handed: { family: "tcp", descriptor }, isOpen: () => existsSync(`/proc/self/fd/${descriptor}`) };
}

const given = connection();
const isAble = given !== null;

test.skipIf(!isAble).each([RECEIVER, SENDER])("a stream that is over closes it: $role", async (spec: StreamSpec) => {
  const command = serveStreams(() => {});
  command({ type: "prepare", slot: 0, spec });
  await Bun.sleep(1);
  command({ type: "stop", slot: 0 });
  const one = connection();
  if (one === null) return;
  expect(one.isOpen()).toBe(true);
  command({ type: "take", slot: 0, handed: one.handed });
  expect(one.isOpen()).toBe(false);
  command({ type: "drop", slot: 0 });
});

test.skipIf(!isAble)("so does a group whose stream is over, or that was disposed of", async () => {
  const failed = { type: "failed", code: "stream-failed", message: "it broke", report: null } as const;
  const workers = await scriptedPool({ prepare: [failed], start: [] }).acquire({
    streams: 1,
    cpus: 0,
    streamBytesPerSecond: 0,
  });
  const group = new StreamGroup(workers, {
    onInterval: () => {},
    onWarning: () => {},
    onDebug: () => {},
    onOver: () => {},
  });
  expect(group.isLive(0)).toBe(true);
  await group.prepare([RECEIVER]).catch(() => {});
  for (const dispose of [() => {}, () => group.dispose()]) {
    dispose();
    const one = connection();
    if (one === null) return;
    expect(group.isLive(0)).toBe(false);
    group.take(0, one.handed);
    expect(one.isOpen()).toBe(false);
  }
});

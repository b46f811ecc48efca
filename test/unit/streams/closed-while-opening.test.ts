// A stream that is stopped while its socket is being made leaves none: its thread may live on for others.
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { systemClock } from "../../../src/clock.ts";
import { createStream } from "../../../src/streams/create-stream.ts";
import type { Endpoint, SenderSpec } from "../../../src/streams/spec.ts";
import { StreamLoop } from "../../../src/streams/stream-loop.ts";
import { eventually } from "../../support/eventually.ts";

const clock = systemClock();
const loop = new StreamLoop(clock);
const isAble = existsSync("/proc/self/fd") && loop.io !== null;

function sender(family: "tcp" | "udp", endpoint: Endpoint) {
  const spec: SenderSpec = {
    role: "sender",
    family,
    endpoint,
    streamIndex: 0,
    testId: new Uint8Array(16),
    lengthBytes: 1024,
    path: { localAddress: null, localPort: 0, device: null, congestion: null, dscp: null, maxSegmentBytes: null },
    intervalSeconds: 1,
    omitSeconds: 0,
    affinityCpu: null,
    offload: "auto",
    bandwidthBytesPerSecond: 125_000,
    durationSeconds: 1,
    pacing: "even",
    sendIntervalSeconds: 0.05,
    writeSize: "auto",
    sendBufferBytes: 0,
    noDelay: false,
  };
  return createStream(spec, clock, loop, () => {});
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test.skipIf(!isAble)("a UDP sender whose receiver came to the control port", async () => {
  const before = descriptors();
  const stream = sender("udp", { type: "handed", localAddress: "127.0.0.1", localPort: 0 });
  await stream.prepare();
  stream.take({ family: "udp", address: "127.0.0.1", port: 9 });
  stream.stop();
  await Bun.sleep(20);
  await eventually("no socket", descriptors, (count) => count <= before);
});

test.skipIf(!isAble)("a TCP sender that dials", async () => {
  const opened: Bun.Socket[] = [];
  let closed = 0;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: (socket) => void opened.push(socket), data: () => {}, close: () => void closed++ },
  });
  const endpoint = { type: "dial", address: "127.0.0.1", port: listener.port, isControlPort: false } as const;
  const stream = sender("tcp", endpoint);
  const preparing = stream.prepare();
  stream.stop();
  await preparing;
  await eventually(
    "its close",
    () => closed,
    (count) => count === opened.length && count > 0,
  );
  listener.stop(true);
  expect(opened).toHaveLength(1);
});

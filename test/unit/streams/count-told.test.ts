// A UDP receiver that goes by its sender's count, and not by silence.
import { expect, test } from "bun:test";
import { systemClock } from "../../../src/clock.ts";
import { createStream } from "../../../src/streams/create-stream.ts";
import type { ReceiverSpec, StreamEvent } from "../../../src/streams/spec.ts";
import { StreamLoop } from "../../../src/streams/stream-loop.ts";
import { eventually } from "../../support/eventually.ts";

const SPEC: ReceiverSpec = {
  role: "receiver",
  family: "udp",
  streamIndex: 0,
  testId: new Uint8Array(16),
  lengthBytes: 1024,
  endpoint: { type: "listen", bindAddress: "127.0.0.1", ports: [], firstChoice: 0, peerAddress: null },
  path: { localAddress: null, localPort: 0, device: null, congestion: null, dscp: null, maxSegmentBytes: null },
  intervalSeconds: 1,
  omitSeconds: 0,
  affinityCpu: null,
  offload: "auto",
  bandwidthBytesPerSecond: null,
  receiveBufferBytes: 0,
  isPatient: true,
};

async function endBehind(packets: number): Promise<StreamEvent | undefined> {
  const events: StreamEvent[] = [];
  const clock = systemClock();
  const stream = createStream(SPEC, clock, new StreamLoop(clock), (event) => void events.push(event));
  await stream.prepare();
  stream.start(null);
  stream.finish({ packets, omittedPackets: 0 });
  const ends = () => events.filter(({ type }) => type === "ended" || type === "failed");
  await eventually("its end", ends, ({ length }) => length > 0);
  return ends()[0];
}

test("none of what was sent came: it failed, and its books tell", async () => {
  const end = await endBehind(5);
  expect(end).toMatchObject({ type: "failed", code: "stream-silent" });
  expect(end).toMatchObject({ report: { totals: { books: { packetsSent: 5, packetsUnique: 0, packetsLost: 5 } } } });
});

test("nothing was sent: it ended", async () => {
  expect(await endBehind(0)).toMatchObject({ type: "ended" });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeClientMessage, decodeServerMessage } from "../../../src/protocol/decode.ts";
import { encodeClientMessage, encodeServerMessage } from "../../../src/protocol/encode.ts";
import type { ClientMessage, Configuration, ServerMessage } from "../../../src/protocol/messages.ts";
import type { Interval } from "../../../src/stats/interval.ts";
import { factsOf } from "../../golden/scenarios.ts";

const onTheWire = (message: object): Uint8Array => new TextEncoder().encode(JSON.stringify(message));

const seconds = fc.double({ min: 0, max: 4e9, noNaN: true });
const count = fc.maxSafeNat();
const port = fc.integer({ min: 1, max: 65_535 });
const bufferBytes = fc.nat({ max: 2 ** 31 - 1 });
const omitSeconds = fc.nat({ max: 31 * 86_400 });
const bandwidth = fc.double({ min: 0, max: 1e15, noNaN: true });
const answered = { version: fc.integer({ min: 1 }), omitSeconds };
const extensions = fc.option(fc.record(answered));
const offered = { ...answered, offload: fc.constantFrom("auto", "on", "off") };
const downloadExtensions = fc.option(fc.record({ ...offered, bandwidthBytesPerSecond: fc.option(bandwidth) }));
const uploadExtensions = fc.option(
  fc.record({
    ...offered,
    pacing: fc.constantFrom("even", "slices"),
    writeSize: fc.constantFrom("auto", "length"),
  }),
);
const testId = fc.uint8Array({ minLength: 16, maxLength: 16 });

function configurations(family: "tcp" | "udp"): fc.Arbitrary<Configuration> {
  const common = {
    kind: fc.constant("configuration" as const),
    family: fc.constant(family),
    testId,
    lengthBytes: family === "tcp" ? fc.integer({ min: 16, max: 2 ** 20 }) : fc.integer({ min: 36, max: 65_507 }),
  };
  const download = fc.record({
    ...common,
    role: fc.constant("download" as const),
    streams: fc.integer({ min: 1, max: 255 }),
    receiveBufferBytes: bufferBytes,
    extensions: downloadExtensions,
  });
  const upload = fc.array(port, { minLength: 1, maxLength: 255 }).chain((streamPorts) =>
    fc.record({
      ...common,
      role: fc.constant("upload" as const),
      streams: fc.constant(streamPorts.length),
      streamPorts: fc.constant(streamPorts),
      bandwidthBytesPerSecond: bandwidth,
      durationSeconds: fc.double({ min: 0, max: 31 * 86_400, noNaN: true }),
      sendIntervalSeconds: fc.double({ min: 1e-6, max: 1, noNaN: true }),
      sendBufferBytes: bufferBytes,
      noDelay: family === "tcp" ? fc.boolean() : fc.constant(false),
      extensions: uploadExtensions,
    }),
  );
  return fc.oneof(download, upload);
}

const clientMessages: fc.Arbitrary<ClientMessage> = fc.oneof(
  configurations("tcp"),
  configurations("udp"),
  fc.constantFrom({ kind: "begin" } as const, { kind: "end" } as const),
);

const base = { timestampSeconds: seconds, durationSeconds: seconds };
const sent = { ...base, kind: fc.constant("send" as const), bytesSent: count, sendsBlocked: count };
const received = { ...base, kind: fc.constant("receive" as const), bytesReceived: count };
const udpCounts = { packetsReceived: count, packetsOutOfOrder: count, packetsDuplicated: count };
const tcp = fc.constant("tcp" as const);
const udp = fc.constant("udp" as const);
const omittedSend = fc.record({ durationSeconds: seconds, bytesSent: count, packetsSent: count, sendsBlocked: count });
const omittedReceive = fc.record({ durationSeconds: seconds, bytesReceived: count, ...udpCounts });

/** With and without `omitted`, which is left out and never undefined. */
function omittable<Base extends object, Omitted>(all: fc.Arbitrary<Base>, omitted: fc.Arbitrary<Omitted>) {
  return fc.oneof(
    all,
    fc.tuple(all, omitted).map(([one, share]) => ({ ...one, omitted: share })),
  );
}

const intervals: fc.Arbitrary<Interval> = fc.oneof(
  omittable(fc.record({ ...sent, family: tcp }), omittedSend),
  omittable(fc.record({ ...sent, family: udp, packetsSent: count }), omittedSend),
  fc.record({ ...received, family: tcp }),
  omittable(
    fc.record({
      ...received,
      family: udp,
      ...udpCounts,
      packetsLost: count,
      unbrokenSequence: count,
      jitterSeconds: fc.option(seconds),
    }),
    omittedReceive,
  ),
);

const fact = fc.option(bufferBytes);
const place = fc.option(fc.constantFrom("kernel", "user"));
const streamIndex = fc.nat({ max: 254 });
const serverMessages: fc.Arbitrary<ServerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("connect" as const),
    streamPorts: fc.array(port, { minLength: 255, maxLength: 255 }),
    extensions,
  }),
  fc.record({ kind: fc.constant("connect-ready" as const), extensions }),
  fc.record({ kind: fc.constant("result" as const), streamIndex, interval: intervals }),
  fc.record({
    kind: fc.constantFrom("done" as const, "failed" as const),
    streamIndex,
    socket: fc.option(
      fc.record({
        sendBufferBytes: fact,
        receiveBufferBytes: fact,
        affinityCpu: fact,
        offload: fc.option(fc.boolean()),
        timestamps: place,
        pacing: place,
        writeBytes: fact,
      }),
    ),
    message: fc.option(fc.string({ unit: "grapheme" })),
  }),
  fc.record({ kind: fc.constant("error" as const), message: fc.string({ unit: "grapheme" }) }),
);

describe("what is encoded is decoded to the same", () => {
  test("client messages", () => {
    fc.assert(
      fc.property(clientMessages, (message) => {
        expect(decodeClientMessage(onTheWire(encodeClientMessage(message)))).toEqual(message);
      }),
      { numRuns: 500 },
    );
  });

  test("server messages", () => {
    fc.assert(
      fc.property(serverMessages, (message) => {
        expect(decodeServerMessage(onTheWire(encodeServerMessage(message)), 255)).toEqual(message);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a configuration holds every field that the original unwraps", () => {
  const COMMON = ["kind", "family", "role", "test_id", "streams", "length"];
  const OF_ROLE = {
    download: ["receive_buffer"],
    upload: ["bandwidth", "duration", "send_interval", "send_buffer", "no_delay", "stream_ports"],
  } as const;

  test.each(["tcp", "udp"] as const)("%s", (family) => {
    fc.assert(
      fc.property(configurations(family), (message) => {
        const wire = encodeClientMessage(message);
        const expected = [...COMMON, ...OF_ROLE[message.role], ...(message.extensions === null ? [] : ["extensions"])];
        expect(Object.keys(wire).sort()).toEqual(expected.sort());
        expect(Object.values(wire)).not.toContain(undefined);
      }),
    );
  });
});

describe("exact messages", () => {
  const testId = Uint8Array.from({ length: 16 }, (_, index) => index);
  test.each<[string, object, object]>([
    ["begin", encodeClientMessage({ kind: "begin" }), { kind: "begin" }],
    ["end", encodeClientMessage({ kind: "end" }), { kind: "end" }],
    [
      "udp upload",
      encodeClientMessage({
        kind: "configuration",
        family: "udp",
        role: "upload",
        testId,
        streams: 1,
        lengthBytes: 1024,
        extensions: { version: 1, omitSeconds: 2, offload: "off", pacing: "slices", writeSize: "length" },
        bandwidthBytesPerSecond: 125_000,
        durationSeconds: 10,
        sendIntervalSeconds: 0.05,
        sendBufferBytes: 0,
        noDelay: false,
        streamPorts: [5000],
      }),
      {
        kind: "configuration",
        family: "udp",
        role: "upload",
        test_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        streams: 1,
        length: 1024,
        extensions: { version: 1, omit_seconds: 2, offload: "off", pacing: "slices", write_size: "length" },
        bandwidth: 125_000,
        duration: 10,
        send_interval: 0.05,
        send_buffer: 0,
        no_delay: false,
        stream_ports: [5000],
      },
    ],
    [
      "tcp download of an unlimited stream",
      encodeClientMessage({
        kind: "configuration",
        family: "tcp",
        role: "download",
        testId,
        streams: 1,
        lengthBytes: 32_768,
        extensions: { version: 1, omitSeconds: 0, offload: "auto", bandwidthBytesPerSecond: 0 },
        receiveBufferBytes: 0,
      }),
      {
        kind: "configuration",
        family: "tcp",
        role: "download",
        test_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        streams: 1,
        length: 32_768,
        extensions: { version: 1, omit_seconds: 0, offload: "auto", bandwidth: 0 },
        receive_buffer: 0,
      },
    ],
    [
      "connect-ready to a client of ours",
      encodeServerMessage({ kind: "connect-ready", extensions: { version: 1, omitSeconds: 2 } }),
      { kind: "connect-ready", extensions: { version: 1, omit_seconds: 2 } },
    ],
    [
      "connect to an original client",
      encodeServerMessage({ kind: "connect", streamPorts: [1, 2], extensions: null }),
      { kind: "connect", stream_ports: [1, 2] },
    ],
    [
      "done for an original client",
      encodeServerMessage({ kind: "done", streamIndex: 3, socket: null, message: null }),
      { kind: "done", origin: "server", stream_idx: 3 },
    ],
    [
      "failed for a client of ours",
      encodeServerMessage({
        kind: "failed",
        streamIndex: 0,
        socket: factsOf({ receiveBufferBytes: 4096, affinityCpu: 0, offload: false, timestamps: "user" }),
        message: "why",
      }),
      {
        kind: "failed",
        origin: "server",
        stream_idx: 0,
        socket: { receive_buffer: 4096, affinity_cpu: 0, offload: false, timestamps: "user" },
        message: "why",
      },
    ],
    [
      "done of a tcp sender",
      encodeServerMessage({
        kind: "done",
        streamIndex: 0,
        socket: factsOf({ sendBufferBytes: 4096, pacing: "kernel", writeBytes: 131_072 }),
        message: null,
      }),
      {
        kind: "done",
        origin: "server",
        stream_idx: 0,
        socket: { send_buffer: 4096, pacing: "kernel", write_size: 131_072 },
      },
    ],
    [
      "a udp result",
      encodeServerMessage({
        kind: "result",
        streamIndex: 1,
        interval: {
          kind: "receive",
          family: "udp",
          timestampSeconds: 5.5,
          durationSeconds: 1,
          bytesReceived: 2064,
          packetsReceived: 2,
          packetsLost: 3,
          packetsOutOfOrder: 4,
          packetsDuplicated: 5,
          unbrokenSequence: 6,
          jitterSeconds: null,
        },
      }),
      {
        kind: "receive",
        family: "udp",
        stream_idx: 1,
        timestamp: 5.5,
        duration: 1,
        bytes_received: 2064,
        packets_received: 2,
        packets_lost: 3,
        packets_out_of_order: 4,
        packets_duplicated: 5,
        unbroken_sequence: 6,
        jitter_seconds: null,
      },
    ],
  ])("%s", (_name, encoded, expected) => {
    expect(encoded).toEqual(expected);
    expect(JSON.parse(JSON.stringify(encoded))).toEqual(expected);
  });
});

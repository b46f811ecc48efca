import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeClientMessage, decodeServerMessage } from "../../../src/protocol/decode.ts";
import { encodeClientMessage, encodeServerMessage } from "../../../src/protocol/encode.ts";
import {
  type ClientMessage,
  type Completion,
  type Configuration,
  RESUMED_PHASES,
  type ServerMessage,
} from "../../../src/protocol/messages.ts";
import type { Interval } from "../../../src/stats/interval.ts";
import { NO_TOTALS } from "../../../src/results/types.ts";
import { booksOf, factsOf } from "../../golden/scenarios.ts";

const onTheWire = (message: object): Uint8Array => new TextEncoder().encode(JSON.stringify(message));

const seconds = fc.double({ min: 0, max: 4e9, noNaN: true });
const count = fc.maxSafeNat();
const port = fc.integer({ min: 1, max: 65_535 });
const bufferBytes = fc.nat({ max: 2 ** 31 - 1 });
const omitSeconds = fc.nat({ max: 31 * 86_400 });
const bandwidth = fc.double({ min: 0, max: 1e15, noNaN: true });
const duration = fc.double({ min: 0, max: 31 * 86_400, noNaN: true });
const shared = {
  version: fc.integer({ min: 1 }),
  omitSeconds,
  accounting: fc.boolean(),
  singlePort: fc.boolean(),
  intervalSeconds: fc.double({ min: 0.1, max: 60, noNaN: true }),
};
const token = fc.string({ unit: "grapheme-ascii", maxLength: 128 });

/** What a server grants to so many streams. */
function extensionsFor(streams: number) {
  return fc.option(
    fc.record({
      ...shared,
      dialPorts: fc.option(fc.array(port, { minLength: streams, maxLength: streams })),
      resume: fc.option(fc.record({ token: fc.option(token) })),
    }),
  );
}

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const offered = {
  ...shared,
  offload: fc.constantFrom("auto", "on", "off"),
  resumeTimeoutSeconds: fc.option(fc.double({ min: 0, max: 600, noNaN: true })),
  path: fc.record({
    congestion: fc.option(fc.stringMatching(/^[a-z0-9_-]{1,15}$/)),
    dscp: fc.option(fc.nat({ max: 63 })),
    maxSegmentBytes: fc.option(fc.integer({ min: 88, max: 32_767 })),
  }),
  waitSeconds: fc.option(fc.double({ min: 0, max: 3600, noNaN: true })),
  auth: fc.option(fc.record({ keyId: fc.string({ maxLength: 64 }), nonce: bytes32 })),
};
const downloadExtensions = fc.option(
  fc.record({ ...offered, bandwidthBytesPerSecond: fc.option(bandwidth), durationSeconds: fc.option(duration) }),
);
const uploadExtensions = fc.option(
  fc.record({
    ...offered,
    pacing: fc.constantFrom("even", "slices"),
    writeSize: fc.constantFrom("auto", "length"),
    clientDials: fc.boolean(),
  }),
);
const testId = fc.uint8Array({ minLength: 16, maxLength: 16 });
const streamIndex = fc.nat({ max: 254 });
const sentTotals = count.chain((packets) =>
  fc.record({ packets: fc.constant(packets), omittedPackets: fc.nat({ max: packets }) }),
);

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
      durationSeconds: duration,
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
  fc.record({ kind: fc.constant("sent" as const), streamIndex, sent: sentTotals }),
  fc.record({ kind: fc.constant("ack" as const), have: count }),
  fc.record({ kind: fc.constant("proof" as const), mac: bytes32 }),
  fc.record({ kind: fc.constant("resume" as const), token, have: count }),
  fc.record({ kind: fc.constant("data" as const), testId, streamIndex }),
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
const meanCount = fc.option(fc.double({ min: 0, max: Number.MAX_SAFE_INTEGER, noNaN: true }));
const books = fc.record({
  packetsSent: fc.option(count),
  packetsUnique: count,
  packetsLost: count,
  packetsDuplicated: count,
  packetsStray: count,
  reordering: fc.record({ packets: count, maxExtentPackets: count, meanExtentPackets: meanCount }),
  bursts: fc.record({ count, longestPackets: count, meanPackets: meanCount }),
});
const extensions = extensionsFor(255);
const serverMessages: fc.Arbitrary<ServerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("connect" as const),
    streamPorts: fc.array(port, { minLength: 255, maxLength: 255 }),
    extensions,
  }),
  fc.record({ kind: fc.constant("connect-ready" as const), extensions }),
  fc.record({
    kind: fc.constant("queued" as const),
    place: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
    waitSeconds: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
  }),
  fc.record({ kind: fc.constant("challenge" as const), nonce: bytes32, mac: bytes32 }),
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
        congestion: fc.option(fc.stringMatching(/^[a-z0-9_-]{1,15}$/)),
        dscp: fc.option(fc.nat({ max: 63 })),
        maxSegmentBytes: fact,
      }),
    ),
    role: fc.option(fc.constantFrom("download", "upload")),
    message: fc.option(fc.string({ unit: "grapheme" })),
    totals: fc.record({
      books: fc.option(books),
      bufferDrops: fc.option(count),
      sendsRefused: fc.option(count),
      bytesUndelivered: fc.option(count),
    }),
    sent: fc.option(sentTotals),
  }),
  fc.record({ kind: fc.constant("resumed" as const), phase: fc.constantFrom(...RESUMED_PHASES), first: count }),
  fc.constant({ kind: "data-ready" } as const),
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
  const BARE = {
    accounting: false,
    singlePort: false,
    resumeTimeoutSeconds: null,
    intervalSeconds: 1,
    path: { congestion: null, dscp: null, maxSegmentBytes: null },
    waitSeconds: null,
    auth: null,
  };
  const completion = (told: Partial<Completion>): object =>
    encodeServerMessage({
      kind: "done",
      streamIndex: 0,
      role: null,
      socket: null,
      message: null,
      totals: NO_TOTALS,
      sent: null,
      ...told,
    });
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
        extensions: {
          ...BARE,
          version: 3,
          omitSeconds: 2,
          offload: "off",
          pacing: "slices",
          writeSize: "length",
          clientDials: false,
        },
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
        extensions: {
          version: 3,
          omit_seconds: 2,
          offload: "off",
          interval: 1,
          pacing: "slices",
          write_size: "length",
        },
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
        extensions: {
          ...BARE,
          version: 3,
          omitSeconds: 0,
          offload: "auto",
          bandwidthBytesPerSecond: 0,
          durationSeconds: null,
        },
        receiveBufferBytes: 0,
      }),
      {
        kind: "configuration",
        family: "tcp",
        role: "download",
        test_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        streams: 1,
        length: 32_768,
        extensions: { version: 3, omit_seconds: 0, offload: "auto", interval: 1, bandwidth: 0 },
        receive_buffer: 0,
      },
    ],
    [
      "connect-ready to a client of ours",
      encodeServerMessage({
        kind: "connect-ready",
        extensions: {
          version: 3,
          omitSeconds: 2,
          accounting: true,
          singlePort: true,
          dialPorts: [5199],
          resume: { token: "secret" },
          intervalSeconds: 0.5,
        },
      }),
      {
        kind: "connect-ready",
        extensions: {
          version: 3,
          omit_seconds: 2,
          interval: 0.5,
          accounting: true,
          single_port: true,
          dial: "client",
          stream_ports: [5199],
          resume: { token: "secret" },
        },
      },
    ],
    [
      "connect-ready that grants nothing",
      encodeServerMessage({
        kind: "connect-ready",
        extensions: {
          version: 3,
          omitSeconds: 0,
          accounting: false,
          singlePort: false,
          dialPorts: null,
          resume: null,
          intervalSeconds: 1,
        },
      }),
      { kind: "connect-ready", extensions: { version: 3, omit_seconds: 0, interval: 1 } },
    ],
    [
      "connect to an original client",
      encodeServerMessage({ kind: "connect", streamPorts: [1, 2], extensions: null }),
      { kind: "connect", stream_ports: [1, 2] },
    ],
    ["done for an original client", completion({ streamIndex: 3 }), { kind: "done", origin: "server", stream_idx: 3 }],
    [
      "failed for a client of ours",
      completion({
        kind: "failed",
        role: "download",
        socket: factsOf({ receiveBufferBytes: 4096, affinityCpu: 0, offload: false, timestamps: "user" }),
        message: "why",
      }),
      {
        kind: "failed",
        origin: "server",
        stream_idx: 0,
        role: "download",
        socket: { receive_buffer: 4096, affinity_cpu: 0, offload: false, timestamps: "user" },
        message: "why",
      },
    ],
    [
      "done of a tcp sender",
      completion({
        role: "upload",
        socket: factsOf({ sendBufferBytes: 4096, pacing: "kernel", writeBytes: 131_072 }),
        sent: { packets: 0, omittedPackets: 0 },
      }),
      {
        kind: "done",
        origin: "server",
        stream_idx: 0,
        role: "upload",
        sent: { packets: 0, omitted_packets: 0 },
        socket: { send_buffer: 4096, pacing: "kernel", write_size: 131_072 },
      },
    ],
    [
      "done of a udp receiver",
      completion({
        role: "download",
        totals: {
          books: booksOf(10, {
            packetsUnique: 7,
            packetsLost: 3,
            packetsDuplicated: 2,
            packetsStray: 1,
            reordering: { packets: 1, maxExtentPackets: 4, meanExtentPackets: 4 },
            bursts: { count: 2, longestPackets: 2, meanPackets: 1.5 },
          }),
          bufferDrops: 1,
          sendsRefused: null,
          bytesUndelivered: null,
        },
      }),
      {
        kind: "done",
        origin: "server",
        stream_idx: 0,
        role: "download",
        totals: {
          books: {
            sent: 10,
            unique: 7,
            lost: 3,
            duplicated: 2,
            stray: 1,
            reordered: 1,
            reorder_extent_max: 4,
            reorder_extent_mean: 4,
            bursts: 2,
            burst_longest: 2,
            burst_mean: 1.5,
          },
          buffer_drops: 1,
        },
      },
    ],
    [
      "sent",
      encodeClientMessage({ kind: "sent", streamIndex: 3, sent: { packets: 9, omittedPackets: 2 } }),
      { kind: "sent", stream_idx: 3, packets: 9, omitted_packets: 2 },
    ],
    ["ack", encodeClientMessage({ kind: "ack", have: 5 }), { kind: "ack", have: 5 }],
    [
      "resume",
      encodeClientMessage({ kind: "resume", token: "secret", have: 5 }),
      { kind: "resume", token: "secret", have: 5 },
    ],
    [
      "data",
      encodeClientMessage({ kind: "data", testId, streamIndex: 3 }),
      { kind: "data", test_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], stream_idx: 3 },
    ],
    [
      "resumed",
      encodeServerMessage({ kind: "resumed", phase: "running", first: 5 }),
      { kind: "resumed", phase: "running", first: 5 },
    ],
    ["data-ready", encodeServerMessage({ kind: "data-ready" }), { kind: "data-ready" }],
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

import { describe, expect, test } from "bun:test";
import type { TestConfig } from "../../../src/config/types.ts";
import { createJsonReporter, toJsonDocument } from "../../../src/report/json.ts";
import {
  configOf,
  ended,
  factsOf,
  type Happening,
  inDirection,
  intervalsOf,
  play,
  resultOf,
  type Scenario,
  tcpReceive,
  tcpSend,
  udpReceive,
  udpSend,
} from "../../golden/scenarios.ts";

/** Keys of what rperf 0.1.8 printed on loopback for `-P 2`, and with both buffers asked for. */
const ORIGINAL_COMMON = [
  "config.additional.ip_version",
  "config.additional.omit_seconds",
  "config.additional.reverse",
  "config.common.family",
  "config.common.length",
  "config.common.streams",
  "config.upload.bandwidth",
  "config.upload.duration",
  "config.upload.send_interval",
  "streams[].abandoned",
  "streams[].failed",
  "streams[].intervals.receive[].bytes_received",
  "streams[].intervals.receive[].duration",
  "streams[].intervals.receive[].timestamp",
  "streams[].intervals.send[].bytes_sent",
  "streams[].intervals.send[].duration",
  "streams[].intervals.send[].sends_blocked",
  "streams[].intervals.send[].timestamp",
  "streams[].intervals.summary.bytes_received",
  "streams[].intervals.summary.bytes_sent",
  "streams[].intervals.summary.duration_receive",
  "streams[].intervals.summary.duration_send",
  "success",
  "summary.bytes_received",
  "summary.bytes_sent",
  "summary.duration_receive",
  "summary.duration_send",
];

const ORIGINAL_UDP_SUMMARY = [
  "framed_packet_size",
  "jitter_average",
  "jitter_packets_consecutive",
  "packets_duplicated",
  "packets_lost",
  "packets_out_of_order",
  "packets_received",
  "packets_sent",
];

const ORIGINAL_TCP = [...ORIGINAL_COMMON, "config.upload.no_delay"];

const ORIGINAL_UDP = [
  ...ORIGINAL_COMMON,
  "streams[].intervals.receive[].jitter_seconds",
  "streams[].intervals.receive[].packets_duplicated",
  "streams[].intervals.receive[].packets_lost",
  "streams[].intervals.receive[].packets_out_of_order",
  "streams[].intervals.receive[].packets_received",
  "streams[].intervals.receive[].unbroken_sequence",
  "streams[].intervals.send[].packets_sent",
  ...ORIGINAL_UDP_SUMMARY.flatMap((key) => [`summary.${key}`, `streams[].intervals.summary.${key}`]),
];

/** Paths of all values that are no object or list. */
function pathsOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsOf(item, `${path}[]`));
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) => pathsOf(item, path === "" ? key : `${path}.${key}`));
}

const BOTH_ENDED = [ended(0, "client"), ended(0, "server")];

function documentOf(changes: Partial<TestConfig>, happenings: readonly Happening[], end = completed()) {
  const document = toJsonDocument(resultOf({ config: configOf(changes), happenings, end }));
  if (!("streams" in document)) throw new Error("a test of one direction has its streams at the top");
  return document;
}

function completed(): Scenario["end"] {
  return { outcome: "completed", reason: null };
}

const TCP_HAPPENINGS = [...intervalsOf(0, tcpSend(10), tcpReceive(10)), ...BOTH_ENDED];
const UDP_HAPPENINGS = [...intervalsOf(0, udpSend(10), udpReceive(10)), ...BOTH_ENDED];

describe("every key of the original is there", () => {
  test.each([
    ["tcp", ORIGINAL_TCP, TCP_HAPPENINGS],
    ["udp", ORIGINAL_UDP, UDP_HAPPENINGS],
  ] as const)("%s", (family, original, happenings) => {
    const ours = new Set(pathsOf(documentOf({ family }, happenings)));
    expect(original.filter((path) => !ours.has(path))).toEqual([]);
  });

  test("buffers, when they were asked for", () => {
    const { config } = documentOf({ sendBufferBytes: 65_536, receiveBufferBytes: 32_768 }, []);
    expect(config.upload).toMatchObject({ send_buffer: 65_536 });
    expect(config.download).toEqual({ receive_buffer: 32_768 });
  });
});

test("what the original leaves out is left out", () => {
  const { config } = documentOf({ family: "udp" }, []);
  expect(config.download).toEqual({});
  expect(config.upload).not.toContainAnyKeys(["send_buffer", "no_delay"]);
  expect(documentOf({}, TCP_HAPPENINGS).summary).not.toContainAnyKeys(["packets_sent", "jitter_average"]);
});

test("how it was to be sent, the original's send_interval beside it", () => {
  const { config: tcp } = documentOf({ pacing: "slices", sendIntervalSeconds: 0.01, writeSize: "length" }, []);
  expect(tcp.upload).toMatchObject({ pacing: "slices", send_interval: 0.01, write_size: "length" });
  expect(tcp.upload).not.toContainKey("offload");
  const { config: udp } = documentOf({ family: "udp", offload: "on" }, []);
  expect(udp.upload).toMatchObject({ pacing: "even", send_interval: 0.05 });
  expect(udp.upload).not.toContainKey("write_size");
  expect(udp.upload).toMatchObject({ offload: "on" });
});

describe("what was asked for beyond the original", () => {
  const OPTIONAL = ["bind", "bind_dev", "congestion", "dscp", "mss", "client_ports"];

  test("is told with its defaults, or left out", () => {
    const { additional } = documentOf({}, []).config;
    expect(additional).toMatchObject({ bidir: false, dial: "client", single_port: false });
    expect(additional).toMatchObject({ resume_timeout: 10, interval: 1 });
    expect(additional).not.toContainAnyKeys(OPTIONAL);
    expect(documentOf({}, [])).not.toContainKey("title");
  });

  test("is told as it was asked", () => {
    const document = documentOf(
      {
        title: "mast 3",
        localAddress: "192.0.2.7",
        device: "eth0",
        congestion: "bbr",
        dscp: 46,
        maxSegmentBytes: 1400,
        clientPorts: { first: 7, last: 8 },
        dial: "legacy",
      },
      [],
    );
    expect(document.title).toBe("mast 3");
    expect(document.config.additional).toMatchObject({
      dial: "legacy",
      bind: "192.0.2.7",
      bind_dev: "eth0",
      congestion: "bbr",
      dscp: 46,
      mss: 1400,
      client_ports: { first: 7, last: 8 },
    });
  });
});

test("features and outages of the test", () => {
  const scenario: Scenario = { config: configOf(), happenings: TCP_HAPPENINGS, end: completed() };
  expect(toJsonDocument(resultOf(scenario))).toMatchObject({ features: [], outages: [] });
  const outages = [{ startSeconds: 1.5, durationSeconds: 2 }];
  expect(toJsonDocument(resultOf({ ...scenario, features: ["resume"], outages }))).toMatchObject({
    features: ["resume"],
    outages: [{ start: 1.5, duration: 2 }],
  });
});

test("each of two directions has the original's keys, and the top has neither streams nor totals", () => {
  const happenings = [...inDirection("forward", TCP_HAPPENINGS), ...inDirection("reverse", TCP_HAPPENINGS)];
  const document = toJsonDocument(resultOf({ config: configOf({ bidir: true }), happenings, end: completed() }));
  expect(document).not.toContainAnyKeys(["streams", "summary"]);
  if (!("directions" in document)) throw new Error("a bidirectional test has directions");
  const { forward, reverse } = document.directions;
  for (const direction of [forward, reverse]) {
    const ours = new Set(pathsOf(direction));
    expect(ORIGINAL_TCP.filter((path) => !ours.has(path))).toEqual([]);
  }
  expect([forward.config.additional.reverse, reverse.config.additional.reverse]).toEqual([false, true]);
});

test("a receiver's facts", () => {
  const facts = factsOf({ receiveBufferBytes: 8192, offload: false, timestamps: "kernel" });
  const document = documentOf({ family: "udp" }, [ended(0, "server", completed(), facts)]);
  expect(document.streams[0]?.receiver.socket).toMatchObject({
    receive_buffer: 8192,
    offload: false,
    timestamps: "kernel",
    pacing: null,
    write_size: null,
  });
});

test("jitter that was not measured is null, not a number and not missing", () => {
  const document = documentOf({ family: "udp" }, [...intervalsOf(0, udpSend(1), udpReceive(1)), ...BOTH_ENDED]);
  expect(document.summary).toMatchObject({ jitter_average: null, jitter_packets_consecutive: 0 });
  expect(document.streams[0]?.intervals.receive[0]).toMatchObject({ jitter_seconds: null });
});

test("streams say how they ended", () => {
  const failed: Scenario["end"] = { outcome: "failed", reason: { code: "stream-silent", message: "no data for 3 s" } };
  const happenings = [
    ended(0, "client", failed),
    ended(0, "server"),
    ended(
      1,
      "client",
      completed(),
      factsOf({ sendBufferBytes: 8192, affinityCpu: 3, pacing: "user", writeBytes: 4096 }),
    ),
    ended(2, "client"),
    ended(2, "server"),
  ];
  const document = documentOf({ parallel: 3 }, happenings);
  expect(document).toMatchObject({ schema_version: 2, success: false, outcome: "failed" });
  expect(document.reason).toEqual({ code: "stream-silent", message: "stream 0, sender: no data for 3 s" });
  expect(document.streams.map(({ stream_idx, failed, abandoned }) => [stream_idx, failed, abandoned])).toEqual([
    [0, true, false],
    [1, false, true],
    [2, false, false],
  ]);
  expect(document.streams.map(({ outcome, reason }) => [outcome, reason?.message ?? null])).toEqual([
    ["failed", "sender: no data for 3 s"],
    ["partial", "receiver: its end was never heard of"],
    ["completed", null],
  ]);
  expect(document.streams[0]?.sender).toEqual({ ...failed, socket: null });
  expect(document.streams[1]?.sender.socket).toEqual({
    send_buffer: 8192,
    receive_buffer: null,
    affinity_cpu: 3,
    offload: null,
    timestamps: null,
    pacing: "user",
    write_size: 4096,
    congestion: null,
    dscp: null,
    mss: null,
  });
});

test("the reporter writes one document, at the end", () => {
  const written: string[] = [];
  const scenario: Scenario = { config: configOf(), happenings: TCP_HAPPENINGS, end: completed() };
  play(scenario, createJsonReporter({ write: (text) => written.push(text) }));
  expect(written).toHaveLength(1);
  expect(written[0]).toEndWith("\n}\n");
  expect(JSON.parse(written[0] ?? "")).toEqual(toJsonDocument(resultOf(scenario)));
});

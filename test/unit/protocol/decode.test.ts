import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { NO_TOTALS } from "../../../src/results/types.ts";
import { factsOf } from "../../golden/scenarios.ts";
import {
  type Allowed,
  bodyOf,
  decodeClient,
  decodeServer,
  expectTakes,
  type Json,
  LABELS,
  NONE,
  refusalOf,
  replaced,
  STREAMS,
} from "./replacements.ts";

const TEST_ID = Array.from({ length: 16 }, (_, index) => index * 17);
const EXTENSIONS = { version: 1, omit_seconds: 2 };
const DOWNLOAD_EXTENSIONS = { ...EXTENSIONS, offload: "on", bandwidth: 125_000 };
const UPLOAD_EXTENSIONS = { ...EXTENSIONS, offload: "off", pacing: "even", write_size: "auto" };
const COMMON = { kind: "configuration", test_id: TEST_ID, streams: STREAMS, length: 1024 };
const DOWNLOAD = { ...COMMON, role: "download", receive_buffer: 0, extensions: DOWNLOAD_EXTENSIONS };
const UPLOAD = {
  ...COMMON,
  role: "upload",
  extensions: UPLOAD_EXTENSIONS,
  bandwidth: 125_000,
  duration: 10,
  send_interval: 0.05,
  send_buffer: 0,
  no_delay: false,
  stream_ports: [50_000, 50_001],
};
const RESULT = { stream_idx: 1, timestamp: 1_700_000_000.5, duration: 1.000_5 };
const OMITTED_SEND = { duration: 1, bytes_sent: 10, packets_sent: 1, sends_blocked: 0 };
const OMITTED_RECEIVE = {
  duration: 1,
  bytes_received: 10,
  packets_received: 3,
  packets_out_of_order: 1,
  packets_duplicated: 1,
};
const TCP_SEND = { ...RESULT, kind: "send", family: "tcp", bytes_sent: 5, sends_blocked: 1, omitted: OMITTED_SEND };
const TCP_RECEIVE = { ...RESULT, kind: "receive", family: "tcp", bytes_received: 5 };
const UDP_RECEIVE = {
  ...RESULT,
  kind: "receive",
  family: "udp",
  bytes_received: 1032,
  packets_received: 1,
  packets_lost: 0,
  packets_out_of_order: 0,
  packets_duplicated: 0,
  unbroken_sequence: 1,
  jitter_seconds: 1e-5,
  omitted: OMITTED_RECEIVE,
};
const SOCKET = {
  send_buffer: 1,
  receive_buffer: 2,
  affinity_cpu: 3,
  offload: false,
  timestamps: "kernel",
  pacing: "user",
  write_size: 4,
};
const DONE = { kind: "done", origin: "server", stream_idx: 1, socket: SOCKET, message: "text" };

const CONFIGURATION_FIELDS: Allowed = {
  kind: NONE,
  family: NONE,
  role: NONE,
  test_id: NONE,
  "test_id[0]": NONE,
  "test_id[15]": NONE,
  streams: NONE,
  length: NONE,
  extensions: ["missing"],
  "extensions.version": NONE,
  "extensions.omit_seconds": ["missing"],
  "extensions.offload": ["missing"],
};
const DOWNLOAD_FIELDS: Allowed = {
  ...CONFIGURATION_FIELDS,
  receive_buffer: NONE,
  "extensions.bandwidth": ["missing", "0.5"],
};
const UPLOAD_FIELDS: Allowed = {
  ...CONFIGURATION_FIELDS,
  bandwidth: ["0.5"],
  duration: ["0.5"],
  send_interval: ["0.5"],
  send_buffer: NONE,
  no_delay: ["true"],
  stream_ports: NONE,
  "stream_ports[0]": NONE,
  "stream_ports[1]": NONE,
  "extensions.pacing": ["missing"],
  "extensions.write_size": ["missing"],
};
const RESULT_FIELDS: Allowed = { kind: NONE, family: NONE, stream_idx: NONE, timestamp: ["0.5"], duration: ["0.5"] };
const OMITTED_SEND_FIELDS: Allowed = {
  omitted: ["missing"],
  "omitted.duration": ["0.5"],
  "omitted.bytes_sent": NONE,
  "omitted.packets_sent": NONE,
  "omitted.sends_blocked": NONE,
};
const SEND_FIELDS: Allowed = {
  ...RESULT_FIELDS,
  bytes_sent: NONE,
  sends_blocked: ["missing"],
  ...OMITTED_SEND_FIELDS,
};
const COMPLETION_FIELDS: Allowed = {
  kind: NONE,
  stream_idx: NONE,
  origin: LABELS,
  socket: ["missing", "object"],
  "socket.send_buffer": ["missing"],
  "socket.receive_buffer": ["missing"],
  "socket.affinity_cpu": ["missing"],
  "socket.offload": ["missing", "true"],
  "socket.timestamps": ["missing"],
  "socket.pacing": ["missing"],
  "socket.write_size": ["missing"],
  message: ["missing", "string"],
};

const MESSAGES: readonly (readonly [string, (body: Uint8Array) => unknown, Json, Allowed])[] = [
  ["tcp download", decodeClient, { ...DOWNLOAD, family: "tcp" }, DOWNLOAD_FIELDS],
  ["udp download", decodeClient, { ...DOWNLOAD, family: "udp" }, DOWNLOAD_FIELDS],
  ["tcp upload", decodeClient, { ...UPLOAD, family: "tcp" }, UPLOAD_FIELDS],
  // A switch of TCP's means nothing to UDP.
  ["udp upload", decodeClient, { ...UPLOAD, family: "udp" }, { ...UPLOAD_FIELDS, no_delay: LABELS }],
  ["begin", decodeClient, { kind: "begin" }, { kind: NONE }],
  ["end", decodeClient, { kind: "end" }, { kind: NONE }],
  [
    "connect",
    decodeServer,
    { kind: "connect", stream_ports: [1, 65_535], extensions: EXTENSIONS },
    {
      kind: NONE,
      stream_ports: NONE,
      "stream_ports[1]": NONE,
      extensions: ["missing"],
      "extensions.version": NONE,
      "extensions.omit_seconds": ["missing"],
    },
  ],
  [
    "connect-ready",
    decodeServer,
    { kind: "connect-ready", extensions: EXTENSIONS },
    { kind: NONE, extensions: ["missing"], "extensions.version": NONE, "extensions.omit_seconds": ["missing"] },
  ],
  ["tcp send", decodeServer, TCP_SEND, SEND_FIELDS],
  ["udp send", decodeServer, { ...TCP_SEND, family: "udp", packets_sent: 1 }, { ...SEND_FIELDS, packets_sent: NONE }],
  ["tcp receive", decodeServer, TCP_RECEIVE, { ...RESULT_FIELDS, bytes_received: NONE }],
  [
    "udp receive",
    decodeServer,
    UDP_RECEIVE,
    {
      ...RESULT_FIELDS,
      bytes_received: NONE,
      packets_received: NONE,
      packets_out_of_order: NONE,
      packets_duplicated: NONE,
      unbroken_sequence: NONE,
      jitter_seconds: ["missing", "null", "0.5"],
      omitted: ["missing"],
      "omitted.duration": ["0.5"],
      "omitted.bytes_received": NONE,
      "omitted.packets_received": NONE,
      "omitted.packets_out_of_order": NONE,
      "omitted.packets_duplicated": NONE,
    },
  ],
  ["done", decodeServer, DONE, COMPLETION_FIELDS],
  ["failed", decodeServer, { ...DONE, kind: "failed" }, COMPLETION_FIELDS],
  ["error", decodeServer, { kind: "error", message: "text" }, { kind: NONE, message: ["string"] }],
];

describe.each(MESSAGES)("%s", (_name, decode, message, allowed) => {
  test("as it should be", () => {
    expect(refusalOf(() => decode(bodyOf(message)))).toBeNull();
  });

  test("with fields that nobody knows", () => {
    const more = { ...message, future: { kind: 1 }, extra: null };
    expect(decode(bodyOf(more))).toEqual(decode(bodyOf(message)));
  });

  test.each(Object.entries(allowed))("%s, replaced by each value", (path, labels) => {
    expectTakes(decode, message, path, labels);
  });
});

describe("packets_lost of a udp receive", () => {
  // The original wraps below zero: numbers are taken, and no result shows a negative loss.
  test.each([
    [-1, 0],
    [-(2 ** 60), 0],
    [0, 0],
    [17, 17],
    // As it comes from the original, near enough: it wraps around.
    [2 ** 64 - 4096, 0],
  ])("%d is taken as %d", (told, taken) => {
    const message = decodeServer(bodyOf({ ...UDP_RECEIVE, packets_lost: told }));
    expect(message).toMatchObject({ interval: { packetsLost: taken } });
  });

  test.each(LABELS.filter((label) => !["-1", "2^53"].includes(label)))("%s is refused", (label) => {
    const refusal = refusalOf(() => decodeServer(bodyOf(replaced(UDP_RECEIVE, "packets_lost", label))));
    expect(refusal?.message).toContain("packets_lost");
  });
});

test("buffers of all streams together are bounded", () => {
  const refused = { ...UPLOAD, family: "tcp", length: 2 ** 24, streams: 17, stream_ports: Array<number>(17).fill(1) };
  expect(refusalOf(() => decodeClient(bodyOf(refused)))?.message).toContain("length times streams");
  const taken = { ...refused, streams: 16, stream_ports: Array<number>(16).fill(1) };
  expect(refusalOf(() => decodeClient(bodyOf(taken)))).toBeNull();
});

describe("limits", () => {
  const tcp = { ...UPLOAD, family: "tcp" };
  const udp = { ...UPLOAD, family: "udp" };
  test.each<[string, (body: Uint8Array) => unknown, Json, string, readonly number[], readonly number[]]>([
    ["tcp upload", decodeClient, tcp, "length", [16, 16 * 1024 * 1024], [0, 15, 16 * 1024 * 1024 + 1]],
    ["udp upload", decodeClient, udp, "length", [36, 65_507], [0, 16, 35, 65_508]],
    ["tcp download", decodeClient, { ...DOWNLOAD, family: "tcp" }, "streams", [1, 255], [0, 256]],
    ["tcp download", decodeClient, { ...DOWNLOAD, family: "tcp" }, "receive_buffer", [0, 2 ** 31 - 1], [2 ** 31]],
    ["tcp upload", decodeClient, tcp, "send_buffer", [0, 2 ** 31 - 1], [2 ** 31]],
    ["tcp upload", decodeClient, tcp, "bandwidth", [0, 1, 1e15], [-0.001, 1.001e15]],
    ["tcp upload", decodeClient, tcp, "duration", [0, 1e-9, 31 * 86_400], [-1e-9, 31 * 86_400 + 0.001]],
    ["tcp upload", decodeClient, tcp, "send_interval", [1e-6, 0.05, 1], [0, 9e-7, 1.001]],
    ["tcp upload", decodeClient, tcp, "stream_ports[1]", [1, 65_535], [0, 65_536]],
    ["tcp upload", decodeClient, tcp, "test_id[7]", [0, 255], [256]],
    ["tcp upload", decodeClient, tcp, "extensions.omit_seconds", [0, 31 * 86_400], [31 * 86_400 + 1]],
    ["tcp upload", decodeClient, tcp, "extensions.version", [1, 2, 2 ** 53 - 1], [0]],
    [
      "udp download",
      decodeClient,
      { ...DOWNLOAD, family: "udp" },
      "extensions.bandwidth",
      [0, 1, 1e15],
      [-0.001, 1.001e15],
    ],
    ["tcp receive", decodeServer, TCP_RECEIVE, "stream_idx", [0, STREAMS - 1], [STREAMS]],
    ["tcp receive", decodeServer, TCP_RECEIVE, "bytes_received", [0, 2 ** 53 - 1], []],
    ["done", decodeServer, DONE, "stream_idx", [0, STREAMS - 1], [STREAMS, 255]],
    ["done", decodeServer, DONE, "socket.write_size", [0, 2 ** 31 - 1], [2 ** 31]],
  ])("%s: %p", (_name, decode, message, path, good, bad) => {
    const withValue = (value: number): Json => {
      const copy = structuredClone(message) as Record<string, unknown>;
      const keys = path.replaceAll("]", "").split(/[.[]/);
      const holder = keys.length === 1 ? copy : (copy[keys[0] ?? ""] as Record<string, unknown>);
      holder[keys.at(-1) ?? ""] = value;
      if (path === "streams") copy["stream_ports"] = Array<number>(value).fill(1);
      return copy;
    };
    for (const value of good) expect(refusalOf(() => decode(bodyOf(withValue(value))))).toBeNull();
    for (const value of bad) {
      expect(refusalOf(() => decode(bodyOf(withValue(value))))?.message).toContain(path);
    }
  });

  test.each([0, 1, 3])("%d ports for two streams are refused on both ways", (count) => {
    const stream_ports = Array<number>(count).fill(1000);
    const upload = refusalOf(() => decodeClient(bodyOf({ ...UPLOAD, family: "tcp", stream_ports })));
    expect(upload?.message).toContain("stream_ports");
    const connect = refusalOf(() => decodeServer(bodyOf({ kind: "connect", stream_ports })));
    expect(connect?.message).toContain("stream_ports");
  });

  test.each([0, 15, 17])("a test id of %d bytes is refused", (count) => {
    const test_id = Array<number>(count).fill(1);
    const refusal = refusalOf(() => decodeClient(bodyOf({ ...DOWNLOAD, family: "tcp", test_id })));
    expect(refusal?.message).toContain("test_id");
  });

  test("what a message shows of a wrong value is short", () => {
    const refusal = refusalOf(() => decodeClient(bodyOf({ kind: "x".repeat(60_000) })));
    expect(refusal?.message.length).toBeLessThan(200);
  });
});

describe("every choice there is, and no other", () => {
  const upload = { ...UPLOAD, family: "tcp" };
  test.each<[(body: Uint8Array) => unknown, Json, string, readonly string[], (decoded: string) => object]>([
    [decodeClient, upload, "extensions.offload", ["auto", "on", "off"], (offload) => ({ extensions: { offload } })],
    [decodeClient, upload, "extensions.pacing", ["even", "slices"], (pacing) => ({ extensions: { pacing } })],
    [decodeClient, upload, "extensions.write_size", ["auto", "length"], (writeSize) => ({ extensions: { writeSize } })],
    [decodeServer, DONE, "socket.timestamps", ["kernel", "user"], (timestamps) => ({ socket: { timestamps } })],
    [decodeServer, DONE, "socket.pacing", ["kernel", "user"], (pacing) => ({ socket: { pacing } })],
  ])("%p of %j: %s", (decode, message, path, choices, expected) => {
    const [holder = "", name = ""] = path.split(".");
    const withChoice = (choice: string): Json => ({
      ...message,
      [holder]: { ...(message[holder] as object), [name]: choice },
    });
    for (const choice of choices) expect(decode(bodyOf(withChoice(choice)))).toMatchObject(expected(choice));
    for (const other of ["", "AUTO", "On", "Even", "constructor"]) {
      expect(refusalOf(() => decode(bodyOf(withChoice(other))))?.message).toContain(path);
    }
  });
});

test("extensions of the other role, and of none, are ignored", () => {
  const mixed = { ...UPLOAD_EXTENSIONS, ...DOWNLOAD_EXTENSIONS, future: 1 };
  expect(decodeClient(bodyOf({ ...DOWNLOAD, family: "udp", extensions: mixed }))).toMatchObject({
    extensions: { version: 1, omitSeconds: 2, offload: "on", bandwidthBytesPerSecond: 125_000 },
  });
  const wrong = { ...UPLOAD_EXTENSIONS, bandwidth: "much" };
  expect(refusalOf(() => decodeClient(bodyOf({ ...UPLOAD, family: "tcp", extensions: wrong })))).toBeNull();
  // How to send is the client's to say.
  expect(decodeServer(bodyOf({ kind: "connect-ready", extensions: { ...EXTENSIONS, offload: 1 } }))).toEqual({
    kind: "connect-ready",
    extensions: {
      version: 1,
      omitSeconds: 2,
      accounting: false,
      singlePort: false,
      dialPorts: null,
      resume: null,
      intervalSeconds: 1,
    },
  });
});

describe("what older and original peers leave out", () => {
  test("what extensions may add", () => {
    const extensions = { version: 1 };
    expect(decodeClient(bodyOf({ ...DOWNLOAD, family: "udp", extensions }))).toMatchObject({
      extensions: { version: 1, omitSeconds: 0, offload: "auto", bandwidthBytesPerSecond: null },
    });
    expect(decodeClient(bodyOf({ ...UPLOAD, family: "tcp", extensions }))).toMatchObject({
      extensions: { version: 1, omitSeconds: 0, offload: "auto", pacing: "slices", writeSize: "length" },
    });
  });

  test("what socket facts may add", () => {
    const socket = { send_buffer: 1 };
    expect(decodeServer(bodyOf({ ...DONE, socket }))).toMatchObject({
      socket: factsOf({ sendBufferBytes: 1 }),
    });
  });

  test("no extensions, no omitted, no socket facts", () => {
    const { extensions: _extensions, ...download } = { ...DOWNLOAD, family: "tcp" };
    expect(decodeClient(bodyOf(download))).toMatchObject({ extensions: null });
    expect(decodeServer(bodyOf({ kind: "connect-ready" }))).toEqual({ kind: "connect-ready", extensions: null });
    const { omitted: _omitted, sends_blocked: _blocked, ...sent } = TCP_SEND;
    expect(decodeServer(bodyOf(sent))).toEqual({
      kind: "result",
      streamIndex: 1,
      interval: {
        kind: "send",
        family: "tcp",
        timestampSeconds: RESULT.timestamp,
        durationSeconds: RESULT.duration,
        bytesSent: 5,
        sendsBlocked: 0,
      },
    });
    expect(decodeServer(bodyOf({ kind: "done", origin: "server", stream_idx: 0 }))).toEqual({
      kind: "done",
      streamIndex: 0,
      role: null,
      socket: null,
      message: null,
      totals: NO_TOTALS,
      sent: null,
    });
  });

  test("udp has no delay switch", () => {
    expect(decodeClient(bodyOf({ ...UPLOAD, family: "udp", no_delay: true }))).toMatchObject({ noDelay: false });
    expect(decodeClient(bodyOf({ ...UPLOAD, family: "tcp", no_delay: true }))).toMatchObject({ noDelay: true });
  });
});

describe("what is no message", () => {
  const text = (value: string) => new TextEncoder().encode(value);
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["nothing", new Uint8Array()],
    ["no JSON", text("hello")],
    ["JSON cut short", text('{"kind":"begin"')],
    ["JSON with something behind it", text('{"kind":"begin"}x')],
    ["JavaScript, not JSON", text("{kind:'begin'}")],
    ["bytes that are no UTF-8", Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d)],
    ["UTF-8 cut within a character", Uint8Array.of(...text('{"kind":"begin","a":"'), 0xc3)],
    ["a bare surrogate", Uint8Array.of(...text('{"kind":"begin","a":"'), 0xed, 0xa0, 0x80, ...text('"}'))],
    ["a list", text("[]")],
    ["a list of a message", text('[{"kind":"begin"}]')],
    ["null", text("null")],
    ["a string", text('"begin"')],
    ["a number", text("1")],
    ["a deep list", text("[".repeat(30_000) + "]".repeat(30_000))],
    ["a deep kind", text(`{"kind":${"[".repeat(30_000)}${"]".repeat(30_000)}}`)],
    ["an object without a kind", text("{}")],
    ["an unknown kind", text('{"kind":"pause"}')],
    ["a kind in capitals", text('{"kind":"BEGIN"}')],
    ["a kind of every object", text('{"kind":"constructor"}')],
    ["a kind in the prototype alone", text('{"__proto__":{"kind":"begin"}}')],
    ["an HTTP request", text("GET / HTTP/1.1\r\n\r\n")],
  ];
  test.each(cases)("%s", (_name, body) => {
    for (const decode of [decodeClient, decodeServer]) {
      expect(refusalOf(() => decode(body))?.code).toBe("peer-protocol");
    }
  });

  test("a message of the other side", () => {
    expect(refusalOf(() => decodeServer(bodyOf({ kind: "begin" })))?.message).toContain("kind");
    expect(refusalOf(() => decodeClient(bodyOf(DONE)))?.message).toContain("kind");
  });
});

describe("nothing but RperfError is ever thrown", () => {
  const decodeBoth = (body: Uint8Array) => {
    for (const decode of [decodeClient, decodeServer]) {
      const refusal = refusalOf(() => decode(body));
      if (refusal !== null) expect(refusal.code).toBe("peer-protocol");
    }
  };

  test("for any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decodeBoth));
  });

  test("for any JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => decodeBoth(bodyOf(value))));
  });

  test("for a message with any field replaced by any JSON", () => {
    const messages = MESSAGES.flatMap(([, , message]) => Object.keys(message).map((key) => [message, key] as const));
    fc.assert(
      fc.property(fc.constantFrom(...messages), fc.jsonValue(), ([message, key], value) => {
        decodeBoth(bodyOf({ ...message, [key]: value }));
      }),
      { numRuns: 1000 },
    );
  });
});

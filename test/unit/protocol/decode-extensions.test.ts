// What two of ours add to the messages of 0.1.8: fields, messages, and what older ones of ours leave out.
import { describe, expect, test } from "bun:test";
import {
  type Allowed,
  bodyOf,
  decodeClient,
  decodeServer,
  expectTakes,
  type Json,
  NONE,
  refusalOf,
} from "./replacements.ts";

const TEST_ID = Array.from({ length: 16 }, (_, index) => index * 17);
const PATH = { congestion: "reno", dscp: 46, mss: 1000 };
const OFFER = {
  version: 3,
  omit_seconds: 2,
  offload: "on",
  accounting: true,
  single_port: true,
  resume: { timeout: 10 },
  interval: 0.5,
  path: PATH,
};
const COMMON = { kind: "configuration", family: "udp", test_id: TEST_ID, streams: 2, length: 1024 };
const DOWNLOAD = {
  ...COMMON,
  role: "download",
  receive_buffer: 0,
  extensions: { ...OFFER, bandwidth: 125_000, duration: 3 },
};
const UPLOAD = {
  ...COMMON,
  role: "upload",
  bandwidth: 125_000,
  duration: 10,
  send_interval: 0.05,
  send_buffer: 0,
  no_delay: false,
  stream_ports: [50_000, 50_001],
  extensions: { ...OFFER, pacing: "even", write_size: "auto", dial: "client" },
};
const ANSWER = {
  version: 3,
  omit_seconds: 2,
  interval: 0.5,
  accounting: true,
  single_port: true,
  dial: "client",
  stream_ports: [5199, 5199],
  resume: { token: "secret" },
};
const READY = { kind: "connect-ready", extensions: ANSWER };
const BOOKS = {
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
};
const DONE = {
  kind: "done",
  origin: "server",
  stream_idx: 1,
  role: "download",
  socket: { congestion: "reno", dscp: 46, mss: 1000 },
  totals: { books: BOOKS, buffer_drops: 1, sends_refused: 2 },
  sent: { packets: 9, omitted_packets: 2 },
};

const SHARED_FIELDS: Allowed = {
  extensions: ["missing"],
  "extensions.version": NONE,
  "extensions.omit_seconds": ["missing"],
  "extensions.accounting": ["missing", "true"],
  "extensions.single_port": ["missing", "true"],
  "extensions.resume": ["missing"],
  "extensions.interval": ["missing", "0.5"],
};
const OFFER_FIELDS: Allowed = {
  ...SHARED_FIELDS,
  "extensions.offload": ["missing"],
  "extensions.resume.timeout": ["0.5"],
  "extensions.path": ["missing", "object"],
  "extensions.path.congestion": ["missing", "string"],
  "extensions.path.dscp": ["missing"],
  "extensions.path.mss": ["missing"],
};
const BOOKS_FIELDS = Object.fromEntries(
  Object.keys(BOOKS).map((name) => {
    const isMean = name.endsWith("_mean");
    return [`totals.books.${name}`, isMean ? ["missing", "0.5"] : name === "sent" ? ["missing"] : NONE];
  }),
) as Allowed;

const MESSAGES: readonly (readonly [string, (body: Uint8Array) => unknown, Json, Allowed])[] = [
  [
    "an offer of role download",
    decodeClient,
    DOWNLOAD,
    { ...OFFER_FIELDS, "extensions.bandwidth": ["missing", "0.5"], "extensions.duration": ["missing", "0.5"] },
  ],
  [
    "an offer of role upload",
    decodeClient,
    UPLOAD,
    {
      ...OFFER_FIELDS,
      "extensions.pacing": ["missing"],
      "extensions.write_size": ["missing"],
      "extensions.dial": ["missing"],
    },
  ],
  [
    "an answer",
    decodeServer,
    READY,
    {
      ...SHARED_FIELDS,
      "extensions.resume": ["missing", "object"],
      "extensions.resume.token": ["missing", "string"],
      "extensions.dial": ["missing"],
      "extensions.stream_ports": NONE,
      "extensions.stream_ports[1]": NONE,
    },
  ],
  [
    "a completion",
    decodeServer,
    DONE,
    {
      role: ["missing"],
      "socket.congestion": ["missing", "string"],
      "socket.dscp": ["missing"],
      "socket.mss": ["missing"],
      totals: ["missing", "object"],
      "totals.books": ["missing"],
      ...BOOKS_FIELDS,
      "totals.buffer_drops": ["missing"],
      "totals.sends_refused": ["missing"],
      sent: ["missing"],
      "sent.packets": NONE,
      "sent.omitted_packets": NONE,
    },
  ],
  [
    "sent",
    decodeClient,
    { kind: "sent", stream_idx: 254, packets: 9, omitted_packets: 9 },
    { kind: NONE, stream_idx: NONE, packets: NONE, omitted_packets: NONE },
  ],
  ["ack", decodeClient, { kind: "ack", have: 0 }, { kind: NONE, have: NONE }],
  ["resume", decodeClient, { kind: "resume", token: "", have: 0 }, { kind: NONE, token: ["string"], have: NONE }],
  [
    "data",
    decodeClient,
    { kind: "data", test_id: TEST_ID, stream_idx: 0 },
    { kind: NONE, test_id: NONE, "test_id[15]": NONE, stream_idx: NONE },
  ],
  ["resumed", decodeServer, { kind: "resumed", phase: "running", first: 5 }, { kind: NONE, phase: NONE, first: NONE }],
  ["data-ready", decodeServer, { kind: "data-ready" }, { kind: NONE }],
];

describe.each(MESSAGES)("%s", (_name, decode, message, allowed) => {
  test("as it should be", () => {
    expect(refusalOf(() => decode(bodyOf(message)))).toBeNull();
  });

  test("with fields that nobody knows, also inside", () => {
    const future = { kind: 1 };
    const more = Object.entries(message).map(([name, value]) => {
      const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
      return [name, isObject ? { ...value, future } : value];
    });
    expect(decode(bodyOf({ ...Object.fromEntries(more), future }))).toEqual(decode(bodyOf(message)));
  });

  test.each(Object.entries(allowed))("%s, replaced by each value", (path, labels) => {
    expectTakes(decode, message, path, labels);
  });
});

const NO_OFFER = {
  accounting: false,
  singlePort: false,
  resumeTimeoutSeconds: null,
  intervalSeconds: 1,
  path: { congestion: null, dscp: null, maxSegmentBytes: null },
};

describe("what an older one of ours says", () => {
  test.each<[string, Json, object]>([
    [
      "download",
      { ...DOWNLOAD, extensions: { version: 1, omit_seconds: 2, offload: "off", bandwidth: 5 } },
      { ...NO_OFFER, version: 1, omitSeconds: 2, offload: "off", bandwidthBytesPerSecond: 5, durationSeconds: null },
    ],
    [
      "upload",
      { ...UPLOAD, extensions: { version: 1, omit_seconds: 2, offload: "on", pacing: "even", write_size: "auto" } },
      {
        ...NO_OFFER,
        version: 1,
        omitSeconds: 2,
        offload: "on",
        pacing: "even",
        writeSize: "auto",
        clientDials: false,
      },
    ],
    [
      "upload, the very first",
      { ...UPLOAD, extensions: { version: 1 } },
      {
        ...NO_OFFER,
        version: 1,
        omitSeconds: 0,
        offload: "auto",
        pacing: "slices",
        writeSize: "length",
        clientDials: false,
      },
    ],
  ])("%s", (_name, message, extensions) => {
    expect(decodeClient(bodyOf(message))).toMatchObject({ extensions });
  });

  test("a server's answer", () => {
    expect(decodeServer(bodyOf({ ...READY, extensions: { version: 1, omit_seconds: 2 } }))).toEqual({
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
});

describe("a server that does not let the client dial has no ports to tell", () => {
  test.each([
    [{ dial: "server" }, null],
    [{ dial: undefined }, null],
    [{ dial: "client", stream_ports: [7, 8] }, [7, 8]],
  ])("%o: %p", (changes, dialPorts) => {
    const answer = { ...ANSWER, stream_ports: "whatever it is", ...changes };
    expect(decodeServer(bodyOf({ ...READY, extensions: answer }))).toMatchObject({ extensions: { dialPorts } });
  });
});

describe("limits", () => {
  test.each<[string, (body: Uint8Array) => unknown, (value: number) => Json, readonly number[], readonly number[]]>([
    ["interval", decodeClient, (interval) => offer({ interval }), [0.1, 60], [0.099, 60.1]],
    ["interval", decodeServer, (interval) => answer({ interval }), [0.1, 60], [0.099, 60.1]],
    ["resume.timeout", decodeClient, (timeout) => offer({ resume: { timeout } }), [0, 600], [-1, 600.1]],
    ["path.dscp", decodeClient, (dscp) => offer({ path: { dscp } }), [0, 63], [-1, 64, 1.5]],
    ["path.mss", decodeClient, (mss) => offer({ path: { mss } }), [88, 32_767], [87, 32_768]],
    ["duration", decodeClient, (duration) => offer({ duration }), [0, 31 * 86_400], [-1, 31 * 86_400 + 1]],
    ["stream_idx", decodeClient, (stream_idx) => ({ kind: "data", test_id: TEST_ID, stream_idx }), [0, 254], [255]],
    [
      "omitted_packets",
      decodeClient,
      (omitted_packets) => ({ kind: "sent", stream_idx: 0, packets: 5, omitted_packets }),
      [0, 5],
      [6],
    ],
    ["place", decodeServer, (place) => ({ kind: "queued", place }), [1, 2 ** 53 - 1], [0, 1.5]],
    ["socket.dscp", decodeServer, (dscp) => ({ kind: "done", stream_idx: 0, socket: { dscp } }), [0, 63], [-1, 64]],
    ["have", decodeClient, (have) => ({ kind: "ack", have }), [0, 2 ** 53 - 1], [-1, 2 ** 53]],
  ])("%s of %p", (path, decode, messageOf, good, bad) => {
    for (const value of good) expect(refusalOf(() => decode(bodyOf(messageOf(value))))).toBeNull();
    for (const value of bad) {
      const refusal = refusalOf(() => decode(bodyOf(messageOf(value))));
      expect(refusal).toMatchObject({ code: "peer-protocol", message: expect.stringContaining(path) });
    }
  });

  test("of what a server has to say the first 1000 characters are taken", () => {
    for (const [given, taken] of [
      ["x".repeat(1000), "x".repeat(1000)],
      ["x".repeat(1001), `${"x".repeat(1000)}…`],
    ] as const) {
      const failed = { kind: "failed", stream_idx: 0, message: given };
      expect(decodeServer(bodyOf({ kind: "error", message: given }))).toEqual({ kind: "error", message: taken });
      expect(decodeServer(bodyOf(failed))).toMatchObject({ kind: "failed", message: taken });
    }
  });

  test("a token of an answer has at most 128 characters", () => {
    const decode = (token: string) => refusalOf(() => decodeServer(bodyOf(answer({ resume: { token } }))));
    expect(decode("x".repeat(128))).toBeNull();
    expect(decode("x".repeat(129))?.message).toContain("token");
  });

  test("a longer one of a resumption is no worse than any other wrong one", () => {
    const token = "x".repeat(129);
    expect(decodeClient(bodyOf({ kind: "resume", token, have: 0 }))).toEqual({ kind: "resume", token, have: 0 });
  });

  test.each(["ready", "running", "finished"])("a resumed test may be %s", (phase) => {
    expect(decodeServer(bodyOf({ kind: "resumed", phase, first: 0 }))).toEqual({ kind: "resumed", phase, first: 0 });
  });
});

function offer(changes: Json): Json {
  return { ...DOWNLOAD, extensions: { ...DOWNLOAD.extensions, ...changes } };
}

function answer(changes: Json): Json {
  return { ...READY, extensions: { ...ANSWER, ...changes } };
}

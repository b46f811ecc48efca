import { describe, expect, test } from "bun:test";
import type {
  Configuration,
  DownloadConfiguration,
  DownloadExtensions,
  UploadConfiguration,
  UploadExtensions,
} from "../../../src/protocol/messages.ts";
import {
  answerOf,
  drainSecondsOf,
  type Grant,
  grantOf,
  newToken,
  plannedSecondsOf,
} from "../../../src/server/grant.ts";

const COMMON = {
  kind: "configuration",
  family: "udp",
  testId: new Uint8Array(16),
  streams: 2,
  lengthBytes: 1024,
} as const;
const OFFER = {
  version: 3,
  omitSeconds: 2,
  offload: "auto",
  accounting: true,
  singlePort: false,
  resumeTimeoutSeconds: 10,
  intervalSeconds: 0.5,
  path: { congestion: null, dscp: null, maxSegmentBytes: null },
  waitSeconds: null,
  auth: null,
} as const;
const NOTHING: Grant = { accounting: false, singlePort: false, clientDials: false, resumeTimeoutSeconds: null };

type Family = Configuration["family"];

function download(changes: Partial<DownloadExtensions> | null, family: Family = "udp"): DownloadConfiguration {
  const offered = { ...OFFER, bandwidthBytesPerSecond: 1, durationSeconds: 3 };
  const extensions = changes === null ? null : { ...offered, ...changes };
  return { ...COMMON, family, role: "download", receiveBufferBytes: 0, extensions };
}

function upload(changes: Partial<UploadExtensions> | null, family: Family = "udp"): UploadConfiguration {
  const offered = { ...OFFER, pacing: "even", writeSize: "length", clientDials: true } as const;
  return {
    ...COMMON,
    family,
    role: "upload",
    bandwidthBytesPerSecond: 1,
    durationSeconds: 5,
    sendIntervalSeconds: 0.05,
    sendBufferBytes: 0,
    noDelay: false,
    streamPorts: [7, 8],
    extensions: changes === null ? null : { ...offered, ...changes },
  };
}

const WHOLE: Grant = { ...NOTHING, accounting: true, resumeTimeoutSeconds: 10 };

describe("grantOf", () => {
  test.each<[string, Configuration, Grant]>([
    ["an original client, download", download(null), NOTHING],
    ["an original client, upload", upload(null), NOTHING],
    ["a download as ours offers it", download({}), WHOLE],
    ["an upload as ours offers it", upload({}), { ...WHOLE, clientDials: true }],
    ["no exact accounting of TCP", download({}, "tcp"), { ...WHOLE, accounting: false }],
    ["what is not offered is off", download({ accounting: false, resumeTimeoutSeconds: null }), NOTHING],
    ["each by itself: accounting", download({ resumeTimeoutSeconds: null }), { ...NOTHING, accounting: true }],
    ["each by itself: resuming", download({ accounting: false }), { ...NOTHING, resumeTimeoutSeconds: 10 }],
    ["a single port", download({ singlePort: true }), { ...WHOLE, singlePort: true }],
    [
      "a single port means that the client dials, in either role",
      upload({ singlePort: true, clientDials: false }),
      { ...WHOLE, singlePort: true, clientDials: true },
    ],
    ["a client that does not want to dial", upload({ clientDials: false }), WHOLE],
    ["of a download whose end is not told nobody knows how long to wait", download({ durationSeconds: null }), NOTHING],
  ])("%s", (_name, configuration, expected) => {
    expect(grantOf(configuration, { remoteAddress: "192.0.2.1", keyingMaterial: null })).toEqual(expected);
  });
});

test.each<[string, Configuration, number | null]>([
  ["upload", upload({}), 5],
  ["upload of an original client", upload(null), 5],
  ["download", download({}), 3],
  ["download of an original client, which does not tell", download(null), null],
])("plannedSecondsOf: %s", (_name, configuration, expected) => {
  expect(plannedSecondsOf(configuration)).toBe(expected);
});

test.each([
  [null, 30],
  [0, 0],
  [10, 10],
  [600, 30],
])("streams whose client may come back for %p s have %p s behind their end", (resumeTimeoutSeconds, seconds) => {
  expect(drainSecondsOf({ resumeTimeoutSeconds })).toBe(seconds);
});

describe("answerOf", () => {
  const told = { ports: [5000, 5001], token: "secret" };
  const common = { version: 3, omitSeconds: 2, intervalSeconds: 0.5 };

  test("nothing to an original client, whatever was granted", () => {
    expect(answerOf(download(null), WHOLE, told)).toBeNull();
    expect(answerOf(upload(null), WHOLE, told)).toBeNull();
  });

  test("what is granted, in this server's version and with what was asked", () => {
    expect(answerOf(upload({}), { ...WHOLE, clientDials: true }, told)).toEqual({
      ...common,
      accounting: true,
      singlePort: false,
      dialPorts: [5000, 5001],
      resume: { token: "secret" },
    });
  });

  test("no ports to dial and no token where neither is granted", () => {
    expect(answerOf(upload({}), NOTHING, told)).toEqual({
      ...common,
      accounting: false,
      singlePort: false,
      dialPorts: null,
      resume: null,
    });
  });
});

test("tokens are 128 bits, each another", () => {
  const tokens = Array.from({ length: 1000 }, newToken);
  expect(new Set(tokens).size).toBe(1000);
  for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{32}$/);
});

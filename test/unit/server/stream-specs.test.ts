import { describe, expect, test } from "bun:test";
import type { DownloadConfiguration, UploadConfiguration } from "../../../src/protocol/messages.ts";
import { type Grant, grantOf } from "../../../src/server/grant.ts";
import { receiverSpec, senderSpec } from "../../../src/server/stream-specs.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => index);
const COMMON = { kind: "configuration", family: "udp", testId: TEST_ID, streams: 2, lengthBytes: 1400 } as const;
const OFFERED = {
  version: 3,
  omitSeconds: 2,
  offload: "off",
  accounting: true,
  singlePort: false,
  resumeTimeoutSeconds: 10,
  intervalSeconds: 0.5,
  path: { congestion: "reno", dscp: 46, maxSegmentBytes: 1000 },
  waitSeconds: null,
  auth: null,
} as const;
const DOWNLOAD: DownloadConfiguration = {
  ...COMMON,
  role: "download",
  receiveBufferBytes: 20_000,
  extensions: { ...OFFERED, bandwidthBytesPerSecond: 125_000, durationSeconds: 3 },
};
const UPLOAD: UploadConfiguration = {
  ...COMMON,
  role: "upload",
  bandwidthBytesPerSecond: 125_000,
  durationSeconds: 3,
  sendIntervalSeconds: 0.01,
  sendBufferBytes: 10_000,
  noDelay: true,
  streamPorts: [7, 8],
  extensions: { ...OFFERED, pacing: "slices", writeSize: "auto", clientDials: false },
};
const GRANT: Grant = { accounting: true, singlePort: false, clientDials: false, resumeTimeoutSeconds: 10 };
const SYSTEMS_CHOICE = { localAddress: null, localPort: 0, congestion: null, dscp: null, maxSegmentBytes: null };
const PLACE = {
  streamIndex: 1,
  affinityCpu: 3,
  device: "eth0",
  grant: GRANT,
  endpoint: {
    type: "listen",
    bindAddress: "192.0.2.7",
    ports: [{ first: 10, last: 20 }],
    firstChoice: 4,
    peerAddress: null,
  },
} as const;
const SPEC = {
  streamIndex: 1,
  affinityCpu: 3,
  family: "udp",
  testId: TEST_ID,
  lengthBytes: 1400,
  intervalSeconds: 0.5,
  omitSeconds: 2,
  offload: "off",
} as const;

describe("a receiver", () => {
  const specOf = (configuration: DownloadConfiguration, grant = GRANT) =>
    receiverSpec(configuration, { ...PLACE, grant });

  test("for a client of ours", () => {
    expect(specOf(DOWNLOAD)).toEqual({
      ...SPEC,
      role: "receiver",
      endpoint: PLACE.endpoint,
      // What it sends is nobody's to mark; its segments are the peer's to see.
      path: { ...SYSTEMS_CHOICE, device: "eth0", maxSegmentBytes: 1000 },
      bandwidthBytesPerSecond: 125_000,
      receiveBufferBytes: 20_000,
      isPatient: true,
    });
  });

  test("of an unlimited stream", () => {
    const extensions = { ...OFFERED, bandwidthBytesPerSecond: 0, durationSeconds: 3 };
    expect(specOf({ ...DOWNLOAD, extensions }).bandwidthBytesPerSecond).toBe(0);
  });

  test("for an original client, which does not tell its rate", () => {
    const grant = grantOf({ ...DOWNLOAD, extensions: null }, { remoteAddress: "192.0.2.1", keyingMaterial: null });
    expect(specOf({ ...DOWNLOAD, extensions: null }, grant)).toMatchObject({
      omitSeconds: 0,
      offload: "auto",
      bandwidthBytesPerSecond: null,
      intervalSeconds: 1,
      path: { ...SYSTEMS_CHOICE, device: "eth0" },
      isPatient: false,
    });
  });

  test.each([
    ["udp", { accounting: true, resumeTimeoutSeconds: null }, true],
    ["udp", { accounting: false, resumeTimeoutSeconds: 10 }, false],
    ["tcp", { accounting: false, resumeTimeoutSeconds: 10 }, true],
    ["tcp", { accounting: true, resumeTimeoutSeconds: null }, false],
  ] as const)("of %s with %o is patient: %p", (family, granted, isPatient) => {
    expect(specOf({ ...DOWNLOAD, family }, { ...GRANT, ...granted }).isPatient).toBe(isPatient);
  });
});

describe("a sender", () => {
  const specOf = (changes: Partial<UploadConfiguration>) => senderSpec({ ...UPLOAD, ...changes }, PLACE);

  test("for a client of ours", () => {
    expect(specOf({})).toEqual({
      ...SPEC,
      role: "sender",
      endpoint: PLACE.endpoint,
      path: { ...SYSTEMS_CHOICE, device: "eth0", congestion: "reno", dscp: 46, maxSegmentBytes: 1000 },
      bandwidthBytesPerSecond: 125_000,
      durationSeconds: 3,
      pacing: "slices",
      sendIntervalSeconds: 0.01,
      writeSize: "auto",
      sendBufferBytes: 10_000,
      noDelay: true,
    });
  });

  test.each([
    [0, 0],
    [1, 1],
    [999_999_999_999, 999_999_999_999],
    // What a client asks an original server for when there is to be no limit.
    [1e12, 0],
    [1e15, 0],
  ])("asked for %d B/s sends at %d B/s, 0 being no limit", (bandwidthBytesPerSecond, sent) => {
    expect(specOf({ bandwidthBytesPerSecond }).bandwidthBytesPerSecond).toBe(sent);
  });

  test.each([
    [0.05, "even"],
    // As it comes from the original, which keeps it in 32 bits.
    [0.05000000074505806, "even"],
    [0.049, "slices"],
    [0.009999999776482582, "slices"],
    [1, "slices"],
  ] as const)("for an original client with an interval of %d s: %s", (sendIntervalSeconds, pacing) => {
    expect(specOf({ sendIntervalSeconds, extensions: null })).toMatchObject({
      pacing,
      sendIntervalSeconds,
      writeSize: "length",
      offload: "auto",
      omitSeconds: 0,
      intervalSeconds: 1,
      path: { ...SYSTEMS_CHOICE, device: "eth0" },
    });
  });

  test.each(["even", "slices"] as const)("for a client of ours, %s is as it says, whatever the interval", (pacing) => {
    for (const sendIntervalSeconds of [0.05, 0.01]) {
      const extensions = { ...OFFERED, pacing, writeSize: "length", clientDials: false } as const;
      expect(specOf({ sendIntervalSeconds, extensions })).toMatchObject({ pacing, writeSize: "length" });
    }
  });
});

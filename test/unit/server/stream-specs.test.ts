import { describe, expect, test } from "bun:test";
import type { DownloadConfiguration, UploadConfiguration } from "../../../src/protocol/messages.ts";
import { receiverSpec, senderSpec } from "../../../src/server/stream-specs.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => index);
const COMMON = { kind: "configuration", family: "udp", testId: TEST_ID, streams: 2, lengthBytes: 1400 } as const;
const OFFERED = { version: 1, omitSeconds: 2, offload: "off" } as const;
const DOWNLOAD: DownloadConfiguration = {
  ...COMMON,
  role: "download",
  receiveBufferBytes: 20_000,
  extensions: { ...OFFERED, bandwidthBytesPerSecond: 125_000 },
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
  extensions: { ...OFFERED, pacing: "slices", writeSize: "auto" },
};
const PLACE = { streamIndex: 1, affinityCpu: 3 };
const SPEC = {
  ...PLACE,
  family: "udp",
  testId: TEST_ID,
  lengthBytes: 1400,
  intervalSeconds: 1,
  omitSeconds: 2,
  offload: "off",
} as const;

describe("a receiver", () => {
  const choice = { ports: [{ first: 10, last: 20 }], firstChoice: 4 };
  const specOf = (configuration: DownloadConfiguration) => receiverSpec(configuration, PLACE, "192.0.2.7", choice);

  test("for a client of ours", () => {
    expect(specOf(DOWNLOAD)).toEqual({
      ...SPEC,
      role: "receiver",
      bindAddress: "192.0.2.7",
      ...choice,
      bandwidthBytesPerSecond: 125_000,
      receiveBufferBytes: 20_000,
    });
  });

  test("of an unlimited stream", () => {
    const extensions = { ...OFFERED, bandwidthBytesPerSecond: 0 };
    expect(specOf({ ...DOWNLOAD, extensions }).bandwidthBytesPerSecond).toBe(0);
  });

  test("for an original client, which does not tell its rate", () => {
    expect(specOf({ ...DOWNLOAD, extensions: null })).toMatchObject({
      omitSeconds: 0,
      offload: "auto",
      bandwidthBytesPerSecond: null,
    });
  });
});

describe("a sender", () => {
  const specOf = (changes: Partial<UploadConfiguration>) => senderSpec({ ...UPLOAD, ...changes }, PLACE, "192.0.2.7");

  test("for a client of ours", () => {
    expect(specOf({})).toEqual({
      ...SPEC,
      role: "sender",
      remoteAddress: "192.0.2.7",
      remotePort: 8,
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
    });
  });

  test.each(["even", "slices"] as const)("for a client of ours, %s is as it says, whatever the interval", (pacing) => {
    for (const sendIntervalSeconds of [0.05, 0.01]) {
      const extensions = { ...OFFERED, pacing, writeSize: "length" } as const;
      expect(specOf({ sendIntervalSeconds, extensions })).toMatchObject({ pacing, writeSize: "length" });
    }
  });
});

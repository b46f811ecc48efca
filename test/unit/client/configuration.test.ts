import { describe, expect, test } from "bun:test";
import { configurationOf, receiverSpec, senderSpec } from "../../../src/client/configuration.ts";
import type { TestConfig } from "../../../src/config/types.ts";
import { decodeClientMessage } from "../../../src/protocol/decode.ts";
import { encodeClientMessage } from "../../../src/protocol/encode.ts";
import { configOf } from "../../golden/scenarios.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => index);
const FULL = configOf({
  family: "udp",
  parallel: 2,
  lengthBytes: 1400,
  sendBufferBytes: 10_000,
  receiveBufferBytes: 20_000,
  omitSeconds: 1,
});
const COMMON = {
  kind: "configuration",
  family: "udp",
  testId: TEST_ID,
  streams: 2,
  lengthBytes: 1400,
} as const;
const OFFERED = { version: 1, omitSeconds: 1, offload: "auto" } as const;

describe("configurationOf", () => {
  test.each([125_000, 0])("forward asks for receivers, of %d B/s", (bandwidthBytesPerSecond) => {
    expect(configurationOf({ ...FULL, bandwidthBytesPerSecond }, TEST_ID, [])).toEqual({
      ...COMMON,
      role: "download",
      receiveBufferBytes: 20_000,
      extensions: { ...OFFERED, bandwidthBytesPerSecond },
    });
  });

  test.each([
    [125_000, 125_000],
    // An original server takes 0 for no data at all: without a limit it is asked for more than any link has.
    [0, 1e12],
  ])("reverse at %d B/s asks for senders at %d B/s", (bandwidthBytesPerSecond, asked) => {
    expect(configurationOf({ ...FULL, reverse: true, bandwidthBytesPerSecond }, TEST_ID, [7, 8])).toEqual({
      ...COMMON,
      role: "upload",
      bandwidthBytesPerSecond: asked,
      durationSeconds: 3,
      sendIntervalSeconds: 0.05,
      sendBufferBytes: 10_000,
      noDelay: false,
      streamPorts: [7, 8],
      extensions: { ...OFFERED, pacing: "even", writeSize: "length" },
    });
  });

  test("only what an original ignores tells how a sender is to send", () => {
    const asked = (changes: Partial<TestConfig>) => {
      const { extensions, ...original } = configurationOf(configOf({ reverse: true, ...changes }), TEST_ID, [7]);
      return { extensions, original };
    };
    const plain = asked({});
    const other = asked({ pacing: "slices", writeSize: "length", offload: "off" });
    expect(other.original).toEqual(plain.original);
    expect(plain.original).toMatchObject({ lengthBytes: 32_768, sendIntervalSeconds: 0.05 });
    expect(plain.extensions).toMatchObject({ pacing: "even", writeSize: "auto", offload: "auto" });
    expect(other.extensions).toMatchObject({ pacing: "slices", writeSize: "length", offload: "off" });
  });

  test.each([false, true])("what is asked (reverse: %p) is what a server of ours takes", (reverse) => {
    const asked = configurationOf({ ...FULL, reverse }, TEST_ID, reverse ? [7, 8] : []);
    const body = new TextEncoder().encode(JSON.stringify(encodeClientMessage(asked)));
    expect(decodeClientMessage(body)).toEqual(asked);
  });
});

describe("specs of this side's streams", () => {
  const config = configOf({ ...FULL, noDelay: true, pacing: "slices", sendIntervalSeconds: 0.01, offload: "on" });
  const commons = { config, testId: TEST_ID, streamIndex: 1, affinityCpu: 3 };
  const base = {
    streamIndex: 1,
    testId: TEST_ID,
    family: "udp",
    lengthBytes: 1400,
    offload: "on",
    affinityCpu: 3,
    intervalSeconds: 1,
  } as const;

  test.each([
    [true, 1],
    [false, 0],
  ])("a sender marks (%p) what is omitted only for a server of ours", (serverMarks, omitSeconds) => {
    expect(senderSpec(commons, { address: "192.0.2.1", port: 7 }, serverMarks)).toEqual({
      ...base,
      role: "sender",
      omitSeconds,
      remoteAddress: "192.0.2.1",
      remotePort: 7,
      bandwidthBytesPerSecond: 125_000,
      durationSeconds: 3,
      pacing: "slices",
      sendIntervalSeconds: 0.01,
      writeSize: "length",
      sendBufferBytes: 10_000,
      noDelay: true,
    });
  });

  test("a receiver takes its pool and where to begin", () => {
    const ports = [{ first: 10, last: 20 }];
    expect(receiverSpec(commons, "192.0.2.7", { ports, firstChoice: 4 })).toEqual({
      ...base,
      role: "receiver",
      omitSeconds: 1,
      bindAddress: "192.0.2.7",
      ports,
      firstChoice: 4,
      bandwidthBytesPerSecond: 125_000,
      receiveBufferBytes: 20_000,
    });
  });
});

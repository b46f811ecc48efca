import { describe, expect, test } from "bun:test";
import { configurationOf, receiverSpec, receiverTerms, senderSpec } from "../../../src/client/configuration.ts";
import type { TestConfig } from "../../../src/config/types.ts";
import { decodeClientMessage } from "../../../src/protocol/decode.ts";
import { encodeClientMessage } from "../../../src/protocol/encode.ts";
import type { Extensions } from "../../../src/protocol/messages.ts";
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
const OFFERED = {
  version: 3,
  omitSeconds: 1,
  offload: "auto",
  accounting: true,
  singlePort: false,
  resumeTimeoutSeconds: 10,
  intervalSeconds: 1,
  path: { congestion: null, dscp: null, maxSegmentBytes: null },
  waitSeconds: 60,
  auth: null,
} as const;

describe("configurationOf", () => {
  test.each([125_000, 0])("forward asks for receivers, of %d B/s", (bandwidthBytesPerSecond) => {
    expect(configurationOf({ ...FULL, bandwidthBytesPerSecond }, TEST_ID, [])).toEqual({
      ...COMMON,
      role: "download",
      receiveBufferBytes: 20_000,
      extensions: { ...OFFERED, bandwidthBytesPerSecond, durationSeconds: 3 },
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
      extensions: { ...OFFERED, pacing: "even", writeSize: "length", clientDials: true },
    });
  });

  test("only what an original ignores tells how a sender is to send", () => {
    const asked = (changes: Partial<TestConfig>) => {
      const { extensions, ...original } = configurationOf(configOf({ reverse: true, ...changes }), TEST_ID, [7]);
      return { extensions, original };
    };
    const plain = asked({});
    const other = asked({
      pacing: "slices",
      writeSize: "length",
      offload: "off",
      omitSeconds: 2,
      dial: "legacy",
      singlePort: true,
      resumeTimeoutSeconds: 0,
      waitSeconds: 0,
      intervalSeconds: 0.5,
      congestion: "reno",
      dscp: 46,
      maxSegmentBytes: 1000,
      title: "not for the server",
    });
    expect(other.original).toEqual(plain.original);
    expect(plain.original).toMatchObject({ lengthBytes: 32_768, sendIntervalSeconds: 0.05 });
    const usual = { ...OFFERED, omitSeconds: 0, accounting: false };
    expect(plain.extensions).toEqual({ ...usual, pacing: "even", writeSize: "auto", clientDials: true });
    expect(other.extensions).toEqual({
      ...usual,
      pacing: "slices",
      writeSize: "length",
      offload: "off",
      omitSeconds: 2,
      clientDials: false,
      singlePort: true,
      resumeTimeoutSeconds: null,
      waitSeconds: null,
      intervalSeconds: 0.5,
      path: { congestion: "reno", dscp: 46, maxSegmentBytes: 1000 },
    });
  });

  test.each([false, true])("what is asked (reverse: %p) is what a server of ours takes", (reverse) => {
    const asked = configurationOf({ ...FULL, reverse, dscp: 46, singlePort: true }, TEST_ID, reverse ? [7, 8] : []);
    const body = new TextEncoder().encode(JSON.stringify(encodeClientMessage(asked)));
    expect(decodeClientMessage(body)).toEqual(asked);
  });
});

describe("specs of this side's streams", () => {
  const config = configOf({
    ...FULL,
    noDelay: true,
    pacing: "slices",
    sendIntervalSeconds: 0.01,
    offload: "on",
    localAddress: "192.0.2.9",
    device: "eth0",
    congestion: "reno",
    dscp: 46,
    maxSegmentBytes: 1000,
    clientPorts: { first: 100, last: 103 },
    intervalSeconds: 0.5,
  });
  const GRANTED: Extensions = {
    version: 3,
    omitSeconds: 1,
    accounting: true,
    singlePort: false,
    dialPorts: null,
    resume: { token: "secret" },
    intervalSeconds: 0.5,
  };
  const endpoint = { type: "connect", address: "192.0.2.1", port: 7 } as const;
  const commons = { config, testId: TEST_ID, streamIndex: 1, affinityCpu: 3, granted: GRANTED, endpoint };
  const ownSocket = { localAddress: "192.0.2.9", localPort: 101, device: "eth0", maxSegmentBytes: 1000 };
  const base = {
    streamIndex: 1,
    testId: TEST_ID,
    family: "udp",
    lengthBytes: 1400,
    offload: "on",
    affinityCpu: 3,
    endpoint,
  } as const;

  test.each([
    ["ours", GRANTED, { omitSeconds: 1, intervalSeconds: 0.5 }],
    [
      "an original, which knows of no marks and expects reports each second",
      null,
      { omitSeconds: 0, intervalSeconds: 1 },
    ],
  ])("a sender to a server that is %s", (_name, granted, agreed) => {
    expect(senderSpec({ ...commons, granted })).toEqual({
      ...base,
      ...agreed,
      role: "sender",
      path: { ...ownSocket, congestion: "reno", dscp: 46 },
      bandwidthBytesPerSecond: 125_000,
      durationSeconds: 3,
      pacing: "slices",
      sendIntervalSeconds: 0.01,
      writeSize: "length",
      sendBufferBytes: 10_000,
      noDelay: true,
    });
  });

  const reverse = { ...config, reverse: true };

  test.each([
    ["ours", GRANTED, { intervalSeconds: 0.5, isPatient: true }],
    ["ours that grants no accounting", { ...GRANTED, accounting: false }, { intervalSeconds: 0.5, isPatient: false }],
    ["an original, or not known yet", null, { intervalSeconds: 1, isPatient: false }],
  ])("a receiver of a server that is %s", (_name, granted, agreed) => {
    expect(receiverSpec({ ...commons, config: reverse, granted })).toEqual({
      ...base,
      ...agreed,
      role: "receiver",
      omitSeconds: 1,
      path: { ...ownSocket, congestion: null, dscp: null },
      bandwidthBytesPerSecond: 125_000,
      receiveBufferBytes: 20_000,
    });
  });

  test.each([
    ["udp", { accounting: true, resume: null }, true],
    ["udp", { accounting: false, resume: { token: "secret" } }, false],
    ["tcp", { accounting: false, resume: { token: "secret" } }, true],
    ["tcp", { accounting: true, resume: null }, false],
  ] as const)("a receiver of %s with %o is patient: %p", (family, granted, isPatient) => {
    const terms = receiverTerms({ ...reverse, family }, { ...GRANTED, ...granted });
    expect(terms).toEqual({ isPatient, intervalSeconds: 0.5 });
  });

  test("the source ports of both directions are apart", () => {
    const both = { ...config, bidir: true };
    expect(senderSpec({ ...commons, config: both }).path.localPort).toBe(101);
    expect(receiverSpec({ ...commons, config: { ...both, reverse: true } }).path.localPort).toBe(103);
    expect(senderSpec({ ...commons, config: { ...both, clientPorts: null } }).path.localPort).toBe(0);
  });
});

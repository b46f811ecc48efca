import { describe, expect, test } from "bun:test";
import { type ClassLimits, UNLIMITED } from "../../../src/config/policy.ts";
import { RperfError } from "../../../src/errors.ts";
import type { Configuration } from "../../../src/protocol/messages.ts";
import { checkDay, checkLimits, plannedBytesOf } from "../../../src/server/limits.ts";
import { forward, reverse } from "./configurations.ts";

/** What the client is told, or null when it is let in. */
function answerTo(limits: Partial<ClassLimits>, configuration: Configuration, otherStreams = 0): string | null {
  try {
    checkLimits({ ...UNLIMITED, name: "few", ...limits }, configuration, otherStreams);
    return null;
  } catch (error) {
    if (!(error instanceof RperfError) || error.code !== "peer-protocol") throw error;
    return error.message.replace(/^this server allows class few /, "");
  }
}

describe("checkLimits", () => {
  test.each<[string, Partial<ClassLimits>, Configuration, string | null]>([
    ["no limits", {}, reverse({ bandwidthBytesPerSecond: 0, durationSeconds: 1e6, streams: 255 }), null],
    ["direction", { directions: ["forward"] }, reverse(), "no reverse tests"],
    ["the other direction", { directions: ["forward"] }, forward(), null],
    ["family", { families: ["udp"] }, forward(), "no TCP tests"],
    ["the other family", { families: ["udp"] }, forward({ family: "udp" }), null],
    ["streams at the limit", { streams: 4 }, forward({ streams: 4 }), null],
    ["streams", { streams: 4 }, forward({ streams: 5 }), "at most 4 streams, not 5"],
    ["time at the limit", { durationSeconds: 10 }, reverse(), null],
    ["time", { durationSeconds: 9.5 }, reverse(), "at most 9.5 s, not 10 s"],
    ["time that is told", { durationSeconds: 9 }, forward(), "at most 9 s, not 10 s"],
    ["time that is not told", { durationSeconds: 9 }, forward({ extensions: null }), null],
    ["rate at the limit", { bytesPerSecond: 2000 }, reverse({ streams: 2 }), null],
    [
      "rate",
      { bytesPerSecond: 1_000_000 },
      reverse({ streams: 3, bandwidthBytesPerSecond: 500_000 }),
      "at most 8.000 Mb/s in one direction, not 12.00 Mb/s: ask for --bandwidth 333333 a stream",
    ],
    [
      "no rate",
      { bytesPerSecond: 1_000_000 },
      forward({}, { bandwidthBytesPerSecond: 0 }),
      "at most 8.000 Mb/s in one direction, not unlimited: ask for --bandwidth 8m",
    ],
    [
      "what means no rate to an original",
      { bytesPerSecond: 1_000_000 },
      reverse({ bandwidthBytesPerSecond: 1e12 }),
      "at most 8.000 Mb/s in one direction, not unlimited: ask for --bandwidth 8m",
    ],
    [
      "a rate that no stream could have",
      { bytesPerSecond: 2 },
      reverse({ streams: 3 }),
      "at most 0.000016 Mb/s in one direction, not 0.02400 Mb/s: ask for fewer streams",
    ],
    ["a rate that is not told", { bytesPerSecond: 1 }, forward({ extensions: null }), null],
    ["an interval that can be watched", { bytesPerSecond: 1000 }, forward({}, { intervalSeconds: 1 }), null],
    [
      "an interval that cannot",
      { bytesPerDay: 1e9 },
      forward({}, { intervalSeconds: 1.5 }),
      "an interval of at most 1 s, by which it is watched, not 1.5 s",
    ],
    ["an interval of a class without such limits", { streams: 1 }, forward({}, { intervalSeconds: 60 }), null],
  ])("%s", (_, limits, configuration, answer) => {
    expect(answerTo(limits, configuration)).toBe(answer);
  });

  test("streams of both directions", () => {
    expect(answerTo({ streams: 4 }, reverse({ streams: 2 }), 2)).toBeNull();
    const answer = "at most 4 streams in both directions together, not 5";
    expect(answerTo({ streams: 4 }, reverse({ streams: 2 }), 3)).toBe(answer);
  });
});

test.each<[string, Configuration, number | null]>([
  ["reverse", reverse({ streams: 3 }), 30_000],
  ["reverse without a rate", reverse({ bandwidthBytesPerSecond: 0 }), null],
  ["forward", forward({ streams: 2 }, { durationSeconds: 0.5 }), 1000],
  ["forward of an original", forward({ extensions: null }), null],
  ["forward of an older one of ours", forward({}, { durationSeconds: null }), null],
])("planned bytes: %s", (_, configuration, bytes) => {
  expect(plannedBytesOf(configuration)).toBe(bytes);
});

test.each<[left: number, planned: number | null, answer: RegExp | null]>([
  [1e9, 1e9, null],
  [1, null, null],
  [0, null, /allows class few 10\.00 GB in 24 hours, of which 0 B are left$/],
  [-5, 100, /of which 0 B are left, not 100 B$/],
  [1e9, 1.5e9, /of which 1\.000 GB are left, not 1\.500 GB$/],
])("with %p bytes left, %p planned", (left, planned, answer) => {
  const check = () => checkDay({ ...UNLIMITED, name: "few", bytesPerDay: 10e9 }, left, planned);
  if (answer === null) expect(check).not.toThrow();
  else expect(check).toThrow(answer);
});

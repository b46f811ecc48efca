import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RperfError } from "../../src/errors.ts";
import {
  formatBandwidth,
  formatBytes,
  formatPercent,
  formatRate,
  formatSeconds,
  parseBandwidth,
  parseBytes,
} from "../../src/units.ts";

describe("parseBandwidth", () => {
  test.each([
    ["0", 0],
    ["125000", 125_000],
    ["8k", 1000],
    ["1m", 125_000],
    ["1g", 125_000_000],
    ["8K", 8000],
    ["1M", 1_000_000],
    ["0.5G", 500_000_000],
    ["94.12M", 94_120_000],
    [".5m", 62_500],
    ["2.", 2],
    ["0.1", null],
    ["1e6", null],
    ["", null],
    [".", null],
    ["k", null],
    ["-1", null],
    ["+1", null],
    [" 1", null],
    ["1 m", null],
    ["1kb", null],
    ["1_000", null],
    ["0x10", null],
    ["1,5m", null],
    ["NaN", null],
    ["Infinity", null],
    ["١", null],
  ] as const)("%p is %p bytes/s", (text, bytesPerSecond) => {
    if (bytesPerSecond === null) expect(() => parseBandwidth(text)).toThrow(RperfError);
    else expect(parseBandwidth(text)).toBe(bytesPerSecond);
  });

  test("gives whole bytes back unchanged", () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => parseBandwidth(String(bytes)) === bytes),
    );
  });
});

test("a message names what was to be read", () => {
  expect(() => parseBandwidth("x")).toThrow(/^--bandwidth must be /);
  expect(() => parseBandwidth("x", "--max-bandwidth")).toThrow(/^--max-bandwidth must be /);
  expect(() => parseBytes("x", "bytes_per_day")).toThrow(/^bytes_per_day must be a number of bytes, .* not "x"$/);
});

test.each([
  ["0", 0],
  ["5000", 5000],
  ["1.5K", 1500],
  ["10G", 10e9],
  [".5T", 5e11],
  ["2M", 2e6],
  ["10g", null],
  ["1GB", null],
  ["-1", null],
  ["", null],
  ["1constructor", null],
] as const)("%p is %p bytes", (text, bytes) => {
  if (bytes === null) expect(() => parseBytes(text, "x")).toThrow(RperfError);
  else expect(parseBytes(text, "x")).toBe(bytes);
});

describe("formatBandwidth", () => {
  test.each([
    [125_000, "1m"],
    [6_250_000, "50m"],
    [187_500_000, "1.5g"],
    [125, "1k"],
    [333_333, "333333"],
    [0, "0"],
    [1, "1"],
  ])("%p bytes/s is %p", (bytesPerSecond, text) => {
    expect(formatBandwidth(bytesPerSecond)).toBe(text);
  });

  test("is read as the same again", () => {
    fc.assert(fc.property(fc.nat({ max: 1e15 }), (rate) => parseBandwidth(formatBandwidth(rate)) === rate));
  });
});

describe("formats", () => {
  test.each([
    [0, "0.000 Mb/s", "0.000 MB/s"],
    [125_000, "1.000 Mb/s", "0.1250 MB/s"],
    [11_765_000, "94.12 Mb/s", "11.77 MB/s"],
    [2_926_500_000, "23412 Mb/s", "2927 MB/s"],
    [1_249_950, "10.00 Mb/s", "1.250 MB/s"],
    [1, "0.000008 Mb/s", "0.000001 MB/s"],
  ])("%p bytes/s", (bytesPerSecond, megabits, megabytes) => {
    expect(formatRate(bytesPerSecond, "megabit")).toBe(megabits);
    expect(formatRate(bytesPerSecond, "megabyte")).toBe(megabytes);
  });

  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.000 kB"],
    [125_000, "125.0 kB"],
    [999_999, "1.000 MB"],
    [12_500_000, "12.50 MB"],
    [1_250_000_000, "1.250 GB"],
    [5e12, "5.000 TB"],
  ])("%p bytes are %p", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0, "0.000 s"],
    [10, "10.00 s"],
    [86_400, "86400 s"],
    [0.001, "1.000 ms"],
    [0.0123456, "12.35 ms"],
    [0.0000005, "0.5000 µs"],
    [0.00099999999, "1.000 ms"],
  ])("%p seconds are %p", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  test.each([
    [0, "0.00%"],
    [0.125, "12.50%"],
    [1, "100.00%"],
  ])("a share of %p is %p", (ratio, text) => {
    expect(formatPercent(ratio)).toBe(text);
  });

  test("never use an exponent", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e15, noNaN: true }), (value) =>
        [formatRate(value, "megabit"), formatBytes(value), formatSeconds(value)].every((text) => !/\de/.test(text)),
      ),
    );
  });
});

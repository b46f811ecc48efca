import { describe, expect, test } from "bun:test";
import { parseAffinity } from "../../../src/config/affinity.ts";
import { type NumberRule, parseNumber } from "../../../src/config/checks.ts";
import { parseDscp } from "../../../src/config/dscp.ts";
import { parseClientPorts } from "../../../src/config/local-end.ts";
import { parsePortPool } from "../../../src/config/port-pool.ts";
import { RperfError } from "../../../src/errors.ts";

describe("parsePortPool", () => {
  test.each([
    ["5", [[5, 5]]],
    [
      "1-10,19,21",
      [
        [1, 10],
        [19, 19],
        [21, 21],
      ],
    ],
    ["65535", [[65_535, 65_535]]],
    ["7-7", [[7, 7]]],
    [
      "9, 3-4",
      [
        [9, 9],
        [3, 4],
      ],
    ],
  ])("%p", (text, ranges) => {
    expect(parsePortPool("--x", text)).toEqual(ranges.map(([first = 0, last = 0]) => ({ first, last })));
  });

  test.each([
    "",
    ",",
    "1,",
    "0",
    "0-3",
    "65536",
    "1-65536",
    "10-1",
    "a",
    "1-",
    "-1",
    "1-2-3",
    "1..3",
    "1.5",
    "1e3",
    "999999",
  ])("refuses %p", (text) => {
    expect(() => parsePortPool("--x", text)).toThrow(RperfError);
    expect(() => parsePortPool("--x", text)).toThrow(/--x /);
  });
});

describe("parseAffinity", () => {
  test.each([
    ["0", [0]],
    ["0,1", [0, 1]],
    ["3, 3", [3, 3]],
  ])("%p", (text, cpus) => {
    expect(parseAffinity(text)).toEqual(cpus);
  });

  test.each(["", ",", "0,", "-1", "a", "0-3", "1.5", "70000"])("refuses %p", (text) => {
    expect(() => parseAffinity(text)).toThrow(/--affinity /);
  });
});

describe("parseClientPorts", () => {
  test.each([
    ["7000", 7000, 7000],
    ["7000-7003", 7000, 7003],
    ["1-65535", 1, 65_535],
  ])("%p", (text, first, last) => {
    expect(parseClientPorts(text)).toEqual({ first, last });
  });

  test.each(["", "0", "7000-", "-1", "7000-6999", "7000,7001", " 7000", "65536", "a"])("refuses %p", (text) => {
    expect(() => parseClientPorts(text)).toThrow(/--client-port /);
  });
});

describe("parseDscp", () => {
  test.each([
    ["0", 0],
    ["63", 63],
    ["0x2e", 46],
    ["0X3F", 63],
    ["default", 0],
    ["cs0", 0],
    ["cs1", 8],
    ["CS7", 56],
    ["af11", 10],
    ["af12", 12],
    ["af33", 30],
    ["af43", 38],
    ["ef", 46],
    ["EF", 46],
    ["voice-admit", 44],
    ["le", 1],
  ])("%p", (text, value) => {
    expect(parseDscp(text)).toBe(value);
  });

  test.each(["", "64", "0x40", "-1", "1.5", "0b1", "cs8", "af10", "af44", "af51", "best", "46 ", "0x", "1e1"])(
    "refuses %p",
    (text) => {
      expect(() => parseDscp(text)).toThrow(/^--dscp must be a number from 0 to 63, .* not "/);
    },
  );
});

describe("parseNumber", () => {
  const whole: NumberRule = { name: "--n", min: 1, max: 9, isWhole: true };
  const above: NumberRule = { name: "--s", min: 0, max: 1, isWhole: false, isAboveMin: true };

  test.each([
    [whole, "1", 1],
    [whole, "09", 9],
    [above, "1", 1],
    [above, ".5", 0.5],
    [above, "1.", 1],
    [above, "0.001", 0.001],
  ] as const)("%j reads %p", (rule, text, value) => {
    expect(parseNumber(rule, text)).toBe(value);
  });

  test.each([
    [whole, ["0", "10", "", "x", "+1", "-1", "1.0", "1e0", "0x1", " 1", "1 ", "NaN", "Infinity"]],
    [above, ["0", "1.1", "", ".", "x", "-0.5", "1e-1", "0.0", "Infinity", "1_0", "0,5"]],
  ] as const)("%j refuses and quotes what was typed", (rule, texts) => {
    for (const text of texts) expect(() => parseNumber(rule, text)).toThrow(`not "${text}"`);
  });
});

import { describe, expect, test } from "bun:test";
import { parseArguments } from "../../bench/arguments.ts";

describe("the bench's arguments", () => {
  test("defaults", () => {
    expect(parseArguments([])).toEqual({ rounds: 5, seconds: null, cases: null, tools: null, saveFolder: null });
  });

  test.each<[string[], object]>([
    [["--quick"], { rounds: 2 }],
    [["--rounds", "7"], { rounds: 7 }],
    [["--quick", "--rounds", "3"], { rounds: 3 }],
    [["--seconds", "1.5"], { seconds: 1.5 }],
    [["--case", "^tcp-"], { cases: /^tcp-/ }],
    [["--tool", "iperf3"], { tools: /iperf3/ }],
    [["--save", "/tmp/x"], { saveFolder: "/tmp/x" }],
  ])("%p", (args, expected) => {
    expect(parseArguments(args)).toMatchObject(expected);
  });

  test("help and list", () => {
    expect(parseArguments(["--help"])).toBe("help");
    expect(parseArguments(["-h", "--quick"])).toBe("help");
    expect(parseArguments(["--list"])).toBe("list");
  });

  test.each([
    [["--rounds", "0"], "--rounds"],
    [["--rounds", "1.5"], "--rounds"],
    [["--rounds", ""], "--rounds"],
    [["--seconds", "five"], "--seconds"],
    [["--seconds", "0.1"], "--seconds"],
    [["--case", "("], "--case"],
    [["--tool", "["], "--tool"],
    [["--fast"], "--fast"],
    [["tcp"], "tcp"],
  ])("%p is refused by name", (args, name) => {
    expect(() => parseArguments(args)).toThrow(name);
  });
});

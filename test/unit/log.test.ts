import { describe, expect, test } from "bun:test";
import { createLog, type LogLevel } from "../../src/log.ts";

function linesAt(level: LogLevel, colour = false): string[] {
  const lines: string[] = [];
  const log = createLog({ level, colour, write: (text) => lines.push(text) });
  log.error("e");
  log.warn("w");
  log.info("i");
  log.debug("d");
  return lines;
}

describe("createLog", () => {
  test.each([
    ["error", ["error"]],
    ["warn", ["error", "warn"]],
    ["info", ["error", "warn", "info"]],
    ["debug", ["error", "warn", "info", "debug"]],
  ] as const)("at level %p writes %p", (level, types) => {
    expect(linesAt(level).map((line) => line.split(" ")[1] ?? "")).toEqual([...types]);
  });

  test("writes time, level and message on a line of its own", () => {
    expect(linesAt("warn")[1]).toMatch(/^\[\d\d:\d\d:\d\d\] warn w\n$/);
  });

  test("colours only the level", () => {
    expect(linesAt("warn", true)[1]).toEndWith("] \x1b[33mwarn\x1b[39m w\n");
  });

  test("a JSON object a line, with the fields, and as safe on a terminal", () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", colour: true, style: "json", write: (text) => lines.push(text) });
    log.warn("text", { event: "client-refused", client: null, message: "\x1b[2J\n\x9b\u202e\u2028" });
    log.debug("not this");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[\x20-\x7e]+\n$/);
    const { time, ...rest } = JSON.parse(lines[0] ?? "");
    expect(new Date(time).toISOString()).toBe(time);
    expect(rest).toEqual({
      level: "warn",
      message: "\x1b[2J\n\x9b\u202e\u2028",
      event: "client-refused",
      client: null,
    });
  });

  test("systemd's journal gets a priority, and has the time itself", () => {
    const lines: string[] = [];
    const log = createLog({ level: "debug", colour: true, style: "journal", write: (text) => lines.push(text) });
    log.error("e");
    log.warn("w");
    log.info("i\n<0>forged");
    log.debug("d");
    expect(lines).toEqual(["<3>e\n", "<4>w\n", "<6>i\\x0a<0>forged\n", "<7>d\n"]);
  });

  test("holds no repeated line back", () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", colour: false, write: (text) => lines.push(text) });
    for (let i = 0; i < 20; i++) log.info("same");
    expect(lines).toHaveLength(20);
  });

  test("lets nobody forge a line", () => {
    const lines: string[] = [];
    createLog({ level: "info", colour: false, write: (text) => lines.push(text) }).warn("a\n[00:00:00] info b");
    expect(lines.join("").split("\n")).toHaveLength(2);
  });
});

import { describe, expect, test } from "bun:test";
import { fstatSync } from "node:fs";

import type { Output } from "../../../src/cli/output.ts";
import { createServerLog, logStyleOf } from "../../../src/cli/server-log.ts";
import type { ServerEvent } from "../../../src/server/events.ts";

const REFUSED = {
  type: "client-refused",
  client: "192.0.2.1:7",
  message: "streams must be from 1 to 255, not 0",
} as const;

/** An output whose reader reads when it is told to, and a clock that stands still. */
class StuckOutput implements Output {
  readonly isTerminal = false;
  readonly hasColour = false;
  readonly ended = new AbortController().signal;
  readonly failure = null;
  failedWrites = 0;
  written = "";
  readChars = 0;

  columns(): number {
    return 0;
  }

  get pendingChars(): number {
    return this.written.length - this.readChars;
  }

  write(text: string): void {
    this.written += text;
  }

  async flush(): Promise<void> {}
}

function logOver(output: Output, nowSeconds: () => number) {
  const clock = { monotonicSeconds: nowSeconds, wallSecondsOf: (seconds: number) => seconds };
  return createServerLog({ level: "info", style: "json", output, clock });
}

function linesOf(output: StuckOutput): Record<string, unknown>[] {
  return output.written
    .trimEnd()
    .split("\n")
    .map((line): Record<string, unknown> => JSON.parse(line));
}

describe("a reader that has stopped reading", () => {
  test("costs some memory, lines and nothing else; how many is told once it reads again", () => {
    const output = new StuckOutput();
    let now = 0;
    const log = logOver(output, () => now);
    const most = 300 * 1024;
    for (; now < 2_000_000; now += 1000) log.event(REFUSED);
    expect(output.written.length).toBeLessThan(most);
    const told = linesOf(output).length;
    output.readChars = output.written.length;
    log.event(REFUSED);
    const [lost, last] = linesOf(output).slice(-2);
    expect(lost).toMatchObject({ level: "warn", lost: 2000 - told });
    expect(lost?.["message"]).toMatch(/^\d[\d,]* lines of this log are lost: nobody took them$/);
    expect(last).toMatchObject({ event: "client-refused" });
  });
});

test("lines that the system did not take are told of by the next one", () => {
  const output = new StuckOutput();
  const log = logOver(output, () => 0);
  log.line("info", "one");
  output.failedWrites = 3;
  log.line("info", "two");
  log.line("info", "three");
  expect(linesOf(output).map(({ lost }) => lost)).toEqual([undefined, 3, undefined, undefined]);
});

describe("a flood", () => {
  test("is summed up at the next line behind its second, or at the end", () => {
    const output = new StuckOutput();
    let now = 0;
    const log = logOver(output, () => now);
    for (let index = 0; index < 4822; index++) log.event(REFUSED);
    now = 1;
    log.event({ type: "test-started", client: "192.0.2.1:8" });
    expect(linesOf(output).slice(-2)).toMatchObject([
      {
        level: "warn",
        event: "client-refused",
        more: 4812,
        message: "… and 4,812 more like it within a second: refused: streams must be from 1 to 255, not 0",
      },
      { level: "info", event: "test-started", client: "192.0.2.1:8", message: "test started" },
    ]);
    for (let index = 0; index < 12; index++) log.event(REFUSED);
    log.finish();
    expect(linesOf(output).at(-1)).toMatchObject({ more: 12 });
  });

  test("is summed up by itself when nothing else happens", async () => {
    const output = new StuckOutput();
    const log = logOver(output, () => performance.now() / 1000);
    for (let index = 0; index < 20; index++) log.event(REFUSED);
    while (!output.written.includes('"more":10')) await Bun.sleep(20);
    expect(linesOf(output)).toHaveLength(11);
  });

  test("of what is not shown counts for nothing", () => {
    const output = new StuckOutput();
    const log = logOver(output, () => 0);
    for (let index = 0; index < 100; index++) log.event({ type: "debug", client: null, message: "x" });
    log.finish();
    expect(output.written).toBe("");
  });
});

test("a program gets each event as it is", () => {
  const output = new StuckOutput();
  const log = logOver(output, () => 0);
  const event: ServerEvent = {
    type: "test-configured",
    client: "192.0.2.1:7",
    family: "udp",
    direction: "forward",
    streams: 2,
  };
  log.event(event);
  const [line] = linesOf(output);
  const { time: _time, ...rest } = line ?? {};
  expect(rest).toEqual({
    level: "info",
    message: "UDP forward, 2 streams",
    event: "test-configured",
    client: "192.0.2.1:7",
    family: "udp",
    direction: "forward",
    streams: 2,
  });
});

test("systemd's journal is known by what stderr is, and not by the environment alone", () => {
  const { dev, ino } = fstatSync(2);
  expect(logStyleOf("text", `${dev}:${ino}`)).toBe("journal");
  expect(logStyleOf("json", `${dev}:${ino}`)).toBe("json");
  expect(logStyleOf("text", `${dev}:${ino + 1}`)).toBe("text");
  expect(logStyleOf("text", undefined)).toBe("text");
});

import { afterEach, describe, expect, jest, test } from "bun:test";
import fc from "fast-check";
import { createPaint } from "../../../src/report/paint.ts";
import { createProgress, renderProgress } from "../../../src/report/progress.ts";
import { configOf, startOf, tcpReceive, tcpSend } from "../../golden/scenarios.ts";

const ERASE_LINE = "\r\u001b[2K";

const VIEW: Parameters<typeof renderProgress>[0] = {
  elapsedSeconds: 3.21,
  totalSeconds: 10,
  rates: [{ nowBytesPerSecond: 125_000, history: [0, 62_500, 125_000] }],
  columns: 80,
  format: "megabit",
  paint: createPaint(false),
};

describe("renderProgress", () => {
  test.each([
    [80, "3.2 of 10.0 s  1.000 Mb/s  ▁▅█"],
    [0, "3.2 of 10.0 s  1.000 Mb/s  ▁▅█"],
    [28, "3.2 of 10.0 s  1.000 Mb/s  █"],
    [27, "3.2 of 10.0 s  1.000 Mb/s"],
    [24, "3.2 of 10.0 s"],
    [12, ""],
  ])("in %d columns", (columns, expected) => {
    expect(renderProgress({ ...VIEW, columns })).toBe(expected);
  });

  test("no rate before the first interval", () => {
    const rates = [{ nowBytesPerSecond: null, history: [] }];
    expect(renderProgress({ ...VIEW, rates })).toBe("3.2 of 10.0 s  – Mb/s");
    expect(renderProgress({ ...VIEW, rates, format: "megabyte" })).toBe("3.2 of 10.0 s  – MB/s");
  });

  test("both directions, without their course", () => {
    const history = [1, 2];
    const rates = [
      { nowBytesPerSecond: 125_000, history },
      { nowBytesPerSecond: null, history },
    ];
    expect(renderProgress({ ...VIEW, rates })).toBe("3.2 of 10.0 s  fwd 1.000 Mb/s  rev – Mb/s");
    expect(renderProgress({ ...VIEW, rates, columns: 30 })).toBe("3.2 of 10.0 s");
  });

  test("is never wider than the terminal, with colour or without", () => {
    const rate = fc.double({ min: 0, max: 1e13, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        rate,
        fc.array(rate),
        fc.boolean(),
        fc.integer({ min: 1, max: 2 }),
        (columns, now, history, colour, ways) => {
          const rates = Array.from({ length: ways }, () => ({ nowBytesPerSecond: now, history }));
          const line = renderProgress({ ...VIEW, columns, rates, paint: createPaint(colour) });
          expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
        },
      ),
    );
  });
});

describe("createProgress", () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  function progressOf() {
    const written: string[] = [];
    const progress = createProgress({
      write: (text) => written.push(text),
      columns: () => 80,
      colour: false,
      format: "megabit",
    });
    return { progress, written };
  }

  test("redraws four times a second until it is stopped", () => {
    jest.useFakeTimers();
    const { progress, written } = progressOf();
    progress.started(startOf(configOf()));
    expect(written).toHaveLength(1);
    jest.advanceTimersByTime(1000);
    expect(written).toHaveLength(5);
    expect(written.every((text) => text.startsWith(ERASE_LINE))).toBe(true);
    progress.stop();
    expect(written.at(-1)).toBe(ERASE_LINE);
    jest.advanceTimersByTime(1000);
    progress.stop();
    expect(written).toHaveLength(6);
  });

  test("clear erases what is drawn, and nothing else", () => {
    const { progress, written } = progressOf();
    progress.clear();
    progress.stop();
    expect(written).toEqual([]);
    progress.started(startOf(configOf()));
    progress.clear();
    progress.clear();
    progress.stop();
    expect(written.slice(1)).toEqual([ERASE_LINE]);
  });

  test("shows the sum over streams, of receivers once they tell something", () => {
    jest.useFakeTimers();
    const { progress, written } = progressOf();
    const lineNow = (): string => {
      jest.advanceTimersByTime(250);
      return written.at(-1) ?? "";
    };
    progress.started(startOf(configOf({ parallel: 2 })));
    progress.interval("forward", 0, tcpSend(125_000));
    progress.interval("forward", 1, tcpSend(125_000));
    expect(lineNow()).toEndWith("2.000 Mb/s  █");
    progress.interval("forward", 0, tcpReceive(62_500));
    expect(lineNow()).toEndWith("0.5000 Mb/s");
    progress.interval("forward", 1, tcpReceive(62_500));
    progress.interval("forward", 0, tcpReceive(125_000));
    expect(lineNow()).toEndWith("1.500 Mb/s  █");
    progress.stop();
  });

  test.each([
    [{ reverse: true }, "1.000 Mb/s  █"],
    [{ bidir: true }, "fwd – Mb/s  rev 1.000 Mb/s"],
  ])("%j: the direction that runs, or both", (changes, expected) => {
    jest.useFakeTimers();
    const { progress, written } = progressOf();
    progress.started(startOf(configOf(changes)));
    progress.interval("reverse", 0, tcpReceive(125_000));
    jest.advanceTimersByTime(250);
    expect(written.at(-1)).toEndWith(expected);
    progress.stop();
  });

  test("a stream that fell silent counts no more", () => {
    jest.useFakeTimers();
    const { progress, written } = progressOf();
    progress.started(startOf(configOf({ parallel: 2 })));
    progress.interval("forward", 1, tcpReceive(125_000));
    for (let round = 0; round < 4; round++) progress.interval("forward", 0, tcpReceive(125_000));
    jest.advanceTimersByTime(250);
    expect(written.at(-1)).toContain("1.000 Mb/s");
    progress.stop();
  });
});

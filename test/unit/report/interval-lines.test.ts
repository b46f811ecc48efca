import { describe, expect, test } from "bun:test";
import { createIntervalLines } from "../../../src/report/interval-lines.ts";
import type { Row } from "../../../src/report/rows.ts";
import { tcpReceive, tcpSend } from "../../golden/scenarios.ts";

const MISSING = "–";

/** A row as "label start-end sent/received", for short tables. */
function short(rows: readonly Row[]): string[] {
  return rows.map((row) => {
    const sent = row.sentBytesPerSecond ?? MISSING;
    const received = row.receivedBytesPerSecond ?? MISSING;
    return `${row.label} ${row.startSeconds}-${row.endSeconds} ${sent}/${received}`;
  });
}

function linesOf(changes: { parallel?: number; reverse?: boolean; omitSeconds?: number } = {}, suffix = "") {
  return createIntervalLines({ parallel: 1, reverse: false, omitSeconds: 0, ...changes }, suffix);
}

describe("one stream", () => {
  test("a line waits for both sides", () => {
    const lines = linesOf();
    expect(lines.add(0, tcpSend(10))).toEqual([]);
    expect(short(lines.add(0, tcpReceive(9)))).toEqual(["0 0-1 10/9"]);
    expect(lines.add(0, tcpReceive(8, { durationSeconds: 2 }))).toEqual([]);
    expect(short(lines.add(0, tcpSend(10)))).toEqual(["0 1-2 10/4"]);
  });

  test("a side two intervals ahead is waited for no longer", () => {
    const lines = linesOf();
    expect(lines.add(0, tcpSend(1))).toEqual([]);
    expect(lines.add(0, tcpSend(2))).toEqual([]);
    expect(short(lines.add(0, tcpSend(3)))).toEqual(["0 0-1 1/–"]);
  });

  test("what comes after its line has a line of its own", () => {
    const lines = linesOf();
    for (const bytes of [1, 2, 3]) lines.add(0, tcpSend(bytes));
    expect(short(lines.add(0, tcpReceive(7)))).toEqual(["0 0-1 –/7"]);
    expect(short(lines.add(0, tcpReceive(8)))).toEqual(["0 1-2 2/8"]);
  });

  test.each([
    [false, "client", ["0 0-1 –/5"]],
    [false, "server", []],
    [true, "server", ["0 0-1 –/5"]],
    [true, "client", []],
  ] as const)("reverse %p: the end of the %s's side", (reverse, side, expected) => {
    const lines = linesOf({ reverse });
    lines.add(0, tcpReceive(5));
    expect(short(lines.sideEnded(0, side))).toEqual([...expected]);
  });

  test("flush shows what is held back, once", () => {
    const lines = linesOf();
    lines.add(0, tcpSend(1));
    lines.add(0, tcpSend(2));
    expect(short(lines.flush())).toEqual(["0 0-1 1/–", "0 1-2 2/–"]);
    expect(lines.flush()).toEqual([]);
  });

  test("a stream that is not in the test shows nothing", () => {
    expect(linesOf().add(1, tcpSend(1))).toEqual([]);
    expect(linesOf().sideEnded(1, "client")).toEqual([]);
  });
});

describe("several streams", () => {
  test("the sum follows the last stream's line", () => {
    const lines = linesOf({ parallel: 2 });
    lines.add(0, tcpSend(10));
    lines.add(1, tcpSend(20));
    expect(short(lines.add(1, tcpReceive(19)))).toEqual(["1 0-1 20/19"]);
    expect(short(lines.add(0, tcpReceive(9)))).toEqual(["0 0-1 10/9", "sum 0-1 30/28"]);
  });

  test("a stream that is over holds up no sum", () => {
    const lines = linesOf({ parallel: 2 });
    lines.sideEnded(1, "client");
    lines.sideEnded(1, "server");
    lines.add(0, tcpSend(10));
    expect(short(lines.add(0, tcpReceive(9)))).toEqual(["0 0-1 10/9", "sum 0-1 10/9"]);
  });

  test("of one of two directions every label names it", () => {
    const lines = linesOf({ parallel: 2 }, " fwd");
    for (const stream of [0, 1]) lines.add(stream, tcpSend(10));
    expect(short(lines.flush())).toEqual(["0 fwd 0-1 10/–", "1 fwd 0-1 10/–", "sum fwd 0-1 20/–"]);
  });

  test("sums stay in order when a stream lags", () => {
    const lines = linesOf({ parallel: 2 });
    for (const bytes of [1, 2]) {
      lines.add(0, tcpSend(bytes));
      lines.add(0, tcpReceive(bytes));
    }
    lines.add(1, tcpSend(10));
    lines.add(1, tcpSend(20));
    lines.sideEnded(1, "client");
    const rows = lines.sideEnded(1, "server");
    expect(short(rows)).toEqual(["1 0-1 10/–", "1 1-2 20/–", "sum 0-1 11/1", "sum 1-2 22/2"]);
  });
});

describe("omitted", () => {
  const omitted = (durationSeconds: number) => ({
    omitted: { durationSeconds, bytesSent: 1, packetsSent: 0, sendsBlocked: 0 },
  });

  test("whole intervals where the sender marks nothing", () => {
    const lines = linesOf({ omitSeconds: 1 });
    lines.sideEnded(0, "server");
    const rows = [...lines.add(0, tcpSend(1)), ...lines.add(0, tcpSend(1))];
    expect(rows.map((row) => row.omitted)).toEqual(["all", "none"]);
  });

  test("without marks up to the cut nearest to the boundary, however long the intervals are", () => {
    const lines = linesOf({ omitSeconds: 1 });
    lines.sideEnded(0, "server");
    const rows = [0.4, 0.4, 0.3, 0.4].flatMap((durationSeconds) => lines.add(0, tcpSend(1, { durationSeconds })));
    expect(rows.map((row) => row.omitted)).toEqual(["all", "all", "all", "none"]);
  });

  test("by the sender's marks", () => {
    const lines = linesOf({ omitSeconds: 3 });
    lines.sideEnded(0, "server");
    const rows = [1, 0.999, 0.5, 0.001].flatMap((seconds) => lines.add(0, tcpSend(1, omitted(seconds))));
    expect(rows.map((row) => row.omitted)).toEqual(["all", "all", "part", "none"]);
  });
});

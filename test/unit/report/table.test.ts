import { describe, expect, test } from "bun:test";
import type { Row } from "../../../src/report/rows.ts";
import { rowOfIntervals, sumRows } from "../../../src/report/rows.ts";
import { createTable } from "../../../src/report/table.ts";
import { tcpReceive, tcpSend, udpReceive, udpSend } from "../../golden/scenarios.ts";

function placed<T>(interval: T, startSeconds = 0) {
  return { interval, startSeconds, endSeconds: startSeconds + 1 };
}

const RATES_MEGABITS = [0.001, 0.1, 1, 94.12, 999.96, 23_412, 100_000];

describe.each(["megabit", "megabyte"] as const)("%s", (unit) => {
  test.each(RATES_MEGABITS)("columns stay aligned at %d Mb/s on streams 0 to 254", (megabits) => {
    const bytes = megabits * 125_000;
    for (const family of ["tcp", "udp"] as const) {
      const table = createTable({ family, durationSeconds: 10, bidir: false }, unit);
      for (const stream of [0, 10, 254]) {
        const row =
          family === "tcp"
            ? rowOfIntervals(String(stream), placed(tcpSend(bytes), 9), placed(tcpReceive(bytes), 9), 0)
            : rowOfIntervals(
                String(stream),
                placed(udpSend(Math.ceil(bytes / 1032)), 9),
                placed(udpReceive(Math.ceil(bytes / 1032)), 9),
                0,
              );
        expect(table.line(row)).toHaveLength(table.header.length);
        expect(table.line(sumRows("sum", [row]))).toHaveLength(table.header.length);
      }
    }
  });
});

test("the header names the unit of the rates", () => {
  expect(createTable({ family: "tcp", durationSeconds: 1, bidir: false }, "megabit").header).toContain("sent Mb/s");
  expect(createTable({ family: "tcp", durationSeconds: 1, bidir: false }, "megabyte").header).toContain("rcvd MB/s");
});

test("with two directions the labels have room for them", () => {
  const table = createTable({ family: "tcp", durationSeconds: 10, bidir: true }, "megabit");
  for (const label of ["0 fwd", "254 rev", "sum fwd"]) {
    const row = rowOfIntervals(label, placed(tcpSend(1)), null, 0);
    expect(table.line(row)).toHaveLength(table.header.length);
    expect(table.line(row).slice(0, 7)).toBe(label.padStart(7));
  }
});

test("what was not measured is a dash, never 0", () => {
  const table = createTable({ family: "udp", durationSeconds: 1, bidir: false }, "megabit");
  const sentOnly = table.line(rowOfIntervals("0", placed(udpSend(5)), null, 0));
  expect(sentOnly.match(/–/g)).toHaveLength(8);
  const noJitter = table.line(rowOfIntervals("0", null, placed(udpReceive(1)), 0));
  expect(noJitter.endsWith(" –")).toBe(true);
});

test("the share of loss is of the packets that were due", () => {
  const table = createTable({ family: "udp", durationSeconds: 1, bidir: false }, "megabit");
  const receive = udpReceive(110, { packetsLost: 100, packetsDuplicated: 10 });
  expect(table.line(rowOfIntervals("0", null, placed(receive), 0))).toContain("50.00%");
});

test.each([
  ["none", ""],
  ["part", "  (partly omitted)"],
  ["all", "  (omitted)"],
] as const)("omitted %s", (omitted, mark) => {
  const table = createTable({ family: "tcp", durationSeconds: 1, bidir: false }, "megabit");
  const row: Row = { ...rowOfIntervals("0", placed(tcpSend(5)), placed(tcpReceive(5)), 0), omitted };
  expect(table.line(row).slice(table.header.length)).toBe(mark);
});

test("a sum weighs jitter by its run and leaves out what is missing", () => {
  const sum = sumRows("sum", [
    rowOfIntervals("0", placed(udpSend(10)), placed(udpReceive(9, { jitterSeconds: 0.003, unbrokenSequence: 30 })), 0),
    rowOfIntervals("1", null, placed(udpReceive(9, { jitterSeconds: 0.001, unbrokenSequence: 10 })), 0),
    rowOfIntervals("2", placed(udpSend(10)), null, 0),
  ]);
  expect(sum.packets).toMatchObject({ received: 18, lost: 0, jitterPackets: 40 });
  expect(sum.packets?.jitterSeconds).toBeCloseTo(0.0025, 12);
  expect(sum.sentBytesPerSecond).toBe(2 * 10 * 1032);
});

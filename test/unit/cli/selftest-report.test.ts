import { expect, test } from "bun:test";
import {
  isSelftestSuccess,
  renderSelftestJson,
  renderSelftestText,
  type SelftestRow,
} from "../../../src/cli/selftest-report.ts";

const TCP: SelftestRow = {
  family: "tcp",
  direction: "forward",
  bytesPerSecond: 2_926_500_000,
  lossRatio: null,
  jitterSeconds: null,
  cpuSeconds: 1.34,
  cpuRatio: 1.336,
  failure: null,
};
const UDP: SelftestRow = {
  family: "udp",
  direction: "reverse",
  bytesPerSecond: 12_500_000,
  lossRatio: 0.0123,
  jitterSeconds: 0.0000045,
  cpuSeconds: 0.1,
  cpuRatio: 0.1,
  failure: null,
};
const FAILED: SelftestRow = { ...UDP, bytesPerSecond: 0, lossRatio: null, jitterSeconds: null, failure: "no way" };

test("the text is an aligned table that says what its figures mean", () => {
  expect(renderSelftestText([TCP, UDP, FAILED], "megabit", 12_500_000)).toBe(
    [
      "Test           Received   Loss    Jitter   CPU",
      "TCP forward  23412 Mb/s      –         –  134%",
      "UDP reverse  100.0 Mb/s  1.23%  4.500 µs   10%",
      "UDP reverse  0.000 Mb/s      –         –   10%",
      "",
      "TCP ran as fast as it could; UDP was asked for 100.0 Mb/s.",
      "CPU is the sender's and the receiver's together; 100% is one core.",
      "UDP reverse failed: no way",
      "",
    ].join("\n"),
  );
});

test("the JSON has the same for programs", () => {
  expect(JSON.parse(renderSelftestJson([TCP, FAILED]))).toEqual({
    schema_version: 1,
    tests: [
      {
        family: "tcp",
        direction: "forward",
        bytes_per_second: 2_926_500_000,
        loss_ratio: null,
        jitter_seconds: null,
        cpu_seconds: 1.34,
        cpu_ratio: 1.336,
        success: true,
        reason: null,
      },
      {
        family: "udp",
        direction: "reverse",
        bytes_per_second: 0,
        loss_ratio: null,
        jitter_seconds: null,
        cpu_seconds: 0.1,
        cpu_ratio: 0.1,
        success: false,
        reason: "no way",
      },
    ],
    success: false,
  });
});

test("one failure fails it", () => {
  expect(isSelftestSuccess([TCP, UDP])).toBe(true);
  expect(isSelftestSuccess([TCP, FAILED])).toBe(false);
});

// Tests that must succeed, with totals that match.
import { expect } from "bun:test";

import { runClient, type TestOptions, type TestResult } from "../../src/index.ts";

/** Bytes and packets sent are those received and those lost, and the test completed. */
export function expectMatched(result: TestResult): void {
  expect({ outcome: result.outcome, reason: result.reason }).toEqual({ outcome: "completed", reason: null });
  expect(result.success).toBe(true);
  expectTotals(result);
}

/** As above, of a test that may have ended early. */
export function expectTotals({ summary }: TestResult): void {
  const { udp } = summary;
  expect(summary.bytesSent).toBeGreaterThan(0);
  const lost = udp?.packetsLost ?? 0;
  expect(summary.bytesReceived + lost * (udp?.framedPacketSizeBytes ?? 0)).toBe(summary.bytesSent);
  if (udp !== null) expect(udp.packetsReceived + lost).toBe(udp.packetsSent);
}

let turn = 0;

/** A short test of a well-behaved client, of another kind each time. */
export async function expectServes(port: number, options: Partial<TestOptions> = {}): Promise<void> {
  turn += 1;
  const family = turn % 2 === 0 ? "udp" : "tcp";
  const reverse = turn % 4 >= 2;
  expectMatched(
    await runClient({ host: "127.0.0.1", port, durationSeconds: 0.5, family, reverse, parallel: 2, ...options }),
  );
}

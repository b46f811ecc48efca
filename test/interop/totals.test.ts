// Two of ours: both sides count the same, with and without omitted time, and the plan is kept.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RperfServer, runClient, startServer, type TestOptions } from "../../src/index.ts";

const BYTES_PER_SECOND = 500_000;
const LENGTH_BYTES = { tcp: 32_768, udp: 1024 + 8 } as const;

let server: RperfServer;
beforeAll(async () => {
  server = await startServer({ ipv6: true, port: 0 });
});
afterAll(async () => {
  await server.stop("the test is over");
});

function expectMatch(result: Awaited<ReturnType<typeof runClient>>): void {
  expect(result.reason).toBeNull();
  expect(result.success).toBe(true);
  for (const { summary } of result.streams) {
    const lostPackets = summary.udp?.packetsLost ?? 0;
    const framedBytes = summary.udp?.framedPacketSizeBytes ?? 0;
    expect(summary.bytesReceived + lostPackets * framedBytes).toBe(summary.bytesSent);
    if (summary.udp !== null) {
      const { packetsSent, packetsReceived, packetsDuplicated } = summary.udp;
      expect(packetsReceived - packetsDuplicated + lostPackets).toBe(packetsSent);
    }
  }
}

const MODES: readonly Partial<TestOptions>[] = (["tcp", "udp"] as const).flatMap((family) =>
  [false, true].flatMap((reverse) => [0, 1].map((omitSeconds) => ({ family, reverse, omitSeconds }))),
);

for (const mode of MODES) {
  const name = `${mode.family} ${mode.reverse ? "reverse" : "forward"} -O ${mode.omitSeconds}`;

  test(`${name}: totals match, and a paced stream keeps its plan`, async () => {
    const family = mode.family ?? "tcp";
    const result = await runClient({
      ...mode,
      host: "127.0.0.1",
      port: server.port,
      parallel: 2,
      durationSeconds: 2,
      bandwidthBytesPerSecond: BYTES_PER_SECOND,
    });
    expectMatch(result);
    const omitSeconds = mode.omitSeconds ?? 0;
    const countedSeconds = 2 - omitSeconds;
    for (const { summary, send } of result.streams) {
      const plannedBytes = BYTES_PER_SECOND * countedSeconds;
      expect(Math.abs(summary.bytesSent - plannedBytes)).toBeLessThan((1 + omitSeconds) * LENGTH_BYTES[family] + 1);
      // Evenly: each second by itself, too; one more in the first, for a packet leaves at the start of its time.
      expect(send).toHaveLength(2);
      for (const { bytesSent } of send) {
        expect(Math.abs(bytesSent - BYTES_PER_SECOND)).toBeLessThan(2 * LENGTH_BYTES[family]);
      }
    }
  });

  test(`${name}: totals match at a rate that the machine cannot hold`, async () => {
    // UDP loses packets here: what is lost must be what is missing, before the boundary and behind it.
    const result = await runClient({
      ...mode,
      host: "::1",
      port: server.port,
      durationSeconds: 2.5,
      bandwidthBytesPerSecond: 0,
    });
    expectMatch(result);
    expect(result.summary.bytesReceived).toBeGreaterThan(0);
  });
}

test("the omitted second is left out of time as well as of bytes", async () => {
  for (const reverse of [false, true]) {
    const result = await runClient({
      host: "127.0.0.1",
      port: server.port,
      reverse,
      durationSeconds: 2,
      omitSeconds: 1,
      bandwidthBytesPerSecond: BYTES_PER_SECOND,
    });
    const { durationSendSeconds, durationReceiveSeconds } = result.summary;
    expect(durationSendSeconds).toBeCloseTo(1, 1);
    expect(durationReceiveSeconds).toBeCloseTo(1, 1);
  }
});

test("255 streams at once, and their totals match", async () => {
  const result = await runClient({
    host: "127.0.0.1",
    port: server.port,
    parallel: 255,
    durationSeconds: 2,
    bandwidthBytesPerSecond: 10_000,
  });
  expectMatch(result);
  expect(result.streams).toHaveLength(255);
}, 60_000);

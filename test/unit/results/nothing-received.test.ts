import { expect, test } from "bun:test";
import { makeTestConfig } from "../../../src/config/test-config.ts";
import { createResultCollector } from "../../../src/results/collector.ts";
import { NO_TOTALS } from "../../../src/results/types.ts";
import { UdpReceiveStats } from "../../../src/stats/udp-receive.ts";

test.each([
  [5, "with books: all is lost", new UdpReceiveStats().books(5, 0)],
  [null, "without: it is not known", null],
])("%p lost where no packet came, %s", (lost, _what, books) => {
  const { config } = makeTestConfig({ host: "192.0.2.1", family: "udp" });
  const collector = createResultCollector(config);
  const interval = { timestampSeconds: 1, durationSeconds: 1, bytesSent: 5160, packetsSent: 5, sendsBlocked: 0 };
  collector.addInterval(0, { ...interval, family: "udp", kind: "send" });
  const ended = { outcome: "completed", reason: null, socket: null } as const;
  collector.sideEnded(0, "client", { ...ended, totals: NO_TOTALS });
  collector.sideEnded(0, "server", { ...ended, outcome: "failed", totals: { ...NO_TOTALS, books } });
  expect(collector.build({ outcome: "completed", reason: null }).summary.udp?.packetsLost ?? null).toBe(lost);
});

// What the tools print, cut down from real runs, and what the bench reads in it.
import { describe, expect, test } from "bun:test";
import { iperf2 } from "../../bench/tools/iperf2.ts";
import { iperf3 } from "../../bench/tools/iperf3.ts";
import { nuttcp } from "../../bench/tools/nuttcp.ts";
import { rperfLike } from "../../bench/tools/rperf.ts";
import type { TestRequest } from "../../bench/tools/tool.ts";
import { xfr } from "../../bench/tools/xfr.ts";

const TCP: TestRequest = { family: "tcp", seconds: 1, streams: 2, bitsPerSecond: null, lengthBytes: null };
const UDP: TestRequest = { family: "udp", seconds: 1, streams: 1, bitsPerSecond: 10e6, lengthBytes: 1024 };
const PORTS = { control: 5199, data: 6000 };

describe("rperf and the original", () => {
  const tool = rperfLike({
    name: "original",
    version: "0.1.8",
    command: (...args) => ["rperf", ...args],
    unlimited: "100G",
  });
  const stream = (bytes: number) => ({ intervals: { summary: { bytes_received: bytes } } });

  test("durations are sums over the streams", () => {
    const summary = { bytes_sent: 1000, bytes_received: 900, duration_send: 2, duration_receive: 2 };
    const document = { success: true, streams: [stream(500), stream(400)], summary };
    expect(tool.parse(JSON.stringify(document), TCP)).toEqual({
      sentBytes: 1000,
      receivedBytes: 900,
      receivedSeconds: 1,
      streamBytes: [500, 400],
      udp: null,
    });
  });

  test("duplicates are no packets received", () => {
    const summary = {
      bytes_sent: 10_320,
      bytes_received: 9_288,
      duration_receive: 1,
      jitter_average: 0.25,
      packets_sent: 10,
      packets_received: 9,
      packets_duplicated: 2,
    };
    const document = { success: true, streams: [stream(9_288)], summary };
    expect(tool.parse(JSON.stringify(document), UDP).udp).toEqual({
      sentPackets: 10,
      receivedPackets: 7,
      lostPackets: 3,
      jitterSeconds: 0.25,
    });
  });

  test("an incomplete test is no figure", () => {
    expect(() => tool.parse(JSON.stringify({ success: false, streams: [], summary: {} }), TCP)).toThrow(
      "not a complete",
    );
    expect(() => tool.parse("usage: …", TCP)).toThrow("no JSON");
  });

  test("rates are bytes per second; without one, what it takes for unlimited", () => {
    expect(tool.clientCommand(PORTS, UDP, ["--x"]).join(" ")).toBe(
      "rperf -c 127.0.0.1 -p 5199 -f json -t 1 -b 1250000 -u -l 1024 --x",
    );
    expect(tool.clientCommand(PORTS, TCP, []).join(" ")).toBe("rperf -c 127.0.0.1 -p 5199 -f json -t 1 -b 100G -P 2");
  });
});

describe("iperf3", () => {
  const tool = iperf3("iperf3", "3.21");

  test("its UDP packets are numbered by the sender: the lost ones are among them", () => {
    const end = {
      streams: [{ udp: {} }],
      sum_sent: { seconds: 1.0014, bytes: 308_487_168, packets: 301_258, lost_packets: 0, jitter_ms: 0 },
      sum_received: { seconds: 1.0016, bytes: 302_896_128, packets: 301_258, lost_packets: 5461, jitter_ms: 0.125 },
    };
    expect(tool.parse(JSON.stringify({ end }), UDP)).toEqual({
      sentBytes: 308_487_168,
      receivedBytes: 302_896_128,
      receivedSeconds: 1.0016,
      streamBytes: null,
      udp: { sentPackets: 301_258, receivedPackets: 295_797, lostPackets: 5461, jitterSeconds: 0.000_125 },
    });
  });

  test("an error is no figure", () => {
    expect(() => tool.parse(JSON.stringify({ error: "the server is busy", end: {} }), TCP)).toThrow("busy");
  });
});

describe("xfr", () => {
  const tool = xfr("xfr", "0.14.0");

  test("UDP", () => {
    const udp_stats = { packets_sent: 1220, packets_received: 1210, lost: 10, jitter_ms: 0.5, packet_size: 1024 };
    const document = { bytes_total: 1_239_040, duration_ms: 1000, streams: [{ bytes: 1_239_040 }], udp_stats };
    expect(tool.parse(JSON.stringify(document), UDP)).toEqual({
      sentBytes: 1_249_280,
      receivedBytes: 1_239_040,
      receivedSeconds: 1,
      streamBytes: [1_239_040],
      udp: { sentPackets: 1220, receivedPackets: 1210, lostPackets: 10, jitterSeconds: 0.0005 },
    });
  });
});

describe("iperf2", () => {
  const tool = iperf2("iperf", "2.1.8");

  test("TCP: the sum, and each stream", () => {
    const text = `
[ ID] Interval       Transfer     Bandwidth
[  2] 0.0000-1.0156 sec  3232235580 Bytes  25461500008 bits/sec
[  1] 0.0000-1.0153 sec  3234594876 Bytes  25487011626 bits/sec
[SUM] 0.0000-1.0007 sec  6466830456 Bytes  51699591325 bits/sec
`;
    expect(tool.parse(text, TCP)).toEqual({
      sentBytes: 6_466_830_456,
      receivedBytes: 6_466_830_456,
      receivedSeconds: 1.0007,
      streamBytes: [3_232_235_580, 3_234_594_876],
      udp: null,
    });
    expect(() => tool.parse("connect failed", TCP)).toThrow("no result");
  });

  const SENT = `
[  1] 0.0000-1.0000 sec  125015800 Bytes  1000110398 bits/sec
[  1] Sent 89298 datagrams
`;

  test("UDP: what its server reports", () => {
    const report = `[  1] Server Report:
[ ID] Interval       Transfer     Bandwidth        Jitter   Lost/Total Datagrams
[  1] 0.0000-1.0002 sec  124663000 Bytes  997150439 bits/sec   0.002 ms 252/89297 (0.28%)
`;
    expect(tool.parse(SENT + report, UDP)).toEqual({
      sentBytes: 125_015_800,
      receivedBytes: 124_663_000,
      receivedSeconds: 1.0002,
      streamBytes: null,
      udp: { sentPackets: 89_297, receivedPackets: 89_045, lostPackets: 252, jitterSeconds: 0.000_002 },
    });
  });

  test("UDP without a report is no figure", () => {
    expect(() => tool.parse(SENT, UDP)).toThrow("no report of its server");
  });
});

describe("nuttcp", () => {
  const tool = nuttcp("nuttcp", "6.1.2");

  test("UDP: its packets are those sent, the dropped among them", () => {
    const text = "megabytes=182.8398 real_seconds=1.00 rate_Mbps=1533.6460 tx_cpu=97 rx_cpu=19 drop=7150 pkt=194378";
    const figures = tool.parse(text, UDP);
    expect(figures.udp).toEqual({
      sentPackets: 194_378,
      receivedPackets: 187_228,
      lostPackets: 7150,
      jitterSeconds: null,
    });
    expect(figures.sentBytes).toBe(194_378 * 1024);
    expect(figures.receivedBytes / 1024).toBeCloseTo(187_228, 0);
    // Its seconds have two decimals alone: the rate tells them better.
    expect((figures.receivedBytes * 8) / figures.receivedSeconds / 1e6).toBeCloseTo(1533.646, 3);
  });

  test("without its line there is no figure", () => {
    expect(() => tool.parse("nuttcp-t: Error: …", TCP)).toThrow("megabytes");
  });

  test("its host comes last, and its UDP is slow unless told", () => {
    expect(tool.clientCommand(PORTS, { ...UDP, bitsPerSecond: null }, []).join(" ")).toBe(
      "nuttcp -fparse -P 5199 -p 6000 -T1 -u -Ru -l1024 127.0.0.1",
    );
    expect(tool.clientCommand(PORTS, UDP, [])).toContain("-R10000");
  });
});

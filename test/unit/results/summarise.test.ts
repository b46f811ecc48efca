import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { summariseStream as summariseWith, summariseTest } from "../../../src/results/summarise.ts";
import { NO_TOTALS, type StreamSummary, type UdpSummary } from "../../../src/results/types.ts";
import type { ReceiveInterval, SendInterval } from "../../../src/stats/interval.ts";
import { configOf, FRAMED_BYTES, tcpReceive, tcpSend, udpReceive, udpSend } from "../../golden/scenarios.ts";

/** Of sides that tell nothing but their intervals. */
function summariseStream(
  config: Parameters<typeof summariseWith>[0],
  send: readonly SendInterval[],
  receive: readonly ReceiveInterval[],
): StreamSummary {
  return summariseWith(config, send, receive, { sender: NO_TOTALS, receiver: NO_TOTALS });
}

interface Case {
  readonly name: string;
  readonly omitSeconds: number;
  readonly send: readonly SendInterval[];
  readonly receive: readonly ReceiveInterval[];
  readonly expected: Partial<StreamSummary>;
}

const omittedSend = (bytesSent: number, durationSeconds = 1, sendsBlocked = 0, packetsSent = 0) => ({
  omitted: { durationSeconds, bytesSent, packetsSent, sendsBlocked },
});

const omittedReceive = (packetsReceived: number, durationSeconds: number, late = 0, duplicated = 0) => ({
  omitted: {
    durationSeconds,
    bytesReceived: packetsReceived * FRAMED_BYTES,
    packetsReceived,
    packetsOutOfOrder: late,
    packetsDuplicated: duplicated,
  },
});

const TCP_CASES: readonly Case[] = [
  {
    name: "nothing omitted: plain sums",
    omitSeconds: 0,
    send: [tcpSend(100, { sendsBlocked: 2 }), tcpSend(50, { durationSeconds: 0.5, sendsBlocked: 1 })],
    receive: [tcpReceive(90), tcpReceive(60, { durationSeconds: 0.75 })],
    expected: {
      bytesSent: 150,
      durationSendSeconds: 1.5,
      bytesReceived: 150,
      durationReceiveSeconds: 1.75,
      sendsBlocked: 3,
    },
  },
  {
    name: "cut by the sender: the receiver at the same byte, its time within the interval that holds it",
    omitSeconds: 1,
    send: [tcpSend(100, { sendsBlocked: 2, ...omittedSend(100, 1, 2) }), tcpSend(100), tcpSend(100)],
    receive: [tcpReceive(80), tcpReceive(80, { durationSeconds: 2 }), tcpReceive(140)],
    expected: {
      bytesSent: 200,
      durationSendSeconds: 2,
      bytesReceived: 200,
      durationReceiveSeconds: 4 - 1.5,
      sendsBlocked: 0,
    },
  },
  {
    name: "nearer to the boundary than a slice of the sender's: the boundary itself",
    omitSeconds: 1,
    send: [tcpSend(100, omittedSend(100)), tcpSend(100)],
    // The first slice behind the boundary came within the receiver's first second.
    receive: [tcpReceive(105), tcpReceive(95)],
    expected: { bytesSent: 100, bytesReceived: 100, durationReceiveSeconds: 1 },
  },
  {
    name: "a boundary within the sender's second interval",
    omitSeconds: 2,
    send: [
      tcpSend(100, { durationSeconds: 1.5, ...omittedSend(100, 1.5) }),
      tcpSend(200, omittedSend(80, 0.5)),
      tcpSend(10),
    ],
    receive: [tcpReceive(310)],
    expected: { bytesSent: 130, durationSendSeconds: 1.5, bytesReceived: 130, durationReceiveSeconds: 1 - 180 / 310 },
  },
  {
    name: "an original sender: cut at the bytes of its first intervals",
    omitSeconds: 1,
    send: [tcpSend(131_072), tcpSend(131_072), tcpSend(131_072)],
    receive: [tcpReceive(163_840), tcpReceive(131_072), tcpReceive(98_304)],
    expected: {
      bytesSent: 262_144,
      durationSendSeconds: 2,
      bytesReceived: 262_144,
      durationReceiveSeconds: 3 - 131_072 / 163_840,
    },
  },
  {
    name: "the receiver never got as far as the boundary",
    omitSeconds: 1,
    send: [tcpSend(100, omittedSend(100)), tcpSend(100)],
    receive: [tcpReceive(60)],
    expected: { bytesSent: 100, bytesReceived: 0, durationReceiveSeconds: 0 },
  },
  {
    name: "everything omitted",
    omitSeconds: 5,
    send: [tcpSend(100, omittedSend(100)), tcpSend(100, omittedSend(100))],
    receive: [tcpReceive(200, { durationSeconds: 2 })],
    expected: { bytesSent: 0, durationSendSeconds: 0, bytesReceived: 0, durationReceiveSeconds: 0 },
  },
  {
    name: "the sender's reports never came: whole intervals of the receiver are left out",
    omitSeconds: 1,
    send: [],
    receive: [tcpReceive(80), tcpReceive(90)],
    expected: { bytesSent: 0, durationSendSeconds: 0, bytesReceived: 90, durationReceiveSeconds: 1 },
  },
  {
    name: "an original sender and shorter intervals of the receiver: as many as make up the omitted time",
    omitSeconds: 1,
    send: [tcpSend(100), tcpSend(100)],
    receive: [0.4, 0.4, 0.4, 0.4, 0.4].map((durationSeconds) => tcpReceive(40, { durationSeconds })),
    expected: { bytesSent: 100, bytesReceived: 100, durationReceiveSeconds: 1 },
  },
  {
    name: "the sender's reports never came: intervals whose middle lies before the boundary are left out",
    omitSeconds: 1,
    send: [],
    receive: [0.375, 0.5, 0.75].map((durationSeconds) => tcpReceive(40, { durationSeconds })),
    expected: { bytesReceived: 40, durationReceiveSeconds: 0.75 },
  },
  {
    name: "the receiver's reports never came",
    omitSeconds: 0,
    send: [tcpSend(100)],
    receive: [],
    expected: { bytesSent: 100, bytesReceived: 0, durationReceiveSeconds: 0 },
  },
];

describe("tcp", () => {
  test.each([...TCP_CASES])("$name", ({ omitSeconds, send, receive, expected }) => {
    const summary = summariseStream(configOf({ omitSeconds }), send, receive);
    expect(summary).toMatchObject(expected);
    expect(summary.udp).toBeNull();
  });
});

interface UdpCase extends Case {
  readonly udp: Partial<UdpSummary>;
}

const UDP_CASES: readonly UdpCase[] = [
  {
    name: "loss is what was sent less what came, each packet once",
    omitSeconds: 0,
    send: [udpSend(100), udpSend(100, { sendsBlocked: 4 })],
    receive: [udpReceive(95, { packetsLost: 5 }), udpReceive(103, { packetsDuplicated: 6, packetsOutOfOrder: 2 })],
    expected: { bytesSent: 200 * FRAMED_BYTES, bytesReceived: 198 * FRAMED_BYTES, sendsBlocked: 4 },
    udp: {
      packetsSent: 200,
      packetsReceived: 198,
      packetsLost: 8,
      packetsDuplicated: 6,
      packetsOutOfOrder: 2,
      framedPacketSizeBytes: FRAMED_BYTES,
    },
  },
  {
    name: "more duplicates than packets sent is no negative loss",
    omitSeconds: 0,
    send: [udpSend(10)],
    receive: [udpReceive(50, { packetsDuplicated: 20 })],
    expected: {},
    udp: { packetsLost: 0 },
  },
  {
    name: "jitter weighs each interval by its run and skips those without one",
    omitSeconds: 0,
    send: [udpSend(101)],
    receive: [
      udpReceive(30, { jitterSeconds: 0.003, unbrokenSequence: 30 }),
      udpReceive(1, { jitterSeconds: null, unbrokenSequence: 1 }),
      udpReceive(70, { jitterSeconds: 0.001, unbrokenSequence: 10 }),
    ],
    expected: {},
    udp: { jitterAverageSeconds: (0.003 * 30 + 0.001 * 10) / 40, jitterPacketsConsecutive: 40 },
  },
  {
    name: "no run of two packets: no jitter",
    omitSeconds: 0,
    send: [udpSend(1)],
    receive: [udpReceive(1)],
    expected: {},
    udp: { jitterAverageSeconds: null, jitterPacketsConsecutive: 0 },
  },
  {
    name: "marked packets: both sides less their omitted part, jitter of whole intervals alone",
    omitSeconds: 1,
    send: [udpSend(100, omittedSend(100 * FRAMED_BYTES, 1, 0, 100)), udpSend(100), udpSend(100)],
    receive: [
      udpReceive(96, { packetsDuplicated: 1, packetsOutOfOrder: 2, ...omittedReceive(96, 1, 2, 1) }),
      udpReceive(103, { ...omittedReceive(4, 0.25), jitterSeconds: 9 }),
      udpReceive(98, { packetsDuplicated: 1, jitterSeconds: 0.5 }),
    ],
    expected: { durationSendSeconds: 2, durationReceiveSeconds: 1.75, bytesReceived: 197 * FRAMED_BYTES },
    udp: {
      packetsSent: 200,
      packetsReceived: 197,
      packetsDuplicated: 1,
      packetsOutOfOrder: 0,
      packetsLost: 4,
      jitterAverageSeconds: 0.5,
      jitterPacketsConsecutive: 98,
    },
  },
  {
    name: "an original sender: what was under way at the boundary is not called lost",
    omitSeconds: 1,
    send: [udpSend(122, { sendsBlocked: 5 }), udpSend(122, { sendsBlocked: 1 }), udpSend(70, { durationSeconds: 0.5 })],
    receive: [udpReceive(123), udpReceive(129), udpReceive(62)],
    expected: { durationSendSeconds: 2.5 - 1 - 1 / 122, durationReceiveSeconds: 2, sendsBlocked: 1 },
    udp: { packetsSent: 191, packetsReceived: 191, packetsLost: 0, jitterPacketsConsecutive: 191 },
  },
  {
    name: "an original receiver of a sender that cuts: the loss of the counted intervals alone",
    omitSeconds: 1,
    send: [udpSend(100, omittedSend(100 * FRAMED_BYTES, 1, 0, 100)), udpSend(100)],
    receive: [udpReceive(80, { packetsLost: 10, packetsDuplicated: 2 }), udpReceive(107, { packetsLost: 5 })],
    expected: { bytesSent: 112 * FRAMED_BYTES },
    udp: { packetsSent: 112, packetsReceived: 107, packetsLost: 5 },
  },
  {
    name: "omitted time of a receiver whose sender marks nothing does not count as a mark",
    omitSeconds: 1,
    send: [udpSend(100), udpSend(100)],
    receive: [udpReceive(99, omittedReceive(0, 1)), udpReceive(101)],
    expected: { durationReceiveSeconds: 1 },
    udp: { packetsSent: 101, packetsReceived: 101, packetsLost: 0 },
  },
  {
    name: "the sender's reports never came",
    omitSeconds: 1,
    send: [],
    receive: [udpReceive(99), udpReceive(101)],
    expected: { bytesSent: 0, durationReceiveSeconds: 1 },
    udp: { packetsSent: 0, packetsReceived: 101, packetsLost: 0 },
  },
  {
    name: "the receiver's reports never came",
    omitSeconds: 1,
    send: [udpSend(100), udpSend(90)],
    receive: [],
    expected: { durationSendSeconds: 1, durationReceiveSeconds: 0 },
    udp: { packetsSent: 90, packetsReceived: 0, packetsLost: 90 },
  },
];

describe("tcp that broke: what never arrived does not count as sent", () => {
  test.each([
    { name: "both sides say the same", undelivered: 30, received: [90, 30], expected: [120, 120, 30] },
    {
      name: "an acknowledgement was lost: what came has arrived",
      undelivered: 30,
      received: [100, 30],
      expected: [130, 130, 20],
    },
    { name: "the receiver's end is not known", undelivered: 30, received: [90], expected: [120, 90, 30] },
    { name: "nothing is known", undelivered: null, received: [90], expected: [150, 90, null] },
  ] as const)("$name", ({ undelivered, received, expected }) => {
    const sender = { ...NO_TOTALS, bytesUndelivered: undelivered };
    const receive = received.map((bytes) => tcpReceive(bytes));
    const config = configOf({ family: "tcp" });
    const summary = summariseWith(config, [tcpSend(100), tcpSend(50)], receive, { sender, receiver: NO_TOTALS });
    const { bytesSent, bytesReceived, bytesUndelivered } = summary;
    expect([bytesSent, bytesReceived, bytesUndelivered]).toEqual([...expected]);
  });
});

describe("udp", () => {
  test.each([...UDP_CASES])("$name", ({ omitSeconds, send, receive, expected, udp }) => {
    const summary = summariseStream(configOf({ family: "udp", omitSeconds }), send, receive);
    expect(summary).toMatchObject(expected);
    expect(summary.udp).toMatchObject(udp);
  });
});

/** Where each packet of a stream fell: its interval on either side, and whether and how often it came. */
const packets = fc.array(fc.constantFrom<"arrived" | "lost" | "doubled">("arrived", "lost", "doubled"), {
  maxLength: 200,
});

/** Cuts `items` into consecutive parts at the given places. */
function partition<T>(items: readonly T[], cuts: readonly number[]): T[][] {
  const places = [...new Set(cuts.map((cut) => cut % (items.length + 1)))].sort((a, b) => a - b);
  const ends = [...places, items.length];
  return ends.map((end, index) => items.slice(ends[index - 1] ?? 0, end));
}

const cutPlaces = fc.array(fc.nat(1000), { maxLength: 6 });

describe("any partition into intervals", () => {
  const copies = { arrived: 1, lost: 0, doubled: 2 } as const;

  test("without omission, packets sent are those received once and those lost", () => {
    fc.assert(
      fc.property(packets, cutPlaces, cutPlaces, (fates, sendCuts, receiveCuts) => {
        const send = partition(fates, sendCuts).map((part) => udpSend(part.length));
        const receive = partition(fates, receiveCuts).map((part) => receiveOf(part));
        const { udp } = summariseStream(configOf({ family: "udp" }), send, receive);
        expect(udp?.packetsSent).toBe(
          (udp?.packetsReceived ?? 0) - (udp?.packetsDuplicated ?? 0) + (udp?.packetsLost ?? 0),
        );
        expect(udp?.packetsLost).toBe(fates.filter((fate) => fate === "lost").length);
      }),
    );
  });

  test("an original receiver's cut neither invents nor hides loss", () => {
    fc.assert(
      fc.property(
        packets,
        cutPlaces,
        cutPlaces,
        fc.integer({ min: 1, max: 3 }),
        (fates, sendCuts, receiveCuts, omit) => {
          const send = partition(fates, sendCuts).map((part) => udpSend(part.length));
          const parts = partition(fates, receiveCuts);
          const { udp } = summariseStream(configOf({ family: "udp", omitSeconds: omit }), send, parts.map(receiveOf));
          const counted = parts.slice(omit).flat();
          expect(udp?.packetsSent).toBe(counted.length);
          expect(udp?.packetsLost).toBe(counted.filter((fate) => fate === "lost").length);
        },
      ),
    );
  });

  test("a lossless TCP stream has the same bytes on both sides wherever it is cut", () => {
    const bytes = fc.array(fc.constant(1), { maxLength: 300 });
    fc.assert(
      fc.property(bytes, cutPlaces, cutPlaces, fc.nat(3), (all, sendCuts, receiveCuts, omitSeconds) => {
        const send = partition(all, sendCuts).map((part) => tcpSend(part.length));
        const receive = partition(all, receiveCuts).map((part) => tcpReceive(part.length));
        const summary = summariseStream(configOf({ omitSeconds }), send, receive);
        expect(summary.bytesReceived).toBe(summary.bytesSent);
        expect(summary.durationReceiveSeconds).toBeGreaterThanOrEqual(0);
        expect(summary.durationReceiveSeconds).toBeLessThanOrEqual(receive.length);
      }),
    );
  });

  function receiveOf(part: readonly ("arrived" | "lost" | "doubled")[]) {
    const received = part.reduce((total, fate) => total + copies[fate], 0);
    return udpReceive(received, {
      packetsLost: part.filter((fate) => fate === "lost").length,
      packetsDuplicated: part.filter((fate) => fate === "doubled").length,
    });
  }
});

test("a test's summary sums its streams and weighs their jitter", () => {
  const config = configOf({ family: "udp", parallel: 2 });
  const streams = [
    summariseStream(config, [udpSend(100)], [udpReceive(90, { jitterSeconds: 0.004, unbrokenSequence: 30 })]),
    summariseStream(config, [udpSend(50)], [udpReceive(50, { jitterSeconds: 0.001, unbrokenSequence: 10 })]),
    summariseStream(config, [udpSend(1)], [udpReceive(1)]),
  ];
  const { udp, ...rest } = summariseTest(config, streams);
  expect(rest).toEqual({
    durationSendSeconds: 3,
    durationReceiveSeconds: 3,
    bytesSent: 151 * FRAMED_BYTES,
    bytesReceived: 141 * FRAMED_BYTES,
    bytesUndelivered: null,
    sendsBlocked: 0,
  });
  expect(udp).toMatchObject({ packetsSent: 151, packetsReceived: 141, packetsLost: 10, jitterPacketsConsecutive: 40 });
  expect(udp?.jitterAverageSeconds).toBeCloseTo((0.004 * 30 + 0.001 * 10) / 40, 12);
});

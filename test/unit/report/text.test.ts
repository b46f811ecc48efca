import { describe, expect, test } from "bun:test";
import { createTextReporter } from "../../../src/report/text.ts";
import type { UdpBooks } from "../../../src/stats/udp-books.ts";
import {
  booksOf,
  configOf,
  ended,
  factsOf,
  intervalsOf,
  play,
  resultOf,
  type Scenario,
  startOf,
  tcpReceive,
  tcpSend,
  udpReceive,
  udpSend,
} from "../../golden/scenarios.ts";

const COMPLETED: Scenario["end"] = { outcome: "completed", reason: null };

function reporterOf(changes: Partial<Parameters<typeof createTextReporter>[0]> = {}) {
  const written: string[] = [];
  const reporter = createTextReporter({
    write: (text) => written.push(text),
    format: "megabit",
    colour: false,
    debug: false,
    ...changes,
  });
  return { reporter, text: () => written.join("") };
}

function textOf(scenario: Scenario): string {
  const { reporter, text } = reporterOf();
  play(scenario, reporter);
  return text();
}

test("a line is written as soon as both sides have told their interval", () => {
  const { reporter, text } = reporterOf();
  reporter.started(startOf(configOf()));
  reporter.interval("forward", 0, tcpSend(125_000));
  const before = text();
  reporter.interval("forward", 0, tcpReceive(125_000));
  expect(text().slice(before.length)).toMatch(/^ +0 +0\.00-1\.00 +1\.000 +1\.000 +125\.0 kB +0\n$/);
});

test("a test that never started has totals and a reason, and no lines", () => {
  const end = { outcome: "failed", reason: { code: "peer-lost", message: "the server hung up" } } as const;
  const { reporter, text } = reporterOf();
  reporter.finished(resultOf({ config: configOf(), happenings: [], end }));
  expect(text()).toBe(
    [
      "total of 1 stream",
      "  sent        the sender reported nothing",
      "  received    the receiver reported nothing",
      "  stream 0: sender (client) partial: its end was never heard of",
      "  stream 0: receiver (server) partial: its end was never heard of",
      "failed: the server hung up (the result is incomplete)",
      "",
    ].join("\n"),
  );
});

test("streams with the same fate share a line", () => {
  const config = configOf({ parallel: 6, reverse: true });
  const happenings = [0, 2, 3, 4].flatMap((index) => [ended(index, "server"), ended(index, "client")]);
  const text = textOf({ config, happenings, end: COMPLETED });
  expect(text).toContain("  streams 1, 5: sender (server) partial: its end was never heard of\n");
  expect(text).toContain("partial: stream 1, sender: its end was never heard of (the result is incomplete)\n");
});

describe("the start line", () => {
  test.each([
    [configOf({ host: "::1" }), "TCP to ::1 port 5199: 1 stream at 1.000 Mb/s, 3.000 s"],
    [
      configOf({ writeSize: "length" }),
      "TCP to 192.0.2.1 port 5199: 1 stream at 1.000 Mb/s, 3.000 s, 32768 B per write",
    ],
    [
      configOf({ family: "udp", reverse: true, parallel: 2, bandwidthBytesPerSecond: 0, omitSeconds: 1 }),
      "UDP from 192.0.2.1 port 5199: 2 streams, each as fast as possible, 3.000 s, 1024 B per packet, first 1 s omitted",
    ],
    [
      configOf({ family: "udp", pacing: "slices", sendIntervalSeconds: 0.002, offload: "on" }),
      "UDP to 192.0.2.1 port 5199: 1 stream at 1.000 Mb/s, 3.000 s, 1024 B per packet, in slices of 2.000 ms, offload on",
    ],
    [configOf({ bidir: true }), "TCP to and from 192.0.2.1 port 5199: 1 stream each way at 1.000 Mb/s, 3.000 s"],
    [
      configOf({ bidir: true, parallel: 2 }),
      "TCP to and from 192.0.2.1 port 5199: 2 streams each way, each at 1.000 Mb/s, 3.000 s",
    ],
    // Without a limit nothing waits for a slice.
    [
      configOf({ pacing: "slices", bandwidthBytesPerSecond: 0 }),
      "TCP to 192.0.2.1 port 5199: 1 stream as fast as possible, 3.000 s",
    ],
  ])("%#", (config, line) => {
    const { reporter, text } = reporterOf();
    reporter.started(startOf(config));
    expect(text().split("\n")[0]).toBe(line);
  });

  test("a title stands above it", () => {
    const { reporter, text } = reporterOf();
    reporter.started(startOf(configOf({ title: "mast 3" })));
    expect(text().split("\n").slice(0, 2)).toEqual([
      "mast 3",
      "TCP to 192.0.2.1 port 5199: 1 stream at 1.000 Mb/s, 3.000 s",
    ]);
  });

  test("a name with the address it stands for", () => {
    const { reporter, text } = reporterOf();
    reporter.started({ ...startOf(configOf({ host: "localhost" })), address: "127.0.0.1" });
    expect(text()).toStartWith("TCP to localhost (127.0.0.1) port 5199: ");
  });
});

describe("loss", () => {
  const config = configOf({ family: "udp" });
  const reports = intervalsOf(0, udpSend(100), udpReceive(40, { packetsLost: 1 }));

  test("is the difference of both sides' counts once both have ended", () => {
    const happenings = [...reports, ended(0, "client"), ended(0, "server")];
    expect(textOf({ config, happenings, end: COMPLETED })).toContain("  lost        60 of 100 packets (60.00%)\n");
  });

  test("is not known while a side may have more to report", () => {
    const text = textOf({ config, happenings: [...reports, ended(0, "client")], end: COMPLETED });
    expect(text).toContain("  lost        not known without all reports of both sides\n");
    expect(text).not.toContain("60");
  });
});

describe("with exact accounting", () => {
  const config = configOf({ family: "udp" });
  const bursts = { count: 1, longestPackets: 10, meanPackets: 10 };

  function linesOf(books: UdpBooks, bufferDrops: number | null, sendsRefused: number | null = 0): string[] {
    const happenings = [
      ...intervalsOf(0, udpSend(100), udpReceive(books.packetsUnique, { packetsOutOfOrder: books.reordering.packets })),
      ended(0, "client", COMPLETED, null, { sendsRefused }),
      ended(0, "server", COMPLETED, null, { books, bufferDrops }),
    ];
    const text = textOf({ config, happenings, end: COMPLETED });
    return text.slice(text.indexOf("total of")).split("\n");
  }

  test("nothing is added where nothing happened", () => {
    expect(linesOf(booksOf(100), 0)).toEqual([
      "total of 1 stream",
      "  sent        103.2 kB, 100 packets, 1.00 s, 0.8256 Mb/s",
      "  received    103.2 kB, 100 packets, 1.00 s, 0.8256 Mb/s",
      "  lost        0 of 100 packets (0.00%)",
      "  reordered   0 packets",
      "  duplicated  0 packets",
      "  jitter      0.020 ms over 100 packets in order",
      "  blocked     0 times by a full send buffer",
      "",
    ]);
  });

  test("loss tells its bursts, and where it was when that is told", () => {
    const books = booksOf(100, { packetsUnique: 90, packetsLost: 10, bursts });
    const lost = "  lost        10 of 100 packets (10.00%), in 1 burst, longest 10, mean 10";
    const split = "              of these 4 in the receiver's buffer, 6 in the network";
    expect(linesOf(books, 4)).toEqual(expect.arrayContaining([lost, split]));
    expect(linesOf(books, null)).toContain(lost);
    expect(linesOf(books, null).join()).not.toContain("of these");
  });

  test("reordering tells its extent; strays and refused sends have a line of their own", () => {
    const reordering = { packets: 3, maxExtentPackets: 5, meanExtentPackets: 4 / 3 };
    const lines = linesOf(booksOf(100, { reordering, packetsStray: 1 }), 0, 2);
    expect(lines).toContain("  reordered   3 packets, at most 5 late (mean 1.33)");
    expect(lines).toContain("  stray       1 datagram that no packet of this test can be");
    expect(lines).toContain("  refused     2 sends by the sender's system, and tried again");
  });
});

describe("an outage", () => {
  const outages = [{ startSeconds: 1.3, durationSeconds: 2.1 }];
  const happenings = [...intervalsOf(0, tcpSend(1), tcpReceive(1)), ended(0, "client")];

  test("that cost nothing", () => {
    const scenario = { config: configOf(), happenings: [...happenings, ended(0, "server")], end: COMPLETED, outages };
    expect(textOf(scenario)).toEndWith("\ncontrol connection lost for 2.100 s at 1.300 s; nothing was missed\n");
  });

  test("that was not over in time", () => {
    const end = { outcome: "partial", reason: { code: "outage", message: "not resumed in time" } } as const;
    expect(textOf({ config: configOf(), happenings, end, outages })).toEndWith(
      "\ncontrol connection lost for 2.100 s at 1.300 s\npartial: not resumed in time (the result is incomplete)\n",
    );
  });
});

test("colour changes nothing but escape sequences", () => {
  const scenario: Scenario = {
    config: configOf({ family: "udp", parallel: 2 }),
    happenings: intervalsOf(0, udpSend(100), udpReceive(90, { packetsLost: 10 })),
    end: COMPLETED,
  };
  const coloured = reporterOf({ colour: true });
  play(scenario, coloured.reporter);
  expect(coloured.text()).toContain("\u001b[");
  expect(Bun.stripANSI(coloured.text())).toBe(textOf(scenario));
});

test("debug tells what the kernel granted", () => {
  const { reporter, text } = reporterOf({ debug: true });
  const facts = factsOf({ receiveBufferBytes: 212_992 });
  const happenings = [ended(0, "client", COMPLETED, facts), ended(0, "server")];
  play({ config: configOf({ reverse: true }), happenings, end: COMPLETED }, reporter);
  expect(text()).toContain("  stream 0, receiver (client): send buffer –, receive buffer 212992 B, CPU –\n");
  expect(text()).not.toContain("sender (server)");
});

test("debug tells the socket options in force", () => {
  const { reporter, text } = reporterOf({ debug: true });
  const facts = factsOf({ congestion: "bbr", maxSegmentBytes: 1448, dscp: 46 });
  play({ config: configOf(), happenings: [ended(0, "client", COMPLETED, facts)], end: COMPLETED }, reporter);
  expect(text()).toContain("CPU –, congestion bbr, MSS 1448 B, DSCP 46\n");
});

describe("debug tells whose clock the jitter was taken by", () => {
  const config = configOf({ family: "udp", parallel: 2 });
  const reports = [0, 1].flatMap((index) => intervalsOf(index, udpSend(10), udpReceive(10)));
  test.each([
    [["kernel", "kernel"], "in order (kernel times)\n"],
    [["user", "user"], "in order (user-space times)\n"],
    [["user", "kernel"], "in order (kernel and user-space times)\n"],
    [["user", null], "in order (user-space times)\n"],
    // An original server tells no facts.
    [[null, null], "in order\n"],
  ] as const)("%j", (places, text) => {
    const ends = places.flatMap((timestamps, index) => [
      ended(index, "client"),
      ended(index, "server", COMPLETED, timestamps && factsOf({ timestamps })),
    ]);
    const scenario = { config, happenings: [...reports, ...ends], end: COMPLETED };
    const debug = reporterOf({ debug: true });
    play(scenario, debug.reporter);
    expect(debug.text()).toContain(text);
    expect(textOf(scenario)).toContain("in order\n");
  });
});

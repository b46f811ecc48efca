import { describe, expect, test } from "bun:test";
import { createTextReporter } from "../../../src/report/text.ts";
import {
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
  reporter.interval(0, tcpSend(125_000));
  const before = text();
  reporter.interval(0, tcpReceive(125_000));
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
      "incomplete: the server hung up",
      "  stream 0: sender (client) abandoned: its end was never heard of",
      "  stream 0: receiver (server) abandoned: its end was never heard of",
      "",
    ].join("\n"),
  );
});

test("streams with the same fate share a line", () => {
  const config = configOf({ parallel: 6, reverse: true });
  const happenings = [0, 2, 3, 4].flatMap((index) => [ended(index, "server"), ended(index, "client")]);
  const text = textOf({ config, happenings, end: COMPLETED });
  expect(text).toContain("  streams 1, 5: sender (server) abandoned: its end was never heard of\n");
  expect(text).toContain("incomplete: stream 1, sender: its end was never heard of\n");
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

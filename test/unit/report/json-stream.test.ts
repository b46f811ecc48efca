import { describe, expect, test } from "bun:test";
import { toJsonDocument } from "../../../src/report/json.ts";
import { createJsonStreamReporter } from "../../../src/report/json-stream.ts";
import {
  configOf,
  ended,
  inDirection,
  intervalsOf,
  play,
  resultOf,
  type Scenario,
  STARTED_SECONDS,
  startOf,
  tcpReceive,
  tcpSend,
} from "../../golden/scenarios.ts";

const NOW_SECONDS = STARTED_SECONDS + 100;

function reporterOf() {
  const written: string[] = [];
  const reporter = createJsonStreamReporter({ write: (text) => written.push(text), wallSeconds: () => NOW_SECONDS });
  return { reporter, written, events: () => written.map((line) => JSON.parse(line)) };
}

function headOf(event: string, timestamp = NOW_SECONDS) {
  return { event, schema_version: 2, timestamp };
}

const BIDIR: Scenario = {
  config: configOf({ bidir: true, title: "mast 3" }),
  happenings: [
    ...inDirection("forward", intervalsOf(0, tcpSend(10))),
    ...inDirection("reverse", intervalsOf(0, tcpReceive(20))),
    ...inDirection("forward", [ended(0, "client"), ended(0, "server")]),
    ...inDirection("reverse", [ended(0, "client"), ended(0, "server")]),
  ],
  end: { outcome: "completed", reason: null },
};

test("each event is one line, written by itself", () => {
  const { reporter, written } = reporterOf();
  play(BIDIR, reporter);
  expect(written).toHaveLength(4);
  for (const line of written) expect(line).toMatch(/^\{[^\n]*\}\n$/);
});

test("start, intervals and end", () => {
  const { reporter, events } = reporterOf();
  play(BIDIR, reporter);
  const [start, sent, received, end] = events();
  const document = toJsonDocument(resultOf(BIDIR));
  expect(start).toEqual({
    ...headOf("start"),
    data: { title: "mast 3", server: { address: "192.0.2.1", port: 5199 }, config: document.config },
  });
  expect(sent).toEqual({
    ...headOf("interval", STARTED_SECONDS),
    data: {
      direction: "forward",
      stream_idx: 0,
      side: "send",
      timestamp: STARTED_SECONDS,
      duration: 1,
      bytes_sent: 10,
      sends_blocked: 0,
    },
  });
  expect(received.data).toMatchObject({ direction: "reverse", side: "receive", bytes_received: 20 });
  expect(end).toEqual({ ...headOf("end"), data: document });
});

test("a place in the queue, with the wait where it is known", () => {
  const { reporter, events } = reporterOf();
  reporter.queued?.(2, 40);
  reporter.queued?.(1, null);
  expect(events()).toEqual([
    { ...headOf("queued"), data: { place: 2, wait: 40 } },
    { ...headOf("queued"), data: { place: 1 } },
  ]);
});

describe("trouble", () => {
  test("an outage and its end", () => {
    const { reporter, events } = reporterOf();
    reporter.started(startOf(configOf()));
    reporter.outage?.("trying to resume until 12:00");
    reporter.resumed?.(2.5);
    expect(events().slice(1)).toEqual([
      { ...headOf("outage"), data: { state: "lost", message: "trying to resume until 12:00" } },
      { ...headOf("outage"), data: { state: "resumed", duration: 2.5 } },
    ]);
  });

  test("a test that cannot begin", () => {
    const { reporter, events } = reporterOf();
    reporter.failed?.({ code: "connect-refused", message: "no server" });
    expect(events()).toEqual([{ ...headOf("error"), data: { code: "connect-refused", message: "no server" } }]);
  });
});

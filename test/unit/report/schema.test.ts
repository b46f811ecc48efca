import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createJsonStreamReporter } from "../../../src/report/json-stream.ts";
import { toJsonDocument } from "../../../src/report/json.ts";
import type { Outcome } from "../../../src/results/types.ts";
import {
  booksOf,
  configOf,
  ended,
  factsOf,
  type Happening,
  inDirection,
  intervalsOf,
  play,
  resultOf,
  SCENARIOS,
  type Scenario,
  tcpReceive,
  tcpSend,
  udpReceive,
  udpSend,
} from "../../golden/scenarios.ts";
import { documentFaults, streamLineFaults } from "../../support/schemas.ts";

function copyOf(scenario: Scenario): Record<string, unknown> {
  return JSON.parse(JSON.stringify(toJsonDocument(resultOf(scenario))));
}

function linesOf(scenario: Scenario): unknown[] {
  const lines: unknown[] = [];
  const reporter = createJsonStreamReporter({
    write: (text) => lines.push(JSON.parse(text)),
    wallSeconds: () => 1_795_417_700.25,
  });
  reporter.queued?.(2, 40);
  reporter.queued?.(1, null);
  reporter.outage?.("lost");
  reporter.resumed?.(0.5);
  reporter.failed?.({ code: "internal", message: "a defect" });
  play(scenario, reporter);
  return lines;
}

describe.each(Object.entries(SCENARIOS))("%s", (name, scenario) => {
  test("the golden document is valid", async () => {
    const golden: unknown = await Bun.file(`${import.meta.dir}/../../golden/${name}.json`).json();
    expect(documentFaults(golden)).toEqual([]);
  });

  test("every line of its stream is valid", () => {
    for (const line of linesOf(scenario)) expect(streamLineFaults(line)).toEqual([]);
  });
});

const outcomes = fc.constantFrom<Outcome>("completed", "interrupted", "partial", "failed");
const counts = fc.nat(1_000_000);
const endsOfTest = outcomes.map((outcome) => ({
  outcome,
  reason: outcome === "completed" ? null : ({ code: "peer-lost", message: "gone" } as const),
}));
const configs = fc.record({
  family: fc.constantFrom("tcp", "udp"),
  parallel: fc.integer({ min: 1, max: 3 }),
  bidir: fc.boolean(),
  singlePort: fc.boolean(),
  omitSeconds: fc.nat(2),
  intervalSeconds: fc.double({ min: 0.1, max: 60, noNaN: true }),
  sendBufferBytes: counts,
  receiveBufferBytes: counts,
  localAddress: fc.option(fc.constant("::1")),
  device: fc.option(fc.constant("eth0")),
  congestion: fc.option(fc.constant("cubic")),
  dscp: fc.option(fc.nat(63)),
  maxSegmentBytes: fc.option(fc.integer({ min: 88, max: 32_767 })),
  clientPorts: fc.option(fc.constant({ first: 1, last: 9 })),
  title: fc.option(fc.string({ minLength: 1, maxLength: 200 })),
});

/** What one stream of a direction tells; nothing at all now and then. */
function happeningsOf(streamIndex: number, isUdp: boolean): fc.Arbitrary<Happening[]> {
  return fc
    .record({
      sent: counts,
      received: counts,
      hasSent: fc.boolean(),
      hasReceived: fc.boolean(),
      client: fc.option(endsOfTest),
      server: fc.option(endsOfTest),
      drops: fc.option(counts),
      hasBooks: fc.boolean(),
    })
    .map((told) => {
      const totals = {
        books: told.hasBooks ? booksOf(told.sent) : null,
        bufferDrops: told.drops,
        sendsRefused: told.drops,
      };
      const facts = factsOf({ timestamps: "user", congestion: "bbr", dscp: 0, maxSegmentBytes: 536 });
      return [
        ...(told.hasSent ? intervalsOf(streamIndex, isUdp ? udpSend(told.sent) : tcpSend(told.sent)) : []),
        ...(told.hasReceived
          ? intervalsOf(streamIndex, isUdp ? udpReceive(told.received) : tcpReceive(told.received))
          : []),
        ...(told.client === null ? [] : [ended(streamIndex, "client", told.client, facts, totals)]),
        ...(told.server === null ? [] : [ended(streamIndex, "server", told.server, null, totals)]),
      ];
    });
}

const scenarios: fc.Arbitrary<Scenario> = fc.tuple(configs, endsOfTest).chain(([changes, end]) => {
  const config = configOf(changes);
  const way = fc
    .tuple(...Array.from({ length: config.parallel }, (_, index) => happeningsOf(index, config.family === "udp")))
    .map((streams) => streams.flat());
  return fc.tuple(way, way).map(([forward, reverse]) => ({
    config,
    end,
    happenings: config.bidir ? [...inDirection("forward", forward), ...inDirection("reverse", reverse)] : forward,
    outages: [{ startSeconds: 0, durationSeconds: 1.5 }],
  }));
});

test("whatever a test comes to is valid, as a document and as a stream", () => {
  fc.assert(
    fc.property(scenarios, (scenario) => {
      expect(documentFaults(copyOf(scenario))).toEqual([]);
      for (const line of linesOf(scenario)) expect(streamLineFaults(line)).toEqual([]);
    }),
  );
});

/** Paths of all keys of a document, lists by their first item. */
function keysOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [];
  const entries = Array.isArray(value) ? Object.entries(value).slice(0, 1) : Object.entries(value);
  return entries.flatMap(([key, item]) => [
    ...(Array.isArray(value) ? [] : [[...path, key]]),
    ...keysOf(item, [...path, key]),
  ]);
}

/** The object that holds the last key of a path. */
function holderOf(document: unknown, path: readonly string[]): Record<string, unknown> {
  return path
    .slice(0, -1)
    .reduce<Record<string, unknown>>(
      (value, key) => value[key] as Record<string, unknown>,
      document as Record<string, unknown>,
    );
}

/** Whether a key is there only when there is something to tell. */
function isOptional(path: readonly string[]): boolean {
  const key = path.at(-1) ?? "";
  if (["title", "omitted"].includes(key)) return true;
  const asked = ["offload", "no_delay", "write_size", "send_buffer", "receive_buffer", "bind", "bind_dev"];
  return path.includes("config") && [...asked, "congestion", "dscp", "mss", "client_ports"].includes(key);
}

describe.each(["udp-exact", "tcp-bidir", "omit"])("a wrong document (%s) is refused", (name) => {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  const keys = keysOf(copyOf(scenario));

  test("with any key missing", () => {
    for (const path of keys) {
      if (isOptional(path)) continue;
      const document = copyOf(scenario);
      delete holderOf(document, path)[path.at(-1) ?? ""];
      expect([path, documentFaults(document).length > 0]).toEqual([path, true]);
    }
  });

  test("with a key too many anywhere", () => {
    for (const path of keys) {
      const document = copyOf(scenario);
      holderOf(document, path)["surplus"] = 1;
      expect([path, documentFaults(document).length > 0]).toEqual([path, true]);
    }
  });

  test("with any value of another type", () => {
    for (const path of keys) {
      const document = copyOf(scenario);
      // No list in a document holds lists.
      holderOf(document, path)[path.at(-1) ?? ""] = [[]];
      expect([path, documentFaults(document).length > 0]).toEqual([path, true]);
    }
  });
});

test.each([
  [{ event: "start" }],
  [{ event: "finish" }],
  [{ schema_version: 1 }],
  [{ timestamp: "now" }],
  [{ data: {} }],
  [{ data: { code: "internal" } }],
  [{ surplus: 1 }],
])("a line with %j is refused", (changes) => {
  const line = { event: "error", schema_version: 2, timestamp: 1, data: { code: "internal", message: "a defect" } };
  expect(streamLineFaults(line)).toEqual([]);
  expect(streamLineFaults({ ...line, ...changes })).not.toEqual([]);
});

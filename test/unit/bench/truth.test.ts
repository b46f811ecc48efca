import { expect, test } from "bun:test";

import { READERS, tableRow, verdictOf } from "../../bench/truth/counts.ts";

const TRUTH = { sent: 1000, lost: 10, duplicated: 5, reordered: 7 };

test("what each tool says is found in its document", () => {
  const rperf = { summary: { packets_lost: 1, packets_duplicated: 2, packets_out_of_order: 3 } };
  const iperf3 = { end: { sum_received: { lost_packets: 1 } }, server_output_text: "[SUM]  0.0- 5.0 sec" };
  const late = { ...iperf3, server_output_text: "[SUM]  0.0- 5.0 sec  74 datagrams received out-of-order\n" };
  const xfr = { udp_stats: { lost: 1, out_of_order: 3 } };
  for (const [tool, document, reported] of [
    ["rperf", rperf, { lost: 1, duplicated: 2, reordered: 3 }],
    ["original", rperf, { lost: 1, duplicated: 2, reordered: 3 }],
    ["iperf3", iperf3, { lost: 1, duplicated: null, reordered: 0 }],
    ["iperf3", late, { lost: 1, duplicated: null, reordered: 74 }],
    ["xfr", xfr, { lost: 1, duplicated: null, reordered: 3 }],
  ] as const) {
    expect(READERS.get(tool)?.read(JSON.stringify(document))).toEqual(reported);
  }
});

test("the verdict names what is wrong and what is left out", () => {
  expect(verdictOf(TRUTH, { lost: 10, duplicated: 5, reordered: 7 })).toBe("yes");
  expect(verdictOf(TRUTH, { lost: 9, duplicated: null, reordered: 8 })).toBe(
    "no: lost wrong, reordered wrong, duplicated not told",
  );
  expect(verdictOf({ ...TRUTH, duplicated: 0 }, { lost: 10, duplicated: null, reordered: 7 })).toBe("yes");
});

test("a row", () => {
  const head = { condition: "c", tool: "t" };
  const reported = { lost: 9, duplicated: null, reordered: 7 };
  expect(tableRow({ ...head, outcome: { truth: TRUTH, reported } })).toBe(
    "| c | t | 1000 | 9 / 10 | – / 5 | 7 / 7 | no: lost wrong, duplicated not told |",
  );
  expect(tableRow({ ...head, outcome: { failure: "why" } })).toBe("| c | t | | | | | failed: why |");
});

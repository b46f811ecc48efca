// Packets that a link loses, drawn by lot: what is reported is what the rules counted, to the packet.
import { expect, test } from "bun:test";

import { lossTruthOf, loseArriving } from "../support/counted-loss.ts";
import { describeWithNamespaces, withNamespaces } from "../support/netns.ts";
import { completeTest, expectBalanced, figuresOf, printFigures, startServer, stopServer } from "../support/udp-test.ts";

/** A test ends this soon behind its planned end, whatever its link loses, on a busy machine; the next deadline is 3 s. */
const MOST_OVERRUN_SECONDS = 2.5;
const AT_A_TIME = 4;

interface Case {
  readonly reverse: boolean;
  readonly streams: number;
  readonly omit: boolean;
  readonly ipVersion: 4 | 6;
}

const CASES: readonly Case[] = [false, true].flatMap((reverse) => [
  { reverse, streams: 1, omit: false, ipVersion: 4 },
  { reverse, streams: 2, omit: false, ipVersion: 6 },
  { reverse, streams: 1, omit: true, ipVersion: 6 },
  { reverse, streams: 2, omit: true, ipVersion: 4 },
]);

function nameOf({ reverse, streams, omit, ipVersion }: Case): string {
  return `${reverse ? "reverse" : "forward"} -P ${streams}${omit ? " -O 1" : ""} IPv${ipVersion}`;
}

function flagsOf({ reverse, streams, omit }: Case): string[] {
  return ["-u", "-b", "4m", "-P", `${streams}`, ...(omit ? ["-O", "1"] : []), ...(reverse ? ["-R"] : [])];
}

function expectExact(one: Case, percent: number): Promise<void> {
  return withNamespaces(async ({ left, right }) => {
    const server = await startServer(right);
    for (const end of [left, right]) loseArriving(end, percent * 10);
    const host = one.ipVersion === 4 ? right.ipv4 : right.ipv6;
    const run = await completeTest(left, host, one.omit ? 1.6 : 1, flagsOf(one));
    const truth = lossTruthOf(one.reverse ? left : right, 1024, one.ipVersion);
    const figures = figuresOf(run);
    printFigures(`${percent} %, ${nameOf(one)}`, {
      dropped: truth.data.lost,
      lost: figures.packets_lost,
      sent: figures.packets_sent,
      omitted: truth.omitted.lost + truth.omitted.passed,
      "small dropped": truth.small.lost,
      overrun: run.overrunSeconds,
    });
    expect(figures).toMatchObject({
      packets_sent: truth.data.lost + truth.data.passed,
      packets_received: truth.data.passed,
      packets_lost: truth.data.lost,
      packets_lost_receive_buffer: 0,
      packets_duplicated: 0,
      packets_out_of_order: 0,
      packets_stray: 0,
      sends_refused: 0,
    });
    expectBalanced(run);
    expect(truth.omitted.lost + truth.omitted.passed > 0).toBe(one.omit);
    expect(run.overrunSeconds).toBeLessThan(MOST_OVERRUN_SECONDS);
    await stopServer(server);
  });
}

describeWithNamespaces("a link that loses packets by lot", () => {
  for (const percent of [0, 1, 10, 30, 50]) {
    test(`${percent} %, both directions, with and without --omit`, async () => {
      // Not all of them at the same time: a busy machine starts late, and the overrun is to be the link's.
      for (let index = 0; index < CASES.length; index += AT_A_TIME) {
        await Promise.all(CASES.slice(index, index + AT_A_TIME).map((one) => expectExact(one, percent)));
      }
    }, 60_000);
  }

  for (const reverse of [false, true]) {
    test(`${reverse ? "reverse" : "forward"}, batches that the kernel splits only at the end`, () =>
      withNamespaces(async ({ left, right }) => {
        const server = await startServer(right);
        const receiver = reverse ? left : right;
        loseArriving(receiver, 100);
        const slices = ["--offload", "on", "--send-interval", "0.01", "-b", "40m"];
        const run = await completeTest(left, right.ipv4, 1, ["-u", ...slices, ...(reverse ? ["-R"] : [])]);
        const { data, segments } = lossTruthOf(receiver);
        const figures = figuresOf(run);
        printFigures(`batches, ${reverse ? "reverse" : "forward"}`, {
          batches: segments,
          dropped: data.lost,
          lost: figures.packets_lost,
          sent: figures.packets_sent,
          bursts: figures.loss_bursts,
          longest: figures.loss_burst_longest,
          overrun: run.overrunSeconds,
        });
        expect(figures).toMatchObject({
          packets_sent: data.lost + data.passed,
          packets_lost: data.lost,
          packets_lost_network: data.lost,
          packets_stray: 0,
        });
        expectBalanced(run);
        // They did come as batches.
        expect(segments * 4).toBeLessThan(figures.packets_sent);
        expect(figures.loss_burst_longest).toBeGreaterThan(4);
        await stopServer(server);
      }));
  }
});

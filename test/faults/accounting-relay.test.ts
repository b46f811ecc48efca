// What a relay does to packets one by one, against what is reported of them.
import { expect, test } from "bun:test";

import { arrivalOrderOf, lossBurstsOf } from "../support/arrival-order.ts";
import { describeWithRelay, type FlowTruth, type RelayTruth, withRelay } from "../support/relay.ts";
import type { LinkSettings } from "../support/relay/settings.ts";
import {
  completeTest,
  expectBalanced,
  figuresOf,
  printFigures,
  startServer,
  stopServer,
  type TestRun,
} from "../support/udp-test.ts";

/** 484 packets of 1,024 bytes a second. */
const RATE = "4m";
const PACKETS_PER_SECOND = 484;
const DELAY_MS = 20;
/** What ends a test that hears no more comes at 3 s. */
const MOST_OVERRUN_SECONDS = 2.5;

const ALL_AT_ONCE: LinkSettings = {
  delayMs: DELAY_MS,
  jitterMs: 5,
  rules: [{ dropShare: 0.1, duplicateShare: 0.05, reorderShare: 0.25, reorderBy: 3, reorderWithinMs: 100 }],
};

const LINKS: readonly { readonly name: string; readonly link: LinkSettings; readonly tail?: number }[] = [
  { name: "20 ms of delay", link: { delayMs: DELAY_MS } },
  { name: "delay and jitter", link: { delayMs: DELAY_MS, jitterMs: 15 } },
  { name: "5 % copies", link: { rules: [{ duplicateShare: 0.05 }] } },
  { name: "25 % out of order", link: { rules: [{ reorderShare: 0.25, reorderBy: 3, reorderWithinMs: 100 }] } },
  { name: "all at once, and 10 % loss", link: ALL_AT_ONCE },
  { name: "the last 100 packets dropped", link: { rules: [{ dropFromId: PACKETS_PER_SECOND - 100 }] }, tail: 100 },
];

function flowOf(truth: RelayTruth, reverse: boolean): FlowTruth {
  const { flows } = reverse ? truth.toLeft : truth.toRight;
  expect(flows).toHaveLength(1);
  const [flow] = flows;
  if (flow === undefined) throw new Error("no flow");
  // What the relay counts as the n-th packet is the one with this id.
  expect(flow.ids).toEqual(flow.ids.map((_, position) => position));
  return flow;
}

/** Every figure is what follows from the packets as they left the relay, but for the first so many, which are omitted. */
function expectTruth(name: string, run: TestRun, { ids, passed }: FlowTruth, omitted = 0): void {
  const order = arrivalOrderOf(passed, ids.length, omitted);
  const bursts = lossBurstsOf(passed, ids.length, omitted);
  const extents = order.extents.reduce((sum, extent) => sum + extent, 0);
  const figures = figuresOf(run);
  printFigures(name, {
    sent: ids.length - omitted,
    unique: order.unique,
    lost: `${order.lost}=${figures.packets_lost}`,
    duplicated: `${order.duplicated}=${figures.packets_duplicated}`,
    reordered: `${order.reordered}=${figures.packets_out_of_order}`,
    "max extent": `${Math.max(0, ...order.extents)}=${figures.reorder_extent_max}`,
    bursts: `${bursts.count}=${figures.loss_bursts}`,
    longest: `${bursts.longest}=${figures.loss_burst_longest}`,
    overrun: run.overrunSeconds,
  });
  expect(figures).toMatchObject({
    packets_sent: ids.length - omitted,
    packets_received: order.unique + order.duplicated,
    packets_lost: order.lost,
    packets_lost_network: order.lost,
    packets_duplicated: order.duplicated,
    packets_out_of_order: order.reordered,
    packets_stray: 0,
    reorder_extent_max: Math.max(0, ...order.extents),
    loss_bursts: bursts.count,
    loss_burst_longest: bursts.longest,
    loss_burst_mean: bursts.mean,
  });
  if (order.reordered === 0) expect(figures.reorder_extent_mean).toBeNull();
  else expect(figures.reorder_extent_mean).toBeCloseTo(extents / order.reordered, 9);
  expectBalanced(run);
}

describeWithRelay("a relay", () => {
  for (const { name, link, tail } of LINKS) {
    for (const reverse of [false, true]) {
      test(`${reverse ? "reverse" : "forward"}, ${name}`, () =>
        withRelay({ toRight: link, toLeft: link }, async ({ left, right, relay }) => {
          const server = await startServer(right);
          const run = await completeTest(left, right.ipv4, 1, ["-u", "-b", RATE, ...(reverse ? ["-R"] : [])]);
          const flow = flowOf(await relay.truth(), reverse);
          expectTruth(`${reverse ? "reverse" : "forward"}, ${name}`, run, flow);
          const { dropShare = 0, duplicateShare = 0, reorderShare = 0 } = link.rules?.[0] ?? {};
          // It did what it was told to.
          expect(flow.order.lost > 0).toBe(dropShare > 0 || tail !== undefined);
          expect(flow.order.duplicated > 0).toBe(duplicateShare > 0);
          expect(flow.order.reordered > 0).toBe(reorderShare > 0);
          if (tail !== undefined) {
            expect(flow.order.lost).toBe(flow.ids.length - (PACKETS_PER_SECOND - tail));
            expect(flow.order.lost).toBeWithin(1, tail + 2);
            expect(figuresOf(run)).toMatchObject({ loss_bursts: 1, loss_burst_longest: flow.order.lost });
          }
          expect(run.overrunSeconds).toBeLessThan(MOST_OVERRUN_SECONDS);
          await stopServer(server);
        }));
    }
  }

  for (const reverse of [false, true]) {
    test(`${reverse ? "reverse" : "forward"}, all at once, and the first second omitted`, () =>
      withRelay({ toRight: ALL_AT_ONCE, toLeft: ALL_AT_ONCE }, async ({ left, right, relay }) => {
        const server = await startServer(right);
        const flags = ["-u", "-b", RATE, "-O", "1", ...(reverse ? ["-R"] : [])];
        const run = await completeTest(left, right.ipv4, 2, flags);
        const flow = flowOf(await relay.truth(), reverse);
        const omitted = flow.ids.length - figuresOf(run).packets_sent;
        // Fewer where the sender was put aside in that second: it makes up for it behind.
        expect(omitted).toBeWithin(PACKETS_PER_SECOND / 4, PACKETS_PER_SECOND + 6);
        expectTruth(`${reverse ? "reverse" : "forward"}, all at once -O 1`, run, flow, omitted);
        await stopServer(server);
      }));

    test(`${reverse ? "reverse" : "forward"}, a black hole of 1 s in the middle`, () =>
      withRelay({}, async ({ left, right, relay }) => {
        const server = await startServer(right);
        const flags = ["-u", "-b", RATE, ...(reverse ? ["-R"] : [])];
        const running = completeTest(left, right.ipv4, 3, flags);
        await server.waitForOutput(/test started/);
        await Bun.sleep(1000);
        const beforeMs = performance.now();
        await relay.blackHole(true);
        await Bun.sleep(1000);
        await relay.blackHole(false);
        const mostSeconds = (performance.now() - beforeMs) / 1000;
        const run = await running;
        const flow = flowOf(await relay.truth(), reverse);
        expectTruth(`${reverse ? "reverse" : "forward"}, a black hole`, run, flow);
        expect(flow.dropped.length).toBeWithin(PACKETS_PER_SECOND / 4, PACKETS_PER_SECOND * (mostSeconds + 0.3));
        expect(figuresOf(run)).toMatchObject({ loss_bursts: 1, loss_burst_longest: flow.dropped.length });
        expect(run.overrunSeconds).toBeLessThan(MOST_OVERRUN_SECONDS);
        await stopServer(server);
      }));
  }
});

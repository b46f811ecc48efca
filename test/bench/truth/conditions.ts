// What the network does to the data packets, and how many it did that to. They are told by their length, which is that of
// no other packet of any tool.
import { type NamespacePair, withNamespaces } from "../../support/netns.ts";
import { withRelay } from "../../support/relay.ts";
import type { Rule } from "../../support/relay/settings.ts";
import type { Truth } from "./counts.ts";

export interface Condition {
  readonly name: string;
  /** Runs `test` under the condition, with data packets of that payload going to the right. */
  apply<Result>(lengthBytes: number, test: (pair: NamespacePair) => Promise<Result>): Promise<Applied<Result>>;
}

export interface Applied<Result> {
  readonly result: Result;
  readonly truth: Truth;
}

const exactly = (bytes: number) => ({ minPayloadBytes: bytes, maxPayloadBytes: bytes });

/** A link of the kernel's own and its firewall. */
function lossOf(percent: number): Condition {
  return {
    name: `${percent} % loss`,
    apply: (lengthBytes, test) =>
      withNamespaces(async (pair) => {
        pair.right.dropData(percent * 10, exactly(lengthBytes));
        const result = await test(pair);
        const { dropped = 0, passed = 0 } = pair.right.counters();
        return { result, truth: { sent: dropped + passed, lost: dropped, duplicated: 0, reordered: 0 } };
      }),
  };
}

function relayed(name: string, rule: Rule): Condition {
  return {
    name,
    apply: (lengthBytes, test) =>
      withRelay({ data: exactly(lengthBytes), toRight: { rules: [rule] } }, async ({ relay, ...pair }) => {
        const result = await test(pair);
        const { flows } = (await relay.truth()).toRight;
        const [flow] = flows;
        if (flow === undefined || flows.length > 1) throw new Error(`${flows.length} flows of data, not one`);
        const { lost, duplicated, reordered } = flow.order;
        return { result, truth: { sent: flow.ids.length, lost, duplicated, reordered } };
      }),
  };
}

/** 5 s at 2 Mb/s are 1,211 packets for rperf, which counts the UDP header in, and 1,221 for others. */
const ALL_BUT_THE_TAIL = 1_115;
const DUPLICATES: Rule = { duplicateShare: 0.05 };
/** Three packets pass in 12 ms; those at the end of a test, which fewer pass, are not to come after all is over. */
const REORDERING: Rule = { reorderShare: 0.25, reorderBy: 3, reorderWithinMs: 20 };

export const CONDITIONS: readonly Condition[] = [
  ...[0, 1, 10, 30, 50].map(lossOf),
  relayed("5 % duplicated", DUPLICATES),
  relayed("25 % held back", REORDERING),
  relayed("10 % loss, 5 % duplicated, 25 % held back", { dropShare: 0.1, ...DUPLICATES, ...REORDERING }),
  relayed("the last 100 or so lost", { dropBehind: ALL_BUT_THE_TAIL }),
];

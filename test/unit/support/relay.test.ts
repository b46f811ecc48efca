import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { arrivalOrderOf, lossBurstsOf } from "../../support/arrival-order.ts";
import { eventually } from "../../support/eventually.ts";
import type { Namespace } from "../../support/netns.ts";
import type { RunningProcess } from "../../support/process.ts";
import { describeWithRelay, type FlowTruth, type RelayTruth, withRelay } from "../../support/relay.ts";

setDefaultTimeout(30_000);

const PORT = 5000;
const DATA_BYTES = 200;
const HELLO_BYTES = 24;

/**
 * Prints the packet id of each data packet, and "small" for every other one, once it is told that all have been sent, and
 * 0.7 s have passed without any: a sender may stall for longer. Before them, for how many it stalled too long itself.
 */
const RECEIVER = `
  const seen = [];
  let quiet, areSent = false;
  const overflows = async () => {
    const text = await Bun.file("/proc/net/snmp").text() + await Bun.file("/proc/net/snmp6").text();
    const [names, values] = text.split("\\n").filter((line) => line.startsWith("Udp: ")).map((line) => line.split(" "));
    const ofIpv6 = /^Udp6RcvbufErrors\\s+(\\d+)/m.exec(text)?.[1];
    return Number(values[names.indexOf("RcvbufErrors")]) + Number(ofIpv6);
  };
  const wait = () => {
    clearTimeout(quiet);
    quiet = setTimeout(async () => {
      console.log("overflows", await overflows());
      console.log("seen", JSON.stringify(seen));
      process.exit(0);
    }, 700);
  };
  process.once("SIGINT", () => { areSent = true; wait(); });
  const socket = await Bun.udpSocket({ hostname: "::", port: ${PORT}, socket: { data(s, packet, port, address) {
    seen.push(packet.length < 36 ? "small" : Number(packet.readBigUInt64BE(16)));
    if (areSent) wait();
  } } });
  console.log("ready");`;

/** Sends a small packet, then data packets by number, a few of them each millisecond. */
const sender = (host: string, count: number, perMillisecond: number) => [
  process.execPath,
  "-e",
  `const socket = await Bun.udpSocket({ hostname: "::", connect: { hostname: "${host}", port: ${PORT} } });
  socket.send(new Uint8Array(${HELLO_BYTES}));
  const packet = Buffer.alloc(${DATA_BYTES});
  const startedMs = performance.now();
  for (let id = 0; id < ${count}; id += 1) {
    packet.writeBigUInt64BE(BigInt(id), 16);
    while (!socket.send(packet)) await Bun.sleep(0);
    while (performance.now() - startedMs < id / ${perMillisecond}) await Bun.sleep(1);
  }
  process.exit(0);`,
];

async function receive(at: Namespace): Promise<RunningProcess> {
  const receiver = at.start([process.execPath, "-e", RECEIVER]);
  await receiver.waitForOutput(/ready/);
  return receiver;
}

type Seen = number | "small";

/** Of those that have been sent by now, and how many its socket had no room for. */
async function seenBy(receiver: RunningProcess): Promise<{ readonly seen: Seen[]; readonly overflows: number }> {
  receiver.kill("SIGINT");
  const [, overflows = "", seen = ""] = await receiver.waitForOutput(/overflows (\d+)\nseen (.*)\n/, 20_000);
  return { seen: JSON.parse(seen) as Seen[], overflows: Number(overflows) };
}

function onlyFlowOf(truth: RelayTruth): FlowTruth {
  expect(truth.toRight.flows).toHaveLength(1);
  const [flow] = truth.toRight.flows;
  if (flow === undefined) throw new Error("no flow");
  return flow;
}

interface Outcome {
  readonly seen: readonly Seen[];
  readonly truth: RelayTruth;
  readonly flow: FlowTruth;
}

/** Sends so many packets to the right, through a relay as told. What arrived is what the truth says in any case. */
function sendThrough(
  toRight: NonNullable<Parameters<typeof withRelay>[0]["toRight"]>,
  { count = 1000, perMillisecond = 2, ipVersion = 4 } = {},
): Promise<Outcome> {
  return withRelay({ toRight }, async ({ left, right, relay }) => {
    const receiver = await receive(right);
    const host = ipVersion === 4 ? right.ipv4 : right.ipv6;
    const sent = await left.run(sender(host, count, perMillisecond));
    expect(sent).toEqual({ code: 0, stdout: "", stderr: "" });
    const { seen, overflows } = await seenBy(receiver);
    const truth = await relay.truth();
    const flow = onlyFlowOf(truth);
    expect(flow.ids).toEqual(Array.from({ length: count }, (_, id) => id));
    expectSeen(seen, flow.arrivedIds, overflows);
    expect(flow.order).toMatchObject({ lost: flow.dropped.length, duplicated: flow.duplicated });
    return { seen, truth, flow };
  });
}

/** All of them, in this order, but for as many as the receiver's socket had no room for while it stalled. */
function expectSeen(seen: readonly Seen[], arrivedIds: readonly number[], overflows: number): void {
  const ids = seen.filter((id) => id !== "small");
  if (overflows === 0) return expect(ids).toEqual([...arrivedIds]);
  console.log(`  the receiver's socket had no room for ${overflows}`);
  expect(arrivedIds.length - ids.length).toBeWithin(0, overflows + 1);
  let found = 0;
  for (const id of arrivedIds) if (id === ids[found]) found += 1;
  expect(found).toBe(ids.length);
}

const UNTOUCHED = { lost: 0, duplicated: 0, reordered: 0, extents: [] };

describe("the order of arrival", () => {
  test.each([
    [[], 2, { unique: 0, lost: 2, duplicated: 0, reordered: 0, extents: [] }],
    [[0, 1, 2], 3, { unique: 3, ...UNTOUCHED }],
    [[0, 2, 3], 4, { unique: 3, ...UNTOUCHED, lost: 1 }],
    [[0, 1, 1, 0], 2, { unique: 2, ...UNTOUCHED, duplicated: 2 }],
    [[0, 1, 2, 4, 5, 6, 3, 7, 8, 9], 10, { unique: 10, ...UNTOUCHED, reordered: 1, extents: [3] }],
    [[1, 2, 0, 0, 3], 4, { unique: 4, lost: 0, duplicated: 1, reordered: 1, extents: [2] }],
    [[3, 2, 1, 0], 4, { unique: 4, lost: 0, duplicated: 0, reordered: 3, extents: [1, 2, 3] }],
  ])("%p of %p", (arrivals, sent, order) => {
    expect(arrivalOrderOf(arrivals, sent)).toEqual(order);
  });
});

test("numbers below the first that counts only stand in line", () => {
  expect(arrivalOrderOf([2, 0, 0, 3, 1, 6, 4, 4], 8, 3)).toEqual({
    unique: 3,
    lost: 2,
    duplicated: 1,
    reordered: 1,
    extents: [1],
  });
  expect(lossBurstsOf([2, 0, 0, 3, 1, 6, 4, 4], 8, 3)).toEqual({ count: 2, longest: 1, mean: 1 });
  expect(lossBurstsOf([5], 6, 3)).toEqual({ count: 1, longest: 2, mean: 2 });
});

describe("bursts of loss", () => {
  test.each([
    [[0, 1, 2], 3, { count: 0, longest: 0, mean: null }],
    [[], 4, { count: 1, longest: 4, mean: 4 }],
    [[1, 2, 5, 5], 8, { count: 3, longest: 2, mean: 5 / 3 }],
    [[6, 0, 4], 7, { count: 2, longest: 3, mean: 2 }],
  ])("%p of %p", (arrivals, sent, bursts) => {
    expect(lossBurstsOf(arrivals, sent)).toEqual(bursts);
  });
});

describeWithRelay("a relay", () => {
  for (const ipVersion of [4, 6]) {
    test.concurrent(`passes everything as it came, IPv${ipVersion}`, async () => {
      const { flow, truth, seen } = await sendThrough({}, { ipVersion });
      expect(flow.order).toEqual({ unique: 1000, ...UNTOUCHED });
      expect(flow.to).toBe(ipVersion === 4 ? `10.78.0.2:${PORT}` : `[fd00:78:0:0:0:0:0:2]:${PORT}`);
      expect(seen[0]).toBe("small");
      expect(truth.toRight).toMatchObject({ dropped: 0, duplicated: 0, held: 0, refused: 0 });
      expect(truth.toLeft.flows).toEqual([]);
    });
  }

  test.concurrent("drops a share", async () => {
    const { flow, seen } = await sendThrough({ rules: [{ dropShare: 0.25 }] });
    expect(flow.order.lost).toBeWithin(180, 320);
    expect(flow.order).toMatchObject({ duplicated: 0, reordered: 0 });
    expect(seen).toContain("small"); // no data packet
  });

  test.concurrent("copies a share", async () => {
    const { flow } = await sendThrough({ rules: [{ duplicateShare: 0.25 }] });
    expect(flow.order.duplicated).toBeWithin(180, 320);
    expect(flow.order).toMatchObject({ lost: 0, reordered: 0 });
  });

  test.concurrent("holds a share back until others passed", async () => {
    // The receiver must not have given up before the last ones are let go.
    const { flow } = await sendThrough({ rules: [{ reorderShare: 0.1, reorderBy: 2, reorderWithinMs: 200 }] });
    expect(flow.held).toBeWithin(60, 150);
    expect(flow.order).toMatchObject({ lost: 0, duplicated: 0 });
    expect(flow.order.reordered).toBeWithin(flow.held - 5, flow.held + 1); // those at the end have none to pass them
    // By what they were to let pass, but for those whose time is over in a stall.
    expect(flow.order.extents.filter((extent) => extent < 2).length).toBeLessThan(5);
  });

  test.concurrent("does all of it at once, each packet its own", async () => {
    const rules = [{ dropShare: 0.1, duplicateShare: 0.1, reorderShare: 0.1 }];
    const { flow, truth } = await sendThrough({ delayMs: 5, jitterMs: 5, rules });
    const { dropped, duplicated, held, passed } = truth.toRight;
    expect({ dropped, duplicated, held }).toEqual({
      dropped: flow.dropped.length,
      duplicated: flow.duplicated,
      held: flow.held,
    });
    expect(passed).toBe(truth.toRight.seen - dropped + duplicated);
    for (const count of [dropped, duplicated, held]) expect(count).toBeWithin(50, 160);
  });

  test.concurrent("drops what a rule names: small packets, a tail by id, a tail by number", async () => {
    const small = await sendThrough({ rules: [{ match: { port: PORT, maxPayloadBytes: 35 }, dropShare: 1 }] });
    expect(small.seen).not.toContain("small");
    expect(small.flow.order.lost).toBe(0);
    expect(small.truth.toRight.dropped).toBe(1);
    const byId = await sendThrough({ rules: [{ dropFromId: 990 }] });
    expect(byId.flow.arrivedIds.at(-1)).toBe(989);
    expect(byId.flow.order.lost).toBe(10);
    const byNumber = await sendThrough({ rules: [{ match: { protocol: "tcp" } }, { dropBehind: 900 }] });
    expect(byNumber.flow.order.lost).toBe(100);
  });

  test.concurrent("swallows everything for a time", async () => {
    const { flow } = await sendThrough({ blackHoles: [{ afterMs: 0, forMs: 500 }] }, { perMillisecond: 0.5 });
    expect(flow.order.lost).toBeWithin(10, 250);
    expect(flow.dropped).toEqual(flow.dropped.map((_, index) => index));
  });

  test.concurrent("swallows everything on command, TCP as well, and delays it", async () => {
    const connect = (host: string) => [
      process.execPath,
      "-e",
      `const startedMs = performance.now();
      require("node:net").connect(${PORT}, "${host}").on("connect", () => {
        console.log(performance.now() - startedMs);
        process.exit(0);
      });
      setTimeout(() => process.exit(1), 800);`,
    ];
    await withRelay({ toRight: { delayMs: 30 }, toLeft: { delayMs: 20 } }, async ({ left, right, relay }) => {
      const listener = `Bun.listen({ hostname: "::", port: ${PORT}, socket: { data() {} } }); console.log("ready");`;
      await right.start([process.execPath, "-e", listener]).waitForOutput(/ready/);
      for (const host of [right.ipv4, right.ipv6]) {
        await relay.blackHole(true, ["toLeft"]);
        expect((await left.run(connect(host))).code).toBe(1);
        await relay.blackHole(false);
        expect(Number((await left.run(connect(host))).stdout)).toBeGreaterThanOrEqual(50);
      }
      await relay.set({ toLeft: {} });
      const tries = [1, 2, 3].map(async () => Number((await left.run(connect(right.ipv4))).stdout));
      // Never earlier; how much later, the machine decides.
      expect(Math.min(...(await Promise.all(tries)))).toBeGreaterThanOrEqual(30);
      expect((await relay.truth()).toLeft.dropped).toBeGreaterThanOrEqual(2);
    });
  });

  test("loses nothing of its own at 20,000 packets a second, and its seed decides the rest", async () => {
    const lostWith = (seed: number) =>
      withRelay({ seed, toRight: { rules: [{ dropShare: 0.1 }] } }, async ({ left, right, relay }) => {
        const receiver = await receive(right); // what its own socket has no room for passed the relay all the same
        expect((await left.run(sender(right.ipv4, 40_000, 20))).stderr).toBe("");
        receiver.kill("SIGKILL");
        // A relay that stalls has not seen the last ones yet.
        const { dropped } = await eventually(
          "all have come to the relay",
          async () => onlyFlowOf(await relay.truth()),
          ({ ids }) => ids.length === 40_000,
        );
        return dropped;
      });
    const dropped = await lostWith(1);
    expect(dropped.length).toBeWithin(3_700, 4_300);
    expect(await lostWith(1)).toEqual(dropped);
  });
});

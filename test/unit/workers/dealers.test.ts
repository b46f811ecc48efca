import { describe, expect, test } from "bun:test";
import { threadCpus } from "../../../ffi/affinity.ts";
import { CpuDealer, PortDealer } from "../../../src/workers/dealers.ts";
import { testsUnless } from "../../support/conditional.ts";

const before = threadCpus();
const [here = 0] = before.ok ? before.value : [];
/** No machine has it; a mask of the system's can name it. */
const NOWHERE = 1023;

function dealerOf(cpus: readonly number[]): { dealer: CpuDealer; warnings: string[] } {
  const warnings: string[] = [];
  return { dealer: new CpuDealer(cpus, (message) => warnings.push(message)), warnings };
}

test("without CPUs each stream runs anywhere", () => {
  const { dealer, warnings } = dealerOf([]);
  expect([dealer.next(), dealer.next()]).toEqual([null, null]);
  expect(warnings).toEqual([]);
});

testsUnless(before.ok ? null : before.message).describe("CpuDealer", () => {
  test("deals in turn", () => {
    const others = before.ok ? before.value : [];
    const { dealer, warnings } = dealerOf(others);
    const dealt = Array.from({ length: others.length * 2 + 1 }, () => dealer.next());
    expect(dealt).toEqual([...others, ...others, here]);
    expect(warnings).toEqual([]);
  });

  test("a CPU given twice is dealt twice as often", () => {
    const [other = here] = before.ok ? before.value.slice(1) : [];
    const { dealer } = dealerOf([here, here, other]);
    expect([dealer.next(), dealer.next(), dealer.next(), dealer.next()]).toEqual([here, here, other, here]);
  });

  test.each([NOWHERE, 1024, 65_535])("CPU %d does not exist: warned about and left out", (nowhere) => {
    const { dealer, warnings } = dealerOf([nowhere, here, nowhere]);
    expect([dealer.next(), dealer.next()]).toEqual([here, here]);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain(`CPU ${nowhere} `);
  });

  test("when no CPU exists each stream runs anywhere", () => {
    const { dealer, warnings } = dealerOf([NOWHERE]);
    expect([dealer.next(), dealer.next()]).toEqual([null, null]);
    expect(warnings).toHaveLength(1);
  });

  test("the thread that deals keeps its own CPUs", () => {
    dealerOf([here, NOWHERE]);
    expect(threadCpus()).toEqual(before);
  });
});

describe("PortDealer", () => {
  const pools = {
    tcp4: [{ first: 1, last: 2 }],
    tcp6: [{ first: 3, last: 4 }],
    udp4: [{ first: 5, last: 6 }],
    udp6: [],
  };

  test("each pool counts its own choices", () => {
    const dealer = new PortDealer(pools);
    expect(dealer.next("tcp", 4)).toEqual({ ports: pools.tcp4, firstChoice: 0 });
    expect(dealer.next("tcp", 4)).toEqual({ ports: pools.tcp4, firstChoice: 1 });
    expect(dealer.next("tcp", 6)).toEqual({ ports: pools.tcp6, firstChoice: 0 });
    expect(dealer.next("udp", 4)).toEqual({ ports: pools.udp4, firstChoice: 0 });
    expect(dealer.next("udp", 6)).toEqual({ ports: [], firstChoice: 0 });
    expect(dealer.next("tcp", 4)).toEqual({ ports: pools.tcp4, firstChoice: 2 });
  });

  test("two dealers do not know of each other", () => {
    new PortDealer(pools).next("udp", 4);
    expect(new PortDealer(pools).next("udp", 4).firstChoice).toBe(0);
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PortRange } from "../../../src/config/types.ts";
import { RperfError } from "../../../src/errors.ts";
import { bindFromPool, portsFrom } from "../../../src/streams/bind-from-pool.ts";
import type { ListenEndpoint } from "../../../src/streams/spec.ts";
import { listenAt } from "./recorder.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(`listen ${code}`), { code });
}

describe("portsFrom", () => {
  const ranges = [
    { first: 10, last: 12 },
    { first: 5, last: 5 },
    { first: 20, last: 21 },
  ];
  test.each([
    [0, [10, 11, 12, 5, 20, 21]],
    [2, [12, 5, 20, 21, 10, 11]],
    [3, [5, 20, 21, 10, 11, 12]],
    [5, [21, 10, 11, 12, 5, 20]],
    [6, [10, 11, 12, 5, 20, 21]],
    [6 * 1000 + 1, [11, 12, 5, 20, 21, 10]],
  ])("from choice %d", (firstChoice, expected) => {
    expect([...portsFrom(ranges, firstChoice)]).toEqual(expected);
  });

  test("no range gives nothing", () => {
    expect([...portsFrom([], 3)]).toEqual([]);
  });

  test("each port exactly once, and each choice begins one further on", () => {
    const range = fc
      .tuple(fc.integer({ min: 1, max: 65_535 }), fc.nat({ max: 20 }))
      .map(([first, more]): PortRange => ({ first, last: Math.min(first + more, 65_535) }));
    const pools = fc.array(range, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(pools, fc.nat({ max: 1e6 }), (pool, firstChoice) => {
        const inOrder = pool.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        );
        const at = firstChoice % inOrder.length;
        expect([...portsFrom(pool, firstChoice)]).toEqual([...inOrder.slice(at), ...inOrder.slice(0, at)]);
      }),
    );
  });
});

describe("bindFromPool", () => {
  const pool = [
    { first: 100, last: 102 },
    { first: 200, last: 200 },
  ];

  test("without a pool any port will do", async () => {
    expect(await bindFromPool("udp", listenAt(), (port) => `bound ${port}`)).toBe("bound 0");
  });

  test.each<[string, number, readonly number[], number[]]>([
    ["the first choice", 0, [], [100]],
    ["a later choice", 2, [], [102]],
    ["round again", 4, [], [100]],
    ["busy ports are skipped", 1, [101, 102], [101, 102, 200]],
    ["beyond the end the search goes on at the beginning", 3, [200, 100], [200, 100, 101]],
  ])("%s", async (_name, firstChoice, busy, expected) => {
    const tried: number[] = [];
    const port = await bindFromPool("udp", listenAt({ ports: pool, firstChoice }), async (port) => {
      tried.push(port);
      if (busy.includes(port)) throw systemError("EADDRINUSE");
      return port;
    });
    expect(tried).toEqual(expected);
    expect(port).toBe(expected.at(-1) ?? NaN);
  });

  test("a pool that is all in use is named", async () => {
    const tried: number[] = [];
    const binding = bindFromPool("udp", listenAt({ ports: pool, firstChoice: 1 }), (port) => {
      tried.push(port);
      throw systemError("EADDRINUSE");
    }).catch((error: unknown) => error);
    expect(await binding).toMatchObject({
      name: "RperfError",
      code: "pool-exhausted",
      message: expect.stringContaining("100-102,200"),
    });
    expect(tried).toEqual([101, 102, 200, 100]);
  });

  test.each<[string, "tcp" | "udp", Partial<ListenEndpoint>, string, number, readonly string[]]>([
    [
      "a port that may not be bound ends the search",
      "udp",
      { ports: pool },
      "EACCES",
      1,
      ["port 100", "127.0.0.1", "UDP"],
    ],
    ["so does an address that is not there", "tcp", { ports: pool }, "EADDRNOTAVAIL", 1, ["TCP"]],
    ["without a pool there is nothing to skip to", "udp", {}, "EADDRINUSE", 1, ["a port of 127.0.0.1"]],
  ])("%s", async (_name, family, changes, code, tries, texts) => {
    let tried = 0;
    const cause = systemError(code);
    const failure = await bindFromPool(family, listenAt(changes), () => {
      tried++;
      throw cause;
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RperfError);
    expect(failure).toMatchObject({ code: "bind-failed", cause });
    for (const text of texts) expect((failure as RperfError).message).toContain(text);
    expect(tried).toBe(tries);
  });
});

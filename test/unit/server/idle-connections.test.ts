import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type IdleConnection, IdleConnections } from "../../../src/server/idle-connections.ts";

function connectionFrom(place: string): IdleConnection {
  return { place, evict: () => {} };
}

/** Those that have to go for one that comes. */
function come(idle: IdleConnections, connection: IdleConnection): readonly IdleConnection[] {
  idle.add(connection);
  return idle.trim();
}

const nothingAwaited = (): ReadonlyMap<string, number> => new Map();

describe("connections without a test", () => {
  test("make room one for the other, each for one of the place with the most, the oldest first", () => {
    const idle = new IdleConnections(4, nothingAwaited);
    const good = connectionFrom("good");
    const bad = ["bad", "bad", "bad"].map(connectionFrom);
    expect([good, ...bad].flatMap((connection) => come(idle, connection))).toEqual([]);
    const latest = connectionFrom("bad");
    expect(come(idle, latest)).toEqual(bad.slice(0, 1));
    expect(come(idle, connectionFrom("another"))).toEqual(bad.slice(1, 2));
    // As many of each: the oldest of all.
    expect(come(idle, connectionFrom("good"))).toEqual([good]);
    expect(come(idle, connectionFrom("third"))).toEqual(bad.slice(2));
  });

  test("are counted once, and no more once they are gone", () => {
    const idle = new IdleConnections(1, nothingAwaited);
    const one = connectionFrom("a");
    expect([...come(idle, one), ...come(idle, one)]).toEqual([]);
    expect(idle.size).toBe(1);
    idle.remove(one);
    idle.remove(one);
    expect(idle.size).toBe(0);
    expect(come(idle, connectionFrom("b"))).toEqual([]);
  });

  test("may be as many more as a test at their place needs", () => {
    const idle = new IdleConnections(2, () => new Map([["good", 8]]));
    for (let i = 0; i < 8; i++) expect(come(idle, connectionFrom("good"))).toEqual([]);
    const bad = connectionFrom("bad");
    expect(come(idle, bad)).toEqual([]);
    expect(come(idle, connectionFrom("bad"))).toEqual([]);
    expect(come(idle, connectionFrom("bad"))).toEqual([bad]);
    // Of the ninth and tenth of the good ones' there is no need.
    expect(come(idle, connectionFrom("good"))).toHaveLength(1);
    expect(idle.size).toBe(10);
  });

  test("are too many all at once when the test is over that needed them", () => {
    let awaited = 8;
    const idle = new IdleConnections(2, () => new Map([["bad", awaited]]));
    const all = Array.from({ length: 10 }, () => connectionFrom("bad"));
    expect(all.flatMap((connection) => come(idle, connection))).toEqual([]);
    awaited = 3;
    expect(idle.trim()).toEqual(all.slice(0, 5));
    awaited = 0;
    expect(idle.trim()).toEqual(all.slice(5, 8));
    expect(idle.trim()).toEqual([]);
    expect(idle.size).toBe(2);
  });
});

test("whoever comes stays, no more are there than may be, and the one that goes is of a place with the most", () => {
  const steps = fc.array(fc.record({ place: fc.constantFrom("a", "b", "c", "d"), removes: fc.nat(3) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 8 }), steps, (limit, sequence) => {
      const idle = new IdleConnections(limit, nothingAwaited);
      let there: IdleConnection[] = [];
      for (const { place, removes } of sequence) {
        const connection = connectionFrom(place);
        const [surplus = null, ...others] = come(idle, connection);
        expect(others).toEqual([]);
        there.push(connection);
        const countOf = (of: string) => there.filter(({ place }) => place === of).length;
        expect(surplus === null).toBe(there.length <= limit);
        if (surplus !== null) {
          expect(surplus).not.toBe(connection);
          expect(countOf(surplus.place)).toBe(Math.max(...["a", "b", "c", "d"].map(countOf)));
          expect(there.find(({ place }) => place === surplus.place)).toBe(surplus);
          there = there.filter((other) => other !== surplus);
        }
        const leaving = removes === 0 ? there[0] : undefined;
        if (leaving !== undefined) idle.remove(leaving);
        there = there.filter((other) => other !== leaving);
        expect(idle.size).toBe(there.length);
      }
    }),
  );
});

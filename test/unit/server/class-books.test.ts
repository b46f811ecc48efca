import { describe, expect, test } from "bun:test";
import type { ClassOptions } from "../../../src/config/class-options.ts";
import { makePolicy } from "../../../src/config/server-config.ts";
import { ClassBooks } from "../../../src/server/class-books.ts";
import { forward, reverse } from "./configurations.ts";

function booksOf(few: ClassOptions): ClassBooks {
  return new ClassBooks(makePolicy({ classes: { few }, defaultClass: "few" }));
}

describe("a policy", () => {
  test("another is for those that come", () => {
    const books = booksOf({ streams: 1 });
    const claim = books.claim("192.0.2.1", null, forward(), 0);
    books.policy = makePolicy({});
    expect(books.claim("192.0.2.1", null, forward({ streams: 9 }), 0).limits.name).toBe("unlimited");
    expect(() => claim.extend(reverse(), 0)).toThrow(/at most 1 stream in both directions together, not 2$/);
  });
});

describe("one that waits is looked at by what holds when its turn comes", () => {
  test("another policy", () => {
    const books = booksOf({ streams: 4 });
    const claim = books.claim("192.0.2.1", null, forward({ streams: 3 }), 0);
    books.policy = makePolicy({ classes: { tiny: { streams: 2, bytesPerDay: 50_000 } }, defaultClass: "tiny" });
    expect(() => claim.renew(1)).toThrow("this server allows class tiny at most 2 streams, not 3");
    const other = books.claim("192.0.2.1", null, forward({ streams: 2 }), 1);
    books.policy = makePolicy({ defaultClass: "refuse" });
    expect(() => other.renew(1)).toThrow(/does not serve you/);
    books.policy = makePolicy({});
    other.renew(2);
    expect(other.limits.name).toBe("unlimited");
  });

  test("what is left of the day", () => {
    const books = booksOf({ bytesPerDay: 15_000 });
    const waiting = books.claim("192.0.2.1", null, forward({ extensions: null }), 0);
    books.claim("192.0.2.1", null, forward({ extensions: null }), 0).count(15_000, 1);
    expect(() => waiting.renew(2)).toThrow(/of which 0 B are left$/);
  });
});

describe("what is planned is the test's until it is over", () => {
  test("others have what is left besides, and get back what was not moved", () => {
    const books = booksOf({ bytesPerDay: 25_000 });
    const [first, second] = [1, 2].map(() => books.claim("192.0.2.1", null, forward(), 0));
    const third = () => books.claim("192.0.2.1", null, forward(), 1);
    expect(third).toThrow(/of which 5\.000 kB are left, not 10\.00 kB$/);
    first?.count(6000, 1);
    expect(third).toThrow(/of which 5\.000 kB are left/);
    first?.end();
    first?.end();
    expect(third).toThrow(/of which 9\.000 kB are left/);
    second?.end();
    third().end();
    expect(() => books.claim("192.0.2.1", null, forward({ streams: 2 }), 2)).toThrow(/of which 19\.00 kB are left/);
  });

  test("one that nobody knows of is ended where it would take what is another's; that one is not", () => {
    const books = booksOf({ bytesPerDay: 25_000 });
    const planned = books.claim("192.0.2.1", null, forward(), 0);
    const unplanned = books.claim("192.0.2.1", null, forward({ extensions: null }), 0);
    expect(unplanned.count(15_000, 1)).toBeNull();
    expect(unplanned.count(1, 1)).toBe("the limit of class few is 25.00 kB in 24 hours");
    expect(planned.count(10_000, 2)).toBeNull();
  });

  test("and by another policy as well", () => {
    const books = booksOf({ bytesPerDay: 25_000 });
    const claim = books.claim("192.0.2.1", null, forward(), 0);
    claim.renew(1);
    expect(() => books.claim("192.0.2.1", null, forward({ streams: 2 }), 1)).toThrow(/of which 15\.00 kB are left/);
    books.policy = makePolicy({});
    claim.renew(1);
    books.policy = makePolicy({ classes: { few: { bytesPerDay: 20_000 } }, defaultClass: "few" });
    expect(() => books.claim("192.0.2.1", null, forward({ streams: 2 }), 1)).not.toThrow();
  });
});

describe("bytes of a day", () => {
  test("are counted for a key wherever it is, or for an address", () => {
    const books = booksOf({ bytesPerDay: 30_000 });
    const claim = books.claim("192.0.2.1", "lab", forward(), 0);
    expect(claim).toMatchObject({ identity: "key lab" });
    expect(claim.count(25_000, 10)).toBeNull();
    const wanted = /30\.00 kB in 24 hours, of which 5\.000 kB are left, not 10\.00 kB$/;
    expect(() => books.claim("192.0.2.2", "lab", forward(), 10)).toThrow(wanted);
    expect(() => books.claim("192.0.2.1", null, forward(), 10)).not.toThrow();
    expect(() => books.claim("192.0.2.2", "lab", forward(), 10 + 25 * 3600)).not.toThrow();
  });

  test("of both directions together", () => {
    const books = booksOf({ bytesPerDay: 15_000 });
    const claim = books.claim("192.0.2.1", null, forward(), 0);
    expect(() => claim.extend(reverse(), 0)).toThrow(/of which 15\.00 kB are left, not 20\.00 kB$/);
  });

  test("one whose bytes were not known ends behind the limit, one that takes all that is left does not", () => {
    const books = booksOf({ bytesPerDay: 10_000 });
    const planned = books.claim("192.0.2.1", null, forward(), 0);
    expect(planned.count(10_000, 1)).toBeNull();
    expect(planned.count(16, 1)).toBeNull();
    const unplanned = books.claim("192.0.2.2", null, forward({ extensions: null }), 0);
    expect(unplanned.count(9000, 1)).toBeNull();
    expect(unplanned.count(9000, 1)).toBe("the limit of class few is 10.00 kB in 24 hours");
    expect(() => books.claim("192.0.2.2", null, forward({ extensions: null }), 2)).toThrow(/0 B are left$/);
  });

  test("are not counted where there is no limit", () => {
    const books = booksOf({});
    expect(books.claim("192.0.2.1", null, forward(), 0).count(1e15, 0)).toBeNull();
  });
});

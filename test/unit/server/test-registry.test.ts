import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import type { Handed } from "../../../src/streams/spec.ts";
import { type RegisteredTest, TestRegistry } from "../../../src/server/test-registry.ts";

const KEEP_MS = 10 * 60_000;
const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => index);
const OTHER_ID = TEST_ID.map((byte) => byte ^ 1);

class FakeTest implements RegisteredTest {
  readonly remoteAddress: string;
  readonly keptBytes: number;
  readonly taken: [number, Handed][] = [];
  expiries = 0;
  isFinished = false;

  constructor(remoteAddress = "192.0.2.1", keptBytes = 100) {
    this.remoteAddress = remoteAddress;
    this.keptBytes = keptBytes;
  }

  take(_testId: Uint8Array, streamIndex: number, family: Handed["family"]): ((handed: Handed) => void) | null {
    return family === "udp" ? (handed) => void this.taken.push([streamIndex, handed]) : null;
  }

  expired(): void {
    this.expiries++;
  }
}

let registry: TestRegistry;
beforeEach(() => {
  jest.useFakeTimers();
  registry = new TestRegistry();
});
afterEach(() => {
  registry.clear();
  jest.useRealTimers();
});

describe("a token", () => {
  test("finds its test for the address of its client alone", () => {
    const [one, other] = [new FakeTest("192.0.2.1"), new FakeTest("192.0.2.2")];
    registry.add(one, "secret");
    registry.add(other, "another");
    expect(registry.resume("secret", "192.0.2.1")).toBe(one);
    expect(registry.resume("another", "192.0.2.2")).toBe(other);
    for (const [token, address] of [
      ["secret", "192.0.2.2"],
      ["another", "192.0.2.1"],
      ["secre", "192.0.2.1"],
      ["secret2", "192.0.2.1"],
      ["", "192.0.2.1"],
    ] as const) {
      expect(registry.resume(token, address)).toBeNull();
    }
  });

  test("is good for some resumptions at once, and then for one every 4 s", () => {
    const one = new FakeTest();
    registry.add(one, "secret");
    const resumed = () => registry.resume("secret", "192.0.2.1");
    expect(Array.from({ length: 10 }, resumed)).toEqual([one, one, one, one, one, one, one, one, "later", "later"]);
    jest.advanceTimersByTime(4000);
    expect([resumed(), resumed()]).toEqual([one, "later"]);
    // Whoever is somebody else learns nothing.
    expect(registry.resume("secret", "192.0.2.2")).toBeNull();
  });

  test("of a finished test is good for ten minutes, also where the loss of its client was never seen", () => {
    const one = new FakeTest();
    registry.add(one, "secret");
    one.isFinished = true;
    for (let passedMs = 0; passedMs < KEEP_MS; passedMs += KEEP_MS / 10) {
      expect(registry.resume("secret", "192.0.2.1")).toBe(one);
      jest.advanceTimersByTime(KEEP_MS / 10);
    }
    expect(registry.resume("secret", "192.0.2.1")).toBeNull();
    registry.keep(one);
    jest.advanceTimersByTime(1);
    expect(one.expiries).toBe(1);
  });

  test("is worth nothing once its test is removed", () => {
    const one = new FakeTest();
    registry.add(one, "secret");
    registry.addData(one, TEST_ID);
    registry.remove(one);
    expect(registry.size).toBe(0);
    expect(registry.resume("secret", one.remoteAddress)).toBeNull();
    expect(registry.taker({ testId: TEST_ID, streamIndex: 0 }, "udp", one.remoteAddress)).toBeNull();
    expect(one.expiries).toBe(0);
  });
});

describe("data", () => {
  test("finds its way by the test id, from the client's address alone, where the test wants it", () => {
    const one = new FakeTest();
    registry.addData(one, TEST_ID);
    const handed = { family: "udp", address: "192.0.2.1", port: 7 } as const;
    registry.taker({ testId: TEST_ID, streamIndex: 3 }, "udp", "192.0.2.1")?.(handed);
    expect(one.taken).toEqual([[3, handed]]);
    expect(registry.taker({ testId: OTHER_ID, streamIndex: 3 }, "udp", "192.0.2.1")).toBeNull();
    expect(registry.taker({ testId: TEST_ID, streamIndex: 3 }, "udp", "192.0.2.2")).toBeNull();
    expect(registry.taker({ testId: TEST_ID, streamIndex: 3 }, "tcp", "192.0.2.1")).toBeNull();
  });
});

describe("a test without its client", () => {
  test("is kept for ten minutes, and told that they are over", () => {
    const one = new FakeTest();
    registry.add(one, "secret");
    registry.keep(one);
    jest.advanceTimersByTime(KEEP_MS - 1);
    expect(registry.resume("secret", one.remoteAddress)).toBe(one);
    expect(one.expiries).toBe(0);
    jest.advanceTimersByTime(1);
    expect(registry.resume("secret", one.remoteAddress)).toBeNull();
    expect(one.expiries).toBe(1);
    expect(registry.size).toBe(0);
  });

  test("that has its client again is not forgotten, and is kept no longer for that", () => {
    const one = new FakeTest();
    registry.add(one, "secret");
    for (let again = 0; again < 10; again++) {
      registry.keep(one);
      jest.advanceTimersByTime(KEEP_MS / 10 - 1);
      registry.release(one);
    }
    registry.keep(one);
    jest.advanceTimersByTime(9);
    expect(one.expiries).toBe(0);
    jest.advanceTimersByTime(1);
    expect(one.expiries).toBe(1);
    const late = new FakeTest();
    registry.keep(late);
    registry.release(late);
    jest.advanceTimersByTime(2 * KEEP_MS);
    expect(late.expiries).toBe(0);
    registry.keep(late);
    jest.advanceTimersByTime(1);
    expect(late.expiries).toBe(1);
  });

  test("leaves no timer that would tell of it later when it is removed, or all are", () => {
    const [one, other] = [new FakeTest(), new FakeTest()];
    registry.keep(one);
    registry.keep(other);
    registry.remove(one);
    registry.clear();
    jest.advanceTimersByTime(2 * KEEP_MS);
    expect([one.expiries, other.expiries]).toEqual([0, 0]);
  });
});

describe("the memory is bounded: of one address the oldest go first", () => {
  test.each([
    ["by their number", 1500, 100, 1000],
    ["by what they keep", 100, 1024 * 1024, 32],
  ])("%s", (_name, count, keptBytes, expected) => {
    const tests = Array.from({ length: count }, () => new FakeTest("192.0.2.1", keptBytes));
    for (const [index, one] of tests.entries()) {
      registry.add(one, `secret ${index}`);
      registry.keep(one);
    }
    expect(registry.size).toBe(expected);
    expect(tests.map(({ expiries }) => expiries)).toEqual(tests.map((_, index) => (index < count - expected ? 1 : 0)));
    expect(registry.resume(`secret ${count - 1}`, "192.0.2.1")).toBe(tests[count - 1] ?? null);
  });

  test.each([
    ["many", 1500, 100],
    ["much", 100, 1024 * 1024],
  ])("who has %s kept loses its own, whatever address of its network it is at", (_name, count, keptBytes) => {
    const good = new FakeTest("192.0.2.1", 10_000);
    registry.add(good, "good");
    registry.keep(good);
    for (let index = 0; index < count; index++) {
      registry.keep(new FakeTest(`2001:db8::${index.toString(16)}`, keptBytes));
    }
    expect(good.expiries).toBe(0);
    expect(registry.resume("good", "192.0.2.1")).toBe(good);
  });

  test("those that have their clients are not counted, and never go", () => {
    const busy = new FakeTest("192.0.2.1", 2 ** 30);
    registry.add(busy, "busy");
    const idle = new FakeTest();
    registry.keep(idle);
    expect(registry.resume("busy", "192.0.2.1")).toBe(busy);
    expect(idle.expiries).toBe(0);
  });
});

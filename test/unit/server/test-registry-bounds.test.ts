import { afterEach, describe, expect, test } from "bun:test";
import { type RegisteredTest, TestRegistry } from "../../../src/server/test-registry.ts";
import { eventually } from "../../support/eventually.ts";

const MIB = 1024 * 1024;
const ADDRESS = "192.0.2.1";
/** Longer than a test takes. */
const LONG_MS = 60_000;

let registry = new TestRegistry(LONG_MS);

afterEach(() => registry.clear());

function registered(keptBytes: number, onExpired: () => void = () => {}): RegisteredTest {
  return { remoteAddress: ADDRESS, isFinished: false, keptBytes, take: () => null, expired: onExpired };
}

/** Keeps so many tests, and gives the numbers of those that went, in order. */
function keepAll(count: number, keptBytes: number): number[] {
  const gone: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const one = registered(keptBytes, () => gone.push(index));
    registry.add(one, `token ${index}`);
    registry.keep(one);
  }
  return gone;
}

describe("what is kept without a client is bounded, and the oldest goes first", () => {
  test.each<[string, number, number, number]>([
    ["1,000 tests", 1_200, 100, 200],
    ["32 MiB", 100, MIB, 68],
    ["the largest logs there are", 40, 2 * MIB, 24],
    ["as many as fit", 1_000, 100, 0],
  ])("%s", (_name, count, keptBytes, goneCount) => {
    registry = new TestRegistry(LONG_MS);
    const gone = keepAll(count, keptBytes);
    expect(gone).toEqual(Array.from({ length: goneCount }, (_, index) => index));
    expect(registry.size).toBe(count - goneCount);
    expect(registry.resume(`token ${goneCount}`, ADDRESS)).not.toBeNull();
    if (goneCount > 0) expect(registry.resume(`token ${goneCount - 1}`, ADDRESS)).toBeNull();
  });
});

test("a test whose client is back is not counted, and does not expire", async () => {
  registry = new TestRegistry(20);
  let hasExpired = false;
  const back = registered(40 * MIB, () => {
    hasExpired = true;
  });
  registry.add(back, "secret");
  registry.keep(back);
  // Larger than all that may be kept, it went at once.
  expect(hasExpired).toBe(true);
  hasExpired = false;
  registry.add(back, "secret");
  const other = registered(10);
  registry.add(other, "other");
  registry.keep(other);
  registry.release(other);
  await Bun.sleep(60);
  expect(registry.resume("other", ADDRESS)).toBe(other);
  registry.keep(other);
  await eventually(
    "its time",
    () => registry.resume("other", ADDRESS),
    (found) => found === null,
  );
  expect(registry.resume("secret", ADDRESS)).toBe(back);
  expect(hasExpired).toBe(false);
});

test.each([
  ["another token", "secret ", ADDRESS],
  ["another address", "secret", "192.0.2.2"],
  ["no address", "secret", ""],
])("%s finds nothing", (_name, token, address) => {
  registry = new TestRegistry(LONG_MS);
  registry.add(registered(1), "secret");
  expect(registry.resume("secret", ADDRESS)).not.toBeNull();
  expect(registry.resume(token, address)).toBeNull();
});

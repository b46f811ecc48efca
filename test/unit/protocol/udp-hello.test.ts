import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeHello, encodeHello, HELLO_BYTES } from "../../../src/protocol/udp-hello.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xc0 + index);
const HELLO = encodeHello({ kind: "hello", testId: TEST_ID, streamIndex: 0x0102 });

function changed(at: number, value: number): Uint8Array {
  const bytes = Uint8Array.from(HELLO);
  bytes[at] = value;
  return bytes;
}

test("byte by byte", () => {
  expect([...HELLO]).toEqual([...TEST_ID, 0x52, 0x48, 1, 0, 1, 2, 0, 0]);
  const answer = encodeHello({ kind: "answer", testId: TEST_ID, streamIndex: 254 });
  expect([...answer]).toEqual([...TEST_ID, 0x52, 0x48, 2, 0, 0, 254, 0, 0]);
});

test("it is neither an end marker nor a data packet", () => {
  expect(HELLO_BYTES).toBeGreaterThan(16);
  expect(HELLO_BYTES).toBeLessThan(36);
});

test("what is encoded is decoded to the same, wherever it lies", () => {
  const hello = fc.record({
    kind: fc.constantFrom("hello" as const, "answer" as const),
    testId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    streamIndex: fc.nat({ max: 65_535 }),
  });
  fc.assert(
    fc.property(hello, fc.nat({ max: 9 }), (one, offset) => {
      const memory = new Uint8Array(64);
      memory.set(encodeHello(one), offset);
      expect(decodeHello(memory.subarray(offset, offset + HELLO_BYTES))).toEqual(one);
    }),
  );
});

describe("is none", () => {
  test.each<[string, Uint8Array]>([
    ["nothing at all", new Uint8Array(0)],
    ["an end marker", TEST_ID],
    ["one cut off", HELLO.subarray(0, HELLO_BYTES - 1)],
    ["one with a byte more", Uint8Array.of(...HELLO, 0)],
    ["another magic", changed(16, 0x53)],
    ["another magic behind", changed(17, 0x49)],
    ["kind 0", changed(18, 0)],
    ["kind 3", changed(18, 3)],
  ])("%s", (_name, datagram) => {
    expect(decodeHello(datagram)).toBeNull();
  });
});

test("bytes that a later version may use are ignored", () => {
  for (const at of [19, 22, 23]) expect(decodeHello(changed(at, 7))).toEqual(decodeHello(HELLO));
});

test("the test id is a copy: the datagram's memory is used again", () => {
  const datagram = Uint8Array.from(HELLO);
  const hello = decodeHello(datagram);
  datagram.fill(0);
  expect(hello?.testId).toEqual(TEST_ID);
});

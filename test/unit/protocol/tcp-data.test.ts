import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeTcpBuffer, PreambleMatcher, TEST_ID_BYTES } from "../../../src/protocol/tcp-data.ts";

const TEST_ID = Uint8Array.from({ length: TEST_ID_BYTES }, (_, index) => 200 + index);

test.each([16, 17, 255, 256, 257, 32_768])("a buffer of %d bytes: test id, then each byte its index", (length) => {
  const expected = Array.from({ length }, (_, index) => (index < 16 ? TEST_ID[index] : index % 256));
  expect([...makeTcpBuffer(TEST_ID, length)]).toEqual(expected as number[]);
});

describe("PreambleMatcher", () => {
  const bytes = makeTcpBuffer(TEST_ID, 40);

  test("matches at every split in two, the rest of the data along with it", () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const matcher = new PreambleMatcher(TEST_ID);
      expect(matcher.push(bytes.subarray(0, cut))).toBe(cut < TEST_ID_BYTES ? "more" : "match");
      if (cut < TEST_ID_BYTES) expect(matcher.push(bytes.subarray(cut))).toBe("match");
    }
  });

  test("matches byte by byte, with the sixteenth", () => {
    const matcher = new PreambleMatcher(TEST_ID);
    const verdicts = Array.from(TEST_ID, (byte) => matcher.push(Uint8Array.of(byte)));
    expect(verdicts).toEqual([...Array<"more">(15).fill("more"), "match"]);
  });

  test("a wrong byte is a mismatch wherever it stands and wherever the cut is", () => {
    for (let wrong = 0; wrong < TEST_ID_BYTES; wrong++) {
      const bad = Uint8Array.from(bytes);
      bad[wrong] = (bytes[wrong] ?? 0) ^ 1;
      for (let cut = 0; cut <= bad.length; cut++) {
        const matcher = new PreambleMatcher(TEST_ID);
        const first = matcher.push(bad.subarray(0, cut));
        expect(first).toBe(cut > wrong ? "mismatch" : "more");
        if (first === "more") expect(matcher.push(bad.subarray(cut))).toBe("mismatch");
      }
    }
  });

  test("what would match is known beforehand, at every cut, and not taken by that", () => {
    for (let cut = 0; cut < TEST_ID_BYTES; cut++) {
      const matcher = new PreambleMatcher(TEST_ID);
      matcher.push(bytes.subarray(0, cut));
      for (let end = cut; end <= bytes.length; end++) {
        expect(matcher.wouldMatch(bytes.subarray(cut, end))).toBe(end >= TEST_ID_BYTES);
      }
      const bad = Uint8Array.from(bytes.subarray(cut));
      bad[TEST_ID_BYTES - cut - 1] = (bytes[TEST_ID_BYTES - 1] ?? 0) ^ 1;
      expect(matcher.wouldMatch(bad)).toBe(false);
      expect(matcher.push(bytes.subarray(cut))).toBe("match");
    }
  });

  test("what follows the sixteen bytes does not matter", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (rest) => {
        expect(new PreambleMatcher(TEST_ID).push(Uint8Array.of(...TEST_ID, ...rest))).toBe("match");
      }),
    );
  });
});

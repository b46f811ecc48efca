import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RperfError } from "../../../src/errors.ts";
import { encodeFrame, FrameDecoder, MAX_BODY_BYTES } from "../../../src/protocol/framing.ts";

const decodeText = (body: Uint8Array): string => new TextDecoder().decode(body);

function frameOf(body: Uint8Array): Uint8Array {
  return Uint8Array.of(body.length >> 8, body.length & 0xff, ...body);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Pushes `bytes` in pieces that end at `cuts`, and checks `isMidFrame` after each piece. */
function decodeInPieces(bytes: Uint8Array, cuts: readonly number[], frameEnds: ReadonlySet<number>): Uint8Array[] {
  const decoder = new FrameDecoder();
  const bodies: Uint8Array[] = [];
  const ends = [...cuts, bytes.length];
  let start = 0;
  for (const end of ends) {
    bodies.push(...decoder.push(bytes.subarray(start, end)));
    start = end;
    expect(decoder.isMidFrame).toBe(end !== 0 && !frameEnds.has(end));
  }
  return bodies;
}

function endsOf(frames: readonly Uint8Array[]): Set<number> {
  let end = 0;
  return new Set(frames.map((frame) => (end += frame.length)));
}

describe("encodeFrame", () => {
  test("is a big-endian length and then UTF-8 JSON", () => {
    expect([...encodeFrame({ a: "é" })]).toEqual([0, 10, ...Buffer.from('{"a":"é"}')]);
  });

  test.each([
    ["one byte in the high half", 256],
    ["the most that the length can tell", MAX_BODY_BYTES],
  ])("%s", (_name, size) => {
    const message = { a: "x".repeat(size - '{"a":""}'.length) };
    const frame = encodeFrame(message);
    expect(frame.length).toBe(size + 2);
    expect([frame[0], frame[1]]).toEqual([size >> 8, size & 0xff]);
    expect(JSON.parse(decodeText(frame.subarray(2)))).toEqual(message);
  });

  test.each([
    ["a byte too long", "x".repeat(MAX_BODY_BYTES + 1 - '{"a":""}'.length)],
    ["too long in bytes, not in characters", "€".repeat(30_000)],
    ["a length that would wrap to a small one", "x".repeat(65_536 + 10)],
  ])("refuses a body that is %s", (_name, a) => {
    const attempt = () => encodeFrame({ a });
    expect(attempt).toThrow(RperfError);
    expect(attempt).toThrow(expect.objectContaining({ code: "internal" }));
  });
});

describe("FrameDecoder", () => {
  const messages = [{ kind: "begin" }, { kind: "configuration", test_id: [1, 2, 255] }, { kind: "end" }];
  const frames = messages.map((message) => encodeFrame(message));
  const bytes = joined(frames);

  test("three frames, cut in two at every byte", () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const bodies = decodeInPieces(bytes, [cut], endsOf(frames));
      expect(bodies.map((body) => JSON.parse(decodeText(body)))).toEqual(messages);
    }
  });

  test("three frames, byte by byte", () => {
    const cuts = Array.from(bytes, (_, index) => index);
    const bodies = decodeInPieces(bytes, cuts, endsOf(frames));
    expect(bodies.map((body) => JSON.parse(decodeText(body)))).toEqual(messages);
  });

  test("any frames in any chunks", () => {
    const bodiesOfAnySize = fc.array(fc.uint8Array({ maxLength: 700 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(bodiesOfAnySize, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (bodies, fractions) => {
        const frames = bodies.map(frameOf);
        const all = joined(frames);
        const cuts = fractions.map((fraction) => Math.floor(fraction * all.length)).sort((a, b) => a - b);
        expect(decodeInPieces(all, cuts, endsOf(frames)).map((body) => [...body])).toEqual(
          bodies.map((body) => [...body]),
        );
      }),
    );
  });

  test.each([0, 1, 255, 256, 257, 65_279, 65_280, MAX_BODY_BYTES])("a body of %d bytes between two others", (size) => {
    const body = Uint8Array.from({ length: size }, (_, index) => (index * 7) & 0xff);
    const decoder = new FrameDecoder();
    const small = Uint8Array.of(1, 2, 3);
    const bodies = [...decoder.push(joined([frameOf(small), frameOf(body), frameOf(small)]))];
    expect(bodies.map((one) => one.length)).toEqual([3, size, 3]);
    expect(Buffer.compare(bodies[1] ?? small, body)).toBe(0);
    expect(decoder.isMidFrame).toBe(false);
  });

  test("an empty chunk changes nothing", () => {
    const decoder = new FrameDecoder();
    expect([...decoder.push(new Uint8Array())]).toEqual([]);
    expect(decoder.isMidFrame).toBe(false);
    expect([...decoder.push(Uint8Array.of(0))]).toEqual([]);
    expect([...decoder.push(new Uint8Array())]).toEqual([]);
    expect(decoder.isMidFrame).toBe(true);
    expect([...decoder.push(Uint8Array.of(1, 65))].map(decodeText)).toEqual(["A"]);
  });

  test("a body stays as it was when its chunk is reused and later frames come", () => {
    const decoder = new FrameDecoder();
    const chunk = frameOf(Uint8Array.of(1, 2, 3));
    const [body] = decoder.push(chunk);
    chunk.fill(9);
    expect([...decoder.push(frameOf(Uint8Array.of(7, 7, 7)))]).toHaveLength(1);
    expect([...(body ?? [])]).toEqual([1, 2, 3]);
  });
});

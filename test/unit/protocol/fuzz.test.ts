// A million frames, cut anywhere: whatever comes, it is a message or an error that names what is wrong with it.
//
//   RPERF_FUZZ_SEED=… RPERF_FUZZ_FRAMES=… bun .ci/test.ts test/unit/protocol/fuzz.test.ts
import { expect, setDefaultTimeout, test } from "bun:test";

import { RperfError } from "../../../src/errors.ts";
import { decodeClientMessage, decodeServerMessage } from "../../../src/protocol/decode.ts";
import { FrameDecoder } from "../../../src/protocol/framing.ts";
import { countOf, Random, seedOf } from "../../support/random.ts";
import { frameOf } from "../../support/raw-client.ts";
import { WIRE_STREAMS } from "../../support/wire-messages.ts";
import { FrameMutator } from "./frame-mutator.ts";

setDefaultTimeout(300_000);

const FRAMES = countOf("RPERF_FUZZ_FRAMES", 1_000_000);
const TOGETHER = 50;
/** Of so many frames one is cut in two at each of its bytes. */
const CUT_EVERYWHERE = 1_000;
const MOST_CUT_BYTES = 2_000;
/** A path of names, what it may be, and 40 characters of what it was. */
const MOST_MESSAGE_CHARACTERS = 400;
/** The worst frames take 30 ms; this is for a machine that does something else meanwhile. */
const MOST_FRAME_MS = 500;
const NAMES_WHAT = new RegExp(
  [
    /^the message is not (?:JSON|an object)$/,
    /^length times streams must be at most \d+$/,
    /^[a-z_.]+(?:\[\d+\])? (?:is not an object$|must (?:be|have) )/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

type Decode = (body: Uint8Array) => object;
const DECODERS: readonly Decode[] = [decodeClientMessage, (body) => decodeServerMessage(body, WIRE_STREAMS)];

/** Whether it is a message; throws where the outcome is neither that nor a good error. */
function isMessage(decode: Decode, body: Uint8Array): boolean {
  try {
    decode(body);
    return true;
  } catch (error) {
    if (!(error instanceof RperfError) || error.code !== "peer-protocol") throw error;
    if (error.message.length <= MOST_MESSAGE_CHARACTERS && NAMES_WHAT.test(error.message)) return false;
    throw new Error(`no good error: ${error.message.slice(0, 1_000)}`, { cause: error });
  }
}

function decodingMs(body: Uint8Array): number {
  const beganMs = performance.now();
  for (const decode of DECODERS) isMessage(decode, body);
  return performance.now() - beganMs;
}

/** The bodies of a stream that comes in chunks of any size. */
function decodeInChunks(stream: Buffer, random: Random): Uint8Array[] {
  const decoder = new FrameDecoder();
  const bodies: Uint8Array[] = [];
  const longest = random.pick([1, 2, 3, 20, 300, 5_000, stream.length]);
  for (let from = 0; from < stream.length;) {
    const to = from + random.between(1, longest);
    for (const body of decoder.push(stream.subarray(from, to))) bodies.push(body);
    from = to;
  }
  expect(decoder.isMidFrame).toBe(false);
  return bodies;
}

function expectSameCutAnywhere(body: Buffer): void {
  const frame = frameOf(body);
  for (let cut = 0; cut <= frame.length; cut += 1) {
    const decoder = new FrameDecoder();
    const bodies = [...decoder.push(frame.subarray(0, cut)), ...decoder.push(frame.subarray(cut))];
    const [only] = bodies;
    if (only === undefined || bodies.length !== 1 || Buffer.compare(only, body) !== 0)
      throw new Error(`not the same when cut at byte ${cut}`);
  }
}

test(`${FRAMES} frames are messages or errors that name a field, however they are cut`, () => {
  const seed = seedOf("RPERF_FUZZ_SEED");
  const random = new Random(seed);
  const mutator = new FrameMutator(random);
  for (const text of mutator.pool) {
    const taken = DECODERS.filter((decode) => isMessage(decode, Buffer.from(text))).length;
    if (taken !== 1) throw new Error(`a good message that ${taken} sides take: ${text}`);
  }
  let messages = 0;
  let longestMs = 0;
  let cutEverywhere = 0;
  for (let first = 0; first < FRAMES; first += TOGETHER) {
    const bodies = Array.from({ length: Math.min(TOGETHER, FRAMES - first) }, () => mutator.next());
    const decoded = decodeInChunks(Buffer.concat(bodies.map((body) => frameOf(body))), random);
    if (decoded.length !== bodies.length) throw new Error(`frames ${first} on: ${decoded.length} came`);
    for (const [index, body] of bodies.entries()) {
      const got = decoded[index] ?? new Uint8Array();
      try {
        if (Buffer.compare(got, body) !== 0) throw new Error("another body came");
        const beganMs = performance.now();
        for (const decode of DECODERS) if (isMessage(decode, got)) messages += 1;
        let tookMs = performance.now() - beganMs;
        // Once more: whatever is slow is slow again, a machine that did something else is not.
        if (tookMs > MOST_FRAME_MS / 2) tookMs = Math.min(tookMs, decodingMs(got));
        longestMs = Math.max(longestMs, tookMs);
        if ((first + index) % CUT_EVERYWHERE === 0 && body.length <= MOST_CUT_BYTES) {
          expectSameCutAnywhere(body);
          cutEverywhere += 1;
        }
      } catch (cause) {
        console.error(cause);
        const text = body.toString("latin1").slice(0, 2_000);
        throw new Error(`frame ${first + index} of seed ${seed}: ${text}`, { cause });
      }
    }
  }
  console.log(
    `  ${FRAMES} frames: ${messages} messages, ${cutEverywhere} cut everywhere, the longest took ${longestMs.toFixed(1)} ms`,
  );
  expect(messages).toBeGreaterThan(FRAMES / 50);
  expect(messages).toBeLessThan(FRAMES);
  expect(longestMs).toBeLessThan(MOST_FRAME_MS);
});

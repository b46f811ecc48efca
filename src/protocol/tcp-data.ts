/*
 * What a TCP sender writes, again and again, a buffer of `length` bytes:
 *
 *   0                        16
 *   +------------------------+------------------------------------
 *   | test id, 16 bytes      | byte i holds i mod 256
 *   +------------------------+------------------------------------
 *
 * Only the first 16 bytes of a connection matter to the receiver: they admit it.
 */
import type { TestId } from "./messages.ts";

export const TEST_ID_BYTES = 16;

export function isSameTest(one: TestId, other: TestId): boolean {
  return one.every((byte, index) => byte === other[index]);
}

/** Fills everything behind the first `headerBytes` with the pattern that both families use. */
export function fillPattern(buffer: Uint8Array, headerBytes: number): void {
  for (let i = headerBytes; i < buffer.length; i++) buffer[i] = i & 0xff;
}

export function makeTcpBuffer(testId: TestId, lengthBytes: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(new ArrayBuffer(lengthBytes));
  buffer.set(testId);
  fillPattern(buffer, TEST_ID_BYTES);
  return buffer;
}

/** Compares the first bytes of a connection with the test id, however they are chunked. */
export class PreambleMatcher {
  readonly #testId: TestId;
  #matchedBytes = 0;

  constructor(testId: TestId) {
    this.#testId = testId;
  }

  /** `more`: all bytes so far are right, and too few. */
  push(chunk: Uint8Array): "match" | "mismatch" | "more" {
    for (const byte of chunk.subarray(0, TEST_ID_BYTES - this.#matchedBytes)) {
      if (byte !== this.#testId[this.#matchedBytes]) return "mismatch";
      this.#matchedBytes++;
    }
    return this.#matchedBytes === TEST_ID_BYTES ? "match" : "more";
  }

  /** Whether it would be a match with these bytes; they are still to be pushed. */
  wouldMatch(chunk: Uint8Array): boolean {
    const missing = this.#testId.subarray(this.#matchedBytes);
    return missing.every((byte, index) => byte === chunk[index]);
  }
}

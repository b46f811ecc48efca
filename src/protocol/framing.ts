/*
 * One control message on the wire:
 *
 *   0               1               2 …
 *   +---------------+---------------+---------------------------
 *   | length of what follows, bytes | UTF-8 JSON, one object
 *   |        big-endian, 16 bit     |
 *   +---------------+---------------+---------------------------
 */
import { RperfError } from "../errors.ts";

const LENGTH_BYTES = 2;
export const MAX_BODY_BYTES = 65_535;

/** One message, ready to be written. Throws `internal` for a body that the length field cannot tell. */
export function encodeFrame(message: object): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(message));
  if (body.length > MAX_BODY_BYTES) {
    throw new RperfError("internal", `a control message of ${body.length} bytes exceeds ${MAX_BODY_BYTES}`);
  }
  const frame = new Uint8Array(LENGTH_BYTES + body.length);
  new DataView(frame.buffer).setUint16(0, body.length);
  frame.set(body, LENGTH_BYTES);
  return frame;
}

/** Cuts a byte stream into the bodies of its messages, however it is chunked; holds at most one unfinished frame. */
export class FrameDecoder {
  readonly #frame = new Uint8Array(LENGTH_BYTES + MAX_BODY_BYTES);
  #filledBytes = 0;

  /** Whether a frame has begun and not ended. */
  get isMidFrame(): boolean {
    return this.#filledBytes > 0;
  }

  /** Yields each body that `chunk` completes; a body is a copy and stays valid. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let offset = 0;
    while (offset < chunk.length) {
      const neededBytes = this.#frameBytes() - this.#filledBytes;
      const part = chunk.subarray(offset, offset + neededBytes);
      this.#frame.set(part, this.#filledBytes);
      this.#filledBytes += part.length;
      offset += part.length;
      if (this.#filledBytes < LENGTH_BYTES || this.#filledBytes < this.#frameBytes()) continue;
      const body = this.#frame.slice(LENGTH_BYTES, this.#filledBytes);
      this.#filledBytes = 0;
      yield body;
    }
  }

  /** Bytes of the frame in hand as far as known: its length field first, then the whole. */
  #frameBytes(): number {
    if (this.#filledBytes < LENGTH_BYTES) return LENGTH_BYTES;
    return LENGTH_BYTES + (((this.#frame[0] ?? 0) << 8) | (this.#frame[1] ?? 0));
  }
}

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

/** The body of a message's frame: the same bytes for the same message. */
export function encodeBody(message: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}

/** One message, ready to be written. Throws `internal` for a body that the length field cannot tell. */
export function encodeFrame(message: object): Uint8Array {
  const body = encodeBody(message);
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
  #lengthBytesSeen = 0;
  #bodyBytes = 0;
  /** Made once the length is known, so that an idle connection holds nothing. */
  #body: Uint8Array | null = null;
  #filledBytes = 0;

  /** Whether a frame has begun and not ended. */
  get isMidFrame(): boolean {
    return this.#lengthBytesSeen > 0;
  }

  /** Yields each body that `chunk` completes; it is the caller's to keep. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let offset = 0;
    while (offset < chunk.length) {
      offset +=
        this.#body === null ? this.#takeLengthByte(chunk[offset] ?? 0) : this.#takeBody(this.#body, chunk, offset);
      if (this.#body === null || this.#filledBytes < this.#bodyBytes) continue;
      const body = this.#body;
      this.#lengthBytesSeen = 0;
      this.#body = null;
      yield body;
    }
  }

  #takeLengthByte(byte: number): number {
    this.#bodyBytes = this.#lengthBytesSeen === 0 ? byte << 8 : this.#bodyBytes | byte;
    this.#lengthBytesSeen++;
    if (this.#lengthBytesSeen === LENGTH_BYTES) {
      this.#body = new Uint8Array(this.#bodyBytes);
      this.#filledBytes = 0;
    }
    return 1;
  }

  #takeBody(body: Uint8Array, chunk: Uint8Array, offset: number): number {
    const part = chunk.subarray(offset, offset + this.#bodyBytes - this.#filledBytes);
    body.set(part, this.#filledBytes);
    this.#filledBytes += part.length;
    return part.length;
  }
}

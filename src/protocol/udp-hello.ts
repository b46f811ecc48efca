/*
 * What the side that dials sends first on a UDP path, again and again until it is answered; the answer looks the same but
 * for its kind. Too short for a data packet and too long for an end marker:
 *
 *   0            16        18       19       20            22        24
 *   +------------+---------+--------+--------+-------------+---------+
 *   | test id    | "RH"    | kind   | 0      | stream      | 0       |
 *   | 16 bytes   |         | 1 or 2 |        | u16, BE     |         |
 *   +------------+---------+--------+--------+-------------+---------+
 */
import type { TestId } from "./messages.ts";
import { TEST_ID_BYTES } from "./tcp-data.ts";

export const HELLO_BYTES = 24;
const MAGIC = 0x5248;
const KINDS = { hello: 1, answer: 2 } as const;
const MAGIC_OFFSET = 16;
const KIND_OFFSET = 18;
const STREAM_OFFSET = 20;

export type HelloKind = keyof typeof KINDS;

export interface Hello {
  readonly kind: HelloKind;
  readonly testId: TestId;
  readonly streamIndex: number;
}

export function encodeHello({ kind, testId, streamIndex }: Hello): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(HELLO_BYTES));
  const view = new DataView(bytes.buffer);
  bytes.set(testId);
  view.setUint16(MAGIC_OFFSET, MAGIC);
  view.setUint8(KIND_OFFSET, KINDS[kind]);
  view.setUint16(STREAM_OFFSET, streamIndex);
  return bytes;
}

/** Null for any other datagram. The test id is a copy. */
export function decodeHello(datagram: Uint8Array): Hello | null {
  if (datagram.length !== HELLO_BYTES) return null;
  const view = new DataView(datagram.buffer, datagram.byteOffset, HELLO_BYTES);
  if (view.getUint16(MAGIC_OFFSET) !== MAGIC) return null;
  const number = view.getUint8(KIND_OFFSET);
  const kind = number === KINDS.hello ? "hello" : number === KINDS.answer ? "answer" : null;
  if (kind === null) return null;
  return { kind, testId: datagram.slice(0, TEST_ID_BYTES), streamIndex: view.getUint16(STREAM_OFFSET) };
}

/*
 * One UDP data packet, all numbers big-endian:
 *
 *   0            16          24             32              36
 *   +------------+-----------+--------------+---------------+----------------
 *   | test id    | packet id | UNIX seconds | nanoseconds   | byte i holds
 *   | 16 bytes   | u64       | u64          | u32, see mark | i mod 256
 *   +------------+-----------+--------------+---------------+----------------
 *
 * Nanoseconds need 30 bits. Between two of ours the top bit is the omit mark: the packet left within the time that
 * `--omit` leaves out, so that both sides cut at the same packet whatever the network does. An original peer never
 * sees it set.
 *
 * A packet of 16 bytes that holds the test id alone ends the stream; it is sent several times.
 */
import type { TestId } from "./messages.ts";
import { fillPattern, TEST_ID_BYTES } from "./tcp-data.ts";

const UDP_DATA_HEADER_BYTES = 36;
export const END_MARKER_COPIES = 5;
const PACKET_ID_OFFSET = 16;
const SECONDS_OFFSET = 24;
const NANOSECONDS_OFFSET = 32;
const OMIT_MARK = 0x8000_0000;
const TWO_TO_32 = 2 ** 32;
const NANOSECONDS_PER_SECOND = 1e9;

/** One packet's memory, stamped anew for each send. */
export class UdpPacket {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(testId: TestId, lengthBytes: number) {
    this.bytes = new Uint8Array(lengthBytes);
    this.bytes.set(testId);
    fillPattern(this.bytes, UDP_DATA_HEADER_BYTES);
    this.#view = new DataView(this.bytes.buffer);
  }

  stamp(packetId: number, sentWallSeconds: number, isOmitted: boolean): void {
    const seconds = Math.floor(sentWallSeconds);
    const nanoseconds = Math.floor((sentWallSeconds - seconds) * NANOSECONDS_PER_SECOND);
    this.#setUint64(PACKET_ID_OFFSET, packetId);
    this.#setUint64(SECONDS_OFFSET, seconds);
    this.#view.setUint32(NANOSECONDS_OFFSET, isOmitted ? nanoseconds + OMIT_MARK : nanoseconds);
  }

  #setUint64(offset: number, value: number): void {
    this.#view.setUint32(offset, Math.floor(value / TWO_TO_32));
    this.#view.setUint32(offset + 4, value % TWO_TO_32);
  }
}

/** What a datagram is to the stream whose test id is expected. */
export type DatagramKind = "data" | "end" | "foreign";

export function classifyDatagram(datagram: Uint8Array, testId: TestId): DatagramKind {
  if (datagram.length < TEST_ID_BYTES) return "foreign";
  for (let i = 0; i < TEST_ID_BYTES; i++) if (datagram[i] !== testId[i]) return "foreign";
  if (datagram.length === TEST_ID_BYTES) return "end";
  return datagram.length >= UDP_DATA_HEADER_BYTES ? "data" : "foreign";
}

/** The header of a datagram that `classifyDatagram` called data; one object is reused for every packet. */
export class UdpHeaderReader {
  packetId = 0;
  isOmitted = false;
  /** Sender's clock, seconds since the first packet read: differences of near times keep their nanoseconds. */
  sentSeconds = 0;
  readonly #understandsMark: boolean;
  #baseSeconds: number | null = null;

  constructor(understandsMark: boolean) {
    this.#understandsMark = understandsMark;
  }

  read(datagram: Uint8Array): void {
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
    this.packetId = uint64(view, PACKET_ID_OFFSET);
    const seconds = uint64(view, SECONDS_OFFSET);
    const stamp = view.getUint32(NANOSECONDS_OFFSET);
    this.#baseSeconds ??= seconds;
    this.isOmitted = this.#understandsMark && stamp >= OMIT_MARK;
    const nanoseconds = this.isOmitted ? stamp - OMIT_MARK : stamp;
    this.sentSeconds = seconds - this.#baseSeconds + nanoseconds / NANOSECONDS_PER_SECOND;
  }
}

function uint64(view: DataView, offset: number): number {
  return view.getUint32(offset) * TWO_TO_32 + view.getUint32(offset + 4);
}

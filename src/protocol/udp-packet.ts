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
const BYTES_PER_WORD = 4;
const HEADER_WORDS = UDP_DATA_HEADER_BYTES / BYTES_PER_WORD;
const NANOSECONDS_WORD = NANOSECONDS_OFFSET / BYTES_PER_WORD;
const ID_LOW_WORD = PACKET_ID_OFFSET / BYTES_PER_WORD + 1;
const OMIT_MARK = 0x8000_0000;
const TWO_TO_32 = 2 ** 32;
const NANOSECONDS_PER_SECOND = 1e9;

/** The memory of packets that leave together, one behind the other, stamped anew for each send. */
export class UdpPackets {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Each packet by itself, in the same memory. */
  readonly each: readonly Uint8Array[];
  readonly #lengthBytes: number;
  readonly #view: DataView;
  /** The same memory; its last bytes may be missing. */
  readonly #words: Int32Array;
  /** What the upper halves and the seconds of all packets hold now: they change rarely. */
  #idHigh = 0;
  #seconds = 0;

  constructor(testId: TestId, lengthBytes: number, count: number) {
    this.#lengthBytes = lengthBytes;
    this.bytes = new Uint8Array(new ArrayBuffer(lengthBytes * count));
    this.#view = new DataView(this.bytes.buffer);
    this.#words = new Int32Array(this.bytes.buffer, 0, Math.floor(this.bytes.length / BYTES_PER_WORD));
    this.each = Array.from({ length: count }, (_, i) => this.bytes.subarray(i * lengthBytes, (i + 1) * lengthBytes));
    for (const packet of this.each) {
      packet.set(testId);
      packet.fill(0, TEST_ID_BYTES, UDP_DATA_HEADER_BYTES);
      fillPattern(packet, UDP_DATA_HEADER_BYTES);
    }
  }

  /** The first `count` packets get ids from `firstId` on, and the one time at which they leave. */
  stamp(count: number, firstId: number, sentWallSeconds: number, isOmitted: boolean): void {
    const view = this.#view;
    const seconds = Math.floor(sentWallSeconds);
    const nanoseconds = Math.floor((sentWallSeconds - seconds) * NANOSECONDS_PER_SECOND);
    const marked = isOmitted ? nanoseconds + OMIT_MARK : nanoseconds;
    const idHigh = Math.floor(firstId / TWO_TO_32);
    const idLow = firstId % TWO_TO_32;
    if (seconds !== this.#seconds) this.#setSeconds(seconds);
    // Packets beyond the turn of the lower half are stamped by themselves.
    const untilTurn = Math.min(count, TWO_TO_32 - idLow);
    if (idHigh !== this.#idHigh) this.#setIdHigh(idHigh);
    this.#stampEach(untilTurn, idLow, marked);
    for (let i = untilTurn; i < count; i++) {
      view.setUint32(i * this.#lengthBytes + PACKET_ID_OFFSET, idHigh + 1);
      view.setUint32(i * this.#lengthBytes + PACKET_ID_OFFSET + BYTES_PER_WORD, i - untilTurn);
      view.setUint32(i * this.#lengthBytes + NANOSECONDS_OFFSET, marked);
      this.#idHigh = Number.NaN;
    }
  }

  /** Whole words, where packets lie on their bounds, for the reason given at `UdpPacketReader.followers`. */
  #stampEach(count: number, firstIdLow: number, marked: number): void {
    const strideWords = this.#lengthBytes / BYTES_PER_WORD;
    if (!Number.isInteger(strideWords)) {
      for (let i = 0, at = 0; i < count; i++, at += this.#lengthBytes) {
        this.#view.setUint32(at + PACKET_ID_OFFSET + BYTES_PER_WORD, firstIdLow + i);
        this.#view.setUint32(at + NANOSECONDS_OFFSET, marked);
      }
      return;
    }
    const words = this.#words;
    const stamp = bigEndian(marked);
    for (let i = 0, at = 0; i < count; i++, at += strideWords) {
      words[at + ID_LOW_WORD] = bigEndian(firstIdLow + i);
      words[at + NANOSECONDS_WORD] = stamp;
    }
  }

  #setSeconds(seconds: number): void {
    this.#seconds = seconds;
    for (let at = 0; at < this.bytes.length; at += this.#lengthBytes) {
      this.#view.setUint32(at + SECONDS_OFFSET, Math.floor(seconds / TWO_TO_32));
      this.#view.setUint32(at + SECONDS_OFFSET + 4, seconds % TWO_TO_32);
    }
  }

  #setIdHigh(idHigh: number): void {
    this.#idHigh = idHigh;
    for (let at = 0; at < this.bytes.length; at += this.#lengthBytes) {
      this.#view.setUint32(at + PACKET_ID_OFFSET, idHigh);
    }
  }
}

/** What a datagram is to the stream whose test id is expected. */
export type DatagramKind = "data" | "end" | "foreign";

/** Reads the packets of one stream; the same object tells of one after another. */
export class UdpPacketReader {
  packetId = 0;
  isOmitted = false;
  /** Sender's clock, seconds since the first packet read: differences of near times keep their nanoseconds. */
  sentSeconds = 0;
  readonly #testId: readonly [number, number, number, number];
  readonly #understandsMark: boolean;
  #baseSeconds: number | null = null;

  constructor(testId: TestId, understandsMark: boolean) {
    const view = new DataView(testId.buffer, testId.byteOffset, TEST_ID_BYTES);
    this.#testId = [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
    this.#understandsMark = understandsMark;
  }

  /** Judges the `lengthBytes` of `view` from `at` on and reads the header if they are data. */
  read(view: DataView, at: number, lengthBytes: number): DatagramKind {
    if (lengthBytes < TEST_ID_BYTES || !this.#isOfTest(view, at)) return "foreign";
    if (lengthBytes < UDP_DATA_HEADER_BYTES) return lengthBytes === TEST_ID_BYTES ? "end" : "foreign";
    const seconds = uint64(view, at + SECONDS_OFFSET);
    const stamp = view.getUint32(at + NANOSECONDS_OFFSET);
    this.#baseSeconds ??= seconds;
    this.packetId = uint64(view, at + PACKET_ID_OFFSET);
    this.isOmitted = this.#understandsMark && stamp >= OMIT_MARK;
    const nanoseconds = this.isOmitted ? stamp - OMIT_MARK : stamp;
    this.sentSeconds = seconds - this.#baseSeconds + nanoseconds / NANOSECONDS_PER_SECOND;
    return "data";
  }

  /**
   * After `read` gave data: how many packets of the same time and mark follow from `from` on, in order and of
   * `lengthBytes` each. `words` is the memory of `view` as well: whole words are compared many times faster while the
   * code is new to the engine, and a receiver that starts must not fall behind.
   */
  followers(view: DataView, words: Int32Array | null, from: number, end: number, lengthBytes: number): number {
    if (words === null || lengthBytes < UDP_DATA_HEADER_BYTES || (from | lengthBytes) % BYTES_PER_WORD !== 0) return 0;
    const strideWords = lengthBytes / BYTES_PER_WORD;
    const first = (from - lengthBytes) / BYTES_PER_WORD;
    const most = Math.floor((end - from) / lengthBytes);
    // Past the turn of the id's lower half every packet is read by itself.
    let id = view.getUint32(from - lengthBytes + PACKET_ID_OFFSET + BYTES_PER_WORD);
    let count = 0;
    for (let at = first + strideWords; count < most && sameButId(words, first, at); at += strideWords) {
      if (bigEndian(words[at + ID_LOW_WORD] ?? 0) !== ++id) break;
      count++;
    }
    return count;
  }

  #isOfTest(view: DataView, at: number): boolean {
    const testId = this.#testId;
    return (
      view.getUint32(at + 12) === testId[3] &&
      view.getUint32(at + 8) === testId[2] &&
      view.getUint32(at + 4) === testId[1] &&
      view.getUint32(at) === testId[0]
    );
  }
}

/** Whether two packets agree in everything but the lower half of their ids. */
function sameButId(words: Int32Array, one: number, other: number): boolean {
  for (let word = 0; word < HEADER_WORDS; word++) {
    if (word !== ID_LOW_WORD && words[one + word] !== words[other + word]) return false;
  }
  return true;
}

/** A word as it lies in memory, read as the network writes it; every system that Bun runs on is little-endian. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

function uint64(view: DataView, offset: number): number {
  return view.getUint32(offset) * TWO_TO_32 + view.getUint32(offset + 4);
}

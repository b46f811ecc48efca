import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DatagramKind, UdpPacketReader, UdpPackets } from "../../../src/protocol/udp-packet.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
const ID_HEX = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
const MARK = 0x8000_0000;

function stamped(lengthBytes: number, packetId: number, sentWallSeconds: number, isOmitted: boolean): Uint8Array {
  const packets = new UdpPackets(TEST_ID, lengthBytes, 1);
  packets.stamp(1, packetId, sentWallSeconds, isOmitted);
  return packets.bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function kindOf(datagram: Uint8Array): DatagramKind {
  return new UdpPacketReader(TEST_ID, false).read(viewOf(datagram), 0, datagram.length);
}

/** Reads one whole datagram, which must be data. */
function readData(reader: UdpPacketReader, datagram: Uint8Array): void {
  expect(reader.read(viewOf(datagram), 0, datagram.length)).toBe("data");
}

/** As a sender with whole nanoseconds of its own writes it (the original). */
function written(packetId: bigint, seconds: bigint, nanoseconds: number): Uint8Array {
  const bytes = new Uint8Array(36);
  bytes.set(TEST_ID);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(16, packetId);
  view.setBigUint64(24, seconds);
  view.setUint32(32, nanoseconds);
  return bytes;
}

describe("the bytes of a stamped packet", () => {
  // 1,700,000,000 s = 0x6553f100; 0.5 s = 500,000,000 ns = 0x1dcd6500, with the mark 0x9dcd6500.
  test.each([
    ["the first", 0, 1_700_000_000.5, false, "0000000000000000", "000000006553f100", "1dcd6500"],
    ["omitted", 1, 1_700_000_000.5, true, "0000000000000001", "000000006553f100", "9dcd6500"],
    ["a whole second", 258, 1_700_000_000, false, "0000000000000102", "000000006553f100", "00000000"],
    ["a whole second, omitted", 258, 1_700_000_000, true, "0000000000000102", "000000006553f100", "80000000"],
    ["an id of 2^32 - 1", 2 ** 32 - 1, 1, false, "00000000ffffffff", "0000000000000001", "00000000"],
    ["an id of 2^32", 2 ** 32, 1, false, "0000000100000000", "0000000000000001", "00000000"],
    ["an id of 2^53 - 1", 2 ** 53 - 1, 1, false, "001fffffffffffff", "0000000000000001", "00000000"],
    ["seconds beyond 2^32", 0, 2 ** 32 + 0.25, false, "0000000000000000", "0000000100000000", "0ee6b280"],
  ] as const)("%s", (_name, packetId, seconds, isOmitted, idHex, secondsHex, nanosecondsHex) => {
    const bytes = stamped(40, packetId, seconds, isOmitted);
    // Bytes 36 to 39 hold their index.
    expect(Buffer.from(bytes).toString("hex")).toBe(`${ID_HEX}${idHex}${secondsHex}${nanosecondsHex}24252627`);
  });

  test("the pattern goes round behind byte 255, in each packet anew, and stays through stamps", () => {
    const packets = new UdpPackets(TEST_ID, 600, 3);
    packets.stamp(3, 2 ** 40, 1e9, true);
    packets.stamp(2, 1, 1e9, false);
    for (const packet of packets.each) {
      expect([...packet.subarray(36)]).toEqual(Array.from({ length: 564 }, (_, index) => (index + 36) % 256));
    }
  });

  test("the packets lie one behind the other in one memory", () => {
    const packets = new UdpPackets(TEST_ID, 50, 4);
    expect(packets.bytes).toHaveLength(200);
    expect(packets.each.map((packet) => [packet.byteOffset - packets.bytes.byteOffset, packet.length])).toEqual([
      [0, 50],
      [50, 50],
      [100, 50],
      [150, 50],
    ]);
    for (const packet of packets.each) expect(packet.buffer).toBe(packets.bytes.buffer);
  });

  test.each([1, 2, 64])("of %d packets, those that leave have ids in a row and one time", (count) => {
    const packets = new UdpPackets(TEST_ID, 40, 64);
    packets.stamp(count, 1000, 1_700_000_000.5, true);
    for (const [index, packet] of packets.each.slice(0, count).entries()) {
      expect(Buffer.compare(packet, stamped(40, 1000 + index, 1_700_000_000.5, true))).toBe(0);
    }
  });

  test("a stamp leaves nothing of those before, whatever they were", () => {
    const ids = fc.oneof(
      fc.maxSafeNat().filter((id) => id < Number.MAX_SAFE_INTEGER - 100),
      fc
        .tuple(fc.integer({ min: 1, max: 2 ** 20 }), fc.integer({ min: -10, max: 10 }))
        .map(([high, low]) => high * 2 ** 32 + low),
    );
    const seconds = fc.oneof(
      fc.double({ min: 0, max: 2 ** 34, noNaN: true }),
      fc.constantFrom(0, 1, 1_700_000_000, 2 ** 32 - 0.5, 2 ** 32, 2 ** 33 + 0.999),
    );
    const stamp = fc.record({ count: fc.integer({ min: 1, max: 8 }), firstId: ids, seconds, isOmitted: fc.boolean() });
    fc.assert(
      // Packets that lie on the bounds of words, and others.
      fc.property(fc.array(stamp, { minLength: 1, maxLength: 10 }), fc.constantFrom(36, 37, 40), (stamps, length) => {
        const packets = new UdpPackets(TEST_ID, length, 8);
        for (const { count, firstId, seconds: sentSeconds, isOmitted } of stamps) {
          packets.stamp(count, firstId, sentSeconds, isOmitted);
          const left = packets.each.slice(0, count).map((packet) => Buffer.from(packet).toString("hex"));
          expect(left).toEqual(
            left.map((_, index) =>
              Buffer.from(stamped(length, firstId + index, sentSeconds, isOmitted)).toString("hex"),
            ),
          );
        }
      }),
    );
  });

  test("ids go on over the turn of their lower half", () => {
    const packets = new UdpPackets(TEST_ID, 36, 4);
    const idsOf = () => packets.each.map((packet) => viewOf(packet).getBigUint64(16));
    packets.stamp(4, 2 ** 32 - 2, 1, false);
    expect(idsOf()).toEqual([2n ** 32n - 2n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n]);
    packets.stamp(4, 2 ** 32 + 2, 1, false);
    expect(idsOf()).toEqual([2n, 3n, 4n, 5n].map((id) => 2n ** 32n + id));
    packets.stamp(4, 7, 1, false);
    expect(idsOf()).toEqual([7n, 8n, 9n, 10n]);
  });

  test("nanoseconds are below 10^9 whatever the time", () => {
    const times = fc.oneof(
      fc.double({ min: 0, max: 4e9, noNaN: true }),
      fc.constantFrom(0, 1 - 2 ** -53, 1_700_000_000 - 2 ** -22, 1_700_000_000 + 2 ** -22),
    );
    fc.assert(
      fc.property(times, fc.boolean(), (seconds, isOmitted) => {
        const stamp = new DataView(stamped(36, 0, seconds, isOmitted).buffer).getUint32(32);
        expect(stamp >= MARK).toBe(isOmitted);
        expect(isOmitted ? stamp - MARK : stamp).toBeLessThan(1e9);
      }),
    );
  });
});

describe("what a datagram is", () => {
  const data = stamped(64, 7, 1, false);
  const foreign = Uint8Array.from(data);
  foreign[15] = 0;
  test.each<[string, DatagramKind, Uint8Array]>([
    ["nothing", "foreign", new Uint8Array()],
    ["fifteen bytes of the test id", "foreign", TEST_ID.slice(0, 15)],
    ["the test id alone", "end", TEST_ID],
    ["another test id alone", "foreign", foreign.slice(0, 16)],
    ["the test id and a byte", "foreign", data.slice(0, 17)],
    ["a byte less than a header", "foreign", data.slice(0, 35)],
    ["a header alone", "data", data.slice(0, 36)],
    ["a whole packet", "data", data],
    ["a whole packet of another test", "foreign", foreign],
  ])("%s is %s", (_name, kind, datagram) => {
    expect(kindOf(datagram)).toBe(kind);
  });

  test("each byte of the test id counts", () => {
    for (let index = 0; index < 16; index++) {
      const changed = Uint8Array.from(data);
      changed[index] = (changed[index] ?? 0) ^ 0x80;
      expect(kindOf(changed)).toBe("foreign");
    }
  });

  test("the test id may be part of a larger memory", () => {
    const slab = new Uint8Array(50).fill(0xee);
    slab.set(TEST_ID, 17);
    const reader = new UdpPacketReader(slab.subarray(17, 33), false);
    expect(reader.read(viewOf(data), 0, data.length)).toBe("data");
    expect(reader.read(viewOf(foreign), 0, foreign.length)).toBe("foreign");
  });

  test("what lies behind a packet in the same memory is no part of it", () => {
    const slab = new Uint8Array(100);
    slab.set(data, 10);
    const reader = new UdpPacketReader(TEST_ID, false);
    const kinds = [15, 16, 17, 35, 36].map((lengthBytes) => reader.read(viewOf(slab), 10, lengthBytes));
    expect(kinds).toEqual(["foreign", "end", "foreign", "foreign", "data"]);
  });

  test("what is foreign or an end changes nothing of the packet read last", () => {
    const reader = new UdpPacketReader(TEST_ID, true);
    readData(reader, stamped(36, 77, 9.5, true));
    for (const other of [foreign, TEST_ID]) reader.read(viewOf(other), 0, other.length);
    expect(reader).toMatchObject({ packetId: 77, sentSeconds: 0.5, isOmitted: true });
  });
});

describe("the header", () => {
  test.each([
    [true, true, true],
    [true, false, false],
    [false, false, false],
  ])("understands marks: %p, marked: %p → omitted: %p", (understands, marked, isOmitted) => {
    const reader = new UdpPacketReader(TEST_ID, understands);
    readData(reader, stamped(36, 2 ** 32 + 5, 1000.25, marked));
    expect(reader).toMatchObject({ packetId: 2 ** 32 + 5, isOmitted, sentSeconds: 0.25 });
  });

  test("where marks are not understood the nanoseconds are read as the original reads them", () => {
    const reader = new UdpPacketReader(TEST_ID, false);
    readData(reader, written(0n, 50n, 1));
    readData(reader, written(1n, 50n, MARK + 1));
    expect(reader.isOmitted).toBe(false);
    expect(reader.sentSeconds).toBe((MARK + 1) / 1e9);
  });

  test("a marked and an unmarked packet of one time read the same time", () => {
    const reader = new UdpPacketReader(TEST_ID, true);
    readData(reader, stamped(36, 0, 1_700_000_000.5, true));
    const marked = reader.sentSeconds;
    readData(reader, stamped(36, 1, 1_700_000_000.5, false));
    expect(reader.sentSeconds).toBe(marked);
  });

  test("reads at the offset of a view into a larger buffer", () => {
    const slab = new Uint8Array(200).fill(0xff);
    slab.set(stamped(36, 77, 9.5, false), 101);
    const reader = new UdpPacketReader(TEST_ID, true);
    expect(reader.read(viewOf(slab), 101, 36)).toBe("data");
    expect(reader).toMatchObject({ packetId: 77, sentSeconds: 0.5, isOmitted: false });
    readData(reader, slab.subarray(101, 137));
    expect(reader).toMatchObject({ packetId: 77, sentSeconds: 0.5, isOmitted: false });
  });

  test("time may go back to before the first packet", () => {
    const reader = new UdpPacketReader(TEST_ID, false);
    readData(reader, written(1n, 100n, 0));
    readData(reader, written(0n, 99n, 500_000_000));
    expect(reader.sentSeconds).toBe(-0.5);
  });

  test("differences keep their nanoseconds", () => {
    const nanoseconds = fc.nat({ max: 999_999_999 });
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 31 - 1 }),
        nanoseconds,
        fc.nat({ max: 3600 }),
        nanoseconds,
        fc.boolean(),
        (seconds, first, laterSeconds, second, isMarked) => {
          const reader = new UdpPacketReader(TEST_ID, true);
          const mark = isMarked ? MARK : 0;
          readData(reader, written(0n, BigInt(seconds), first + mark));
          const before = reader.sentSeconds;
          readData(reader, written(1n, BigInt(seconds + laterSeconds), second + mark));
          const exactNanoseconds = laterSeconds * 1e9 + second - first;
          expect(Math.abs((reader.sentSeconds - before) * 1e9 - exactNanoseconds)).toBeLessThan(0.01);
          expect(reader.isOmitted).toBe(isMarked);
        },
      ),
    );
  });

  test("what stamp wrote is read back: ids exactly, times to what a double holds", () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.double({ min: 1_600_000_000, max: 4_000_000_000, noNaN: true }),
        fc.boolean(),
        (packetId, seconds, isOmitted) => {
          const reader = new UdpPacketReader(TEST_ID, true);
          readData(reader, stamped(36, packetId, seconds, isOmitted));
          expect(reader.packetId).toBe(packetId);
          expect(reader.isOmitted).toBe(isOmitted);
          // The first packet's whole seconds are the base; below 2^32 a double's fraction is exact to 2^-21 s.
          expect(Math.abs(reader.sentSeconds - (seconds - Math.floor(seconds)))).toBeLessThan(1.1e-9);
        },
      ),
    );
  });
});

describe("followers", () => {
  const LENGTH = 40;

  function batch(count: number, firstId: number, isOmitted = false): UdpPackets {
    const packets = new UdpPackets(TEST_ID, LENGTH, count);
    packets.stamp(count, firstId, 1_700_000_000.25, isOmitted);
    return packets;
  }

  /** At the beginning of a memory of its own. */
  function memoryOf(...parts: readonly Uint8Array[]) {
    const bytes = new Uint8Array(Math.ceil(parts.reduce((sum, part) => sum + part.length, 0) / 4) * 4);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return { view: viewOf(bytes), words: new Int32Array(bytes.buffer), end: at };
  }

  function followersOf(bytes: Uint8Array, lengthBytes = LENGTH): number {
    const { view, words, end } = memoryOf(bytes);
    const reader = new UdpPacketReader(TEST_ID, true);
    expect(reader.read(view, 0, lengthBytes)).toBe("data");
    return reader.followers(view, words, lengthBytes, end, lengthBytes);
  }

  test.each([1, 2, 3, 64])("a batch of %d: all but the first", (count) => {
    expect(followersOf(batch(count, 5).bytes)).toBe(count - 1);
  });

  test("the last one may be cut short, and is not among them", () => {
    const { bytes } = batch(4, 5);
    for (let cut = 1; cut <= LENGTH; cut++) expect(followersOf(bytes.subarray(0, 4 * LENGTH - cut))).toBe(2);
  });

  test("an end marker behind them is not among them", () => {
    const { bytes } = batch(3, 5);
    expect(followersOf(Uint8Array.of(...bytes, ...TEST_ID))).toBe(2);
  });

  test("the smallest packets of all", () => {
    const packets = new UdpPackets(TEST_ID, 36, 5);
    packets.stamp(5, 0, 1, false);
    expect(followersOf(packets.bytes, 36)).toBe(4);
  });

  test("without words, and off their bounds, there are none: each packet is read by itself", () => {
    const { view, words, end } = memoryOf(batch(3, 5).bytes);
    const reader = new UdpPacketReader(TEST_ID, true);
    reader.read(view, 0, LENGTH);
    expect(reader.followers(view, null, LENGTH, end, LENGTH)).toBe(0);
    expect(reader.followers(view, words, LENGTH, end, LENGTH)).toBe(2);
    const odd = new UdpPackets(TEST_ID, 41, 3);
    odd.stamp(3, 5, 1, false);
    expect(followersOf(odd.bytes, 41)).toBe(0);
  });

  test.each(Array.from({ length: 36 }, (_, index) => index))(
    "byte %d of a header ends them when it is another",
    (index) => {
      for (const spoiled of [1, 2, 3]) {
        const { bytes, each } = batch(4, 5);
        const packet = each[spoiled] ?? new Uint8Array();
        packet[index] = (packet[index] ?? 0) ^ 0x80;
        expect(followersOf(bytes)).toBe(spoiled - 1);
      }
    },
  );

  test("those over the turn of the ids' lower half are left to be read by themselves", () => {
    const { view, words, end } = memoryOf(batch(4, 2 ** 32 - 2).bytes);
    const reader = new UdpPacketReader(TEST_ID, true);
    reader.read(view, 0, LENGTH);
    expect(reader.followers(view, words, LENGTH, end, LENGTH)).toBe(1);
    reader.read(view, 2 * LENGTH, LENGTH);
    expect(reader.packetId).toBe(2 ** 32);
    expect(reader.followers(view, words, 3 * LENGTH, end, LENGTH)).toBe(1);
  });

  test("what is read with followers is what is read one by one", () => {
    const piece = fc.record({
      count: fc.integer({ min: 1, max: 5 }),
      firstId: fc.oneof(fc.nat({ max: 10 }), fc.integer({ min: 2 ** 32 - 6, max: 2 ** 32 + 1 })),
      seconds: fc.constantFrom(100, 100.5, 101),
      isOmitted: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        fc.constantFrom(36, 37, 40),
        (pieces, understandsMark, lengthBytes) => {
          const { view, words, end } = memoryOf(
            ...pieces.map(({ count, firstId, seconds, isOmitted }) => {
              const packets = new UdpPackets(TEST_ID, lengthBytes, count);
              packets.stamp(count, firstId, seconds, isOmitted);
              return packets.bytes;
            }),
          );
          const single = new UdpPacketReader(TEST_ID, understandsMark);
          const expected: unknown[] = [];
          for (let at = 0; at < end; at += lengthBytes) {
            expect(single.read(view, at, lengthBytes)).toBe("data");
            expected.push([single.packetId, single.sentSeconds, single.isOmitted]);
          }
          const grouped = new UdpPacketReader(TEST_ID, understandsMark);
          const read: unknown[] = [];
          for (let at = 0; at < end;) {
            grouped.read(view, at, lengthBytes);
            at += lengthBytes;
            const followers = grouped.followers(view, words, at, end, lengthBytes);
            at += followers * lengthBytes;
            for (let i = 0; i <= followers; i++) {
              read.push([grouped.packetId + i, grouped.sentSeconds, grouped.isOmitted]);
            }
          }
          expect(read).toEqual(expected);
        },
      ),
    );
  });
});

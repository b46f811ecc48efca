import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { classifyDatagram, type DatagramKind, UdpHeaderReader, UdpPacket } from "../../../src/protocol/udp-packet.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
const ID_HEX = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
const MARK = 0x8000_0000;

function stamped(lengthBytes: number, packetId: number, sentWallSeconds: number, isOmitted: boolean): Uint8Array {
  const packet = new UdpPacket(TEST_ID, lengthBytes);
  packet.stamp(packetId, sentWallSeconds, isOmitted);
  return packet.bytes;
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

  test("the pattern goes round behind byte 255 and stays through stamps", () => {
    const packet = new UdpPacket(TEST_ID, 600);
    packet.stamp(2 ** 40, 1e9, true);
    packet.stamp(1, 1e9, false);
    expect([...packet.bytes.subarray(36)]).toEqual(Array.from({ length: 564 }, (_, index) => (index + 36) % 256));
  });

  test("a stamp leaves nothing of the one before", () => {
    const packet = new UdpPacket(TEST_ID, 36);
    packet.stamp(2 ** 53 - 1, 2 ** 33 + 0.999, true);
    packet.stamp(3, 5.5, false);
    expect(Buffer.compare(packet.bytes, stamped(36, 3, 5.5, false))).toBe(0);
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

describe("classifyDatagram", () => {
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
    expect(classifyDatagram(datagram, TEST_ID)).toBe(kind);
  });

  test("each byte of the test id counts", () => {
    for (let index = 0; index < 16; index++) {
      const changed = Uint8Array.from(data);
      changed[index] = (changed[index] ?? 0) ^ 0x80;
      expect(classifyDatagram(changed, TEST_ID)).toBe("foreign");
    }
  });
});

describe("UdpHeaderReader", () => {
  test.each([
    [true, true, true],
    [true, false, false],
    [false, false, false],
  ])("understands marks: %p, marked: %p → omitted: %p", (understands, marked, isOmitted) => {
    const reader = new UdpHeaderReader(understands);
    reader.read(stamped(36, 2 ** 32 + 5, 1000.25, marked));
    expect(reader).toMatchObject({ packetId: 2 ** 32 + 5, isOmitted, sentSeconds: 0.25 });
  });

  test("where marks are not understood the nanoseconds are read as the original reads them", () => {
    const reader = new UdpHeaderReader(false);
    reader.read(written(0n, 50n, 1));
    reader.read(written(1n, 50n, MARK + 1));
    expect(reader.isOmitted).toBe(false);
    expect(reader.sentSeconds).toBe((MARK + 1) / 1e9);
  });

  test("a marked and an unmarked packet of one time read the same time", () => {
    const reader = new UdpHeaderReader(true);
    reader.read(stamped(36, 0, 1_700_000_000.5, true));
    const marked = reader.sentSeconds;
    reader.read(stamped(36, 1, 1_700_000_000.5, false));
    expect(reader.sentSeconds).toBe(marked);
  });

  test("reads at the offset of a view into a larger buffer", () => {
    const slab = new Uint8Array(200).fill(0xff);
    slab.set(stamped(36, 77, 9.5, false), 101);
    const reader = new UdpHeaderReader(true);
    reader.read(slab.subarray(101, 137));
    expect(reader).toMatchObject({ packetId: 77, sentSeconds: 0.5, isOmitted: false });
  });

  test("time may go back to before the first packet", () => {
    const reader = new UdpHeaderReader(false);
    reader.read(written(1n, 100n, 0));
    reader.read(written(0n, 99n, 500_000_000));
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
          const reader = new UdpHeaderReader(true);
          const mark = isMarked ? MARK : 0;
          reader.read(written(0n, BigInt(seconds), first + mark));
          const before = reader.sentSeconds;
          reader.read(written(1n, BigInt(seconds + laterSeconds), second + mark));
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
          const reader = new UdpHeaderReader(true);
          reader.read(stamped(36, packetId, seconds, isOmitted));
          expect(reader.packetId).toBe(packetId);
          expect(reader.isOmitted).toBe(isOmitted);
          // The first packet's whole seconds are the base; below 2^32 a double's fraction is exact to 2^-21 s.
          expect(Math.abs(reader.sentSeconds - (seconds - Math.floor(seconds)))).toBeLessThan(1.1e-9);
        },
      ),
    );
  });
});

import { describe, expect, test } from "bun:test";
import { type CapturedPacket, mainFlow, parsePcap } from "../../bench/pcap.ts";

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;

interface FileOptions {
  readonly littleEndian?: boolean;
  readonly magic?: number;
  readonly linkType?: number;
}

interface RecordOptions {
  readonly seconds: number;
  readonly fraction: number;
  readonly frame: Uint8Array;
  /** As long as the frame unless told: the capture may hold less than there was. */
  readonly wireBytes?: number;
}

function fileOf(records: readonly RecordOptions[], options: FileOptions = {}): Uint8Array {
  const { littleEndian = true, magic = NANOSECONDS, linkType = 1 } = options;
  const words = (...values: number[]) => {
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    for (const [index, value] of values.entries()) view.setUint32(index * 4, value, littleEndian);
    return bytes;
  };
  const header = words(magic, 0, 0, 0, 96, linkType);
  const parts = records.flatMap(({ seconds, fraction, frame, wireBytes }) => [
    words(seconds, fraction, frame.length, wireBytes ?? frame.length),
    frame,
  ]);
  return Buffer.concat([header, ...parts]);
}

/** Ethernet, IPv4 with `optionBytes` of options, and UDP with `payloadBytes` of zeros. */
function udpFrame(sourcePort: number, destinationPort: number, payloadBytes: number, optionBytes = 0): Uint8Array {
  const frame = ipFrame(17, 8 + payloadBytes, optionBytes);
  const view = new DataView(frame.buffer);
  view.setUint16(34 + optionBytes, sourcePort);
  view.setUint16(36 + optionBytes, destinationPort);
  return frame;
}

function tcpFrame(sourcePort: number, destinationPort: number, headerBytes: number, payloadBytes: number): Uint8Array {
  const frame = ipFrame(6, headerBytes + payloadBytes, 0);
  const view = new DataView(frame.buffer);
  view.setUint16(34, sourcePort);
  view.setUint16(36, destinationPort);
  view.setUint8(46, (headerBytes / 4) << 4);
  return frame;
}

function ipFrame(protocol: number, transportBytes: number, optionBytes: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(34 + optionBytes + transportBytes);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x40 | (5 + optionBytes / 4));
  view.setUint8(23, protocol);
  return frame;
}

const packetOf = (overrides: Partial<CapturedPacket>): CapturedPacket => ({
  family: "udp",
  atNanoseconds: 0,
  sourcePort: 1,
  destinationPort: 2,
  payloadBytes: 1,
  ...overrides,
});

describe("captures", () => {
  test("UDP and TCP, in the order of the file, with times since its first second", () => {
    const file = fileOf([
      { seconds: 1_700_000_000, fraction: 999_999_999, frame: udpFrame(4000, 5000, 100) },
      { seconds: 1_700_000_001, fraction: 1, frame: tcpFrame(4001, 5001, 32, 7) },
      { seconds: 1_700_000_001, fraction: 1, frame: tcpFrame(5001, 4001, 20, 0) },
    ]);
    expect(parsePcap(file)).toEqual({
      originUnixSeconds: 1_700_000_000,
      packets: [
        { family: "udp", atNanoseconds: 999_999_999, sourcePort: 4000, destinationPort: 5000, payloadBytes: 100 },
        { family: "tcp", atNanoseconds: 1_000_000_001, sourcePort: 4001, destinationPort: 5001, payloadBytes: 7 },
        { family: "tcp", atNanoseconds: 1_000_000_001, sourcePort: 5001, destinationPort: 4001, payloadBytes: 0 },
      ],
    });
  });

  test.each<[string, FileOptions, number]>([
    ["little-endian nanoseconds", { littleEndian: true, magic: NANOSECONDS }, 123_456],
    ["big-endian nanoseconds", { littleEndian: false, magic: NANOSECONDS }, 123_456],
    ["little-endian microseconds", { littleEndian: true, magic: MICROSECONDS }, 123_456_000],
    ["big-endian microseconds", { littleEndian: false, magic: MICROSECONDS }, 123_456_000],
  ])("%s", (_name, options, atNanoseconds) => {
    const { packets, originUnixSeconds } = parsePcap(
      fileOf([{ seconds: 9, fraction: 123_456, frame: udpFrame(1, 2, 3) }], options),
    );
    expect(originUnixSeconds).toBe(9);
    expect(packets).toEqual([packetOf({ atNanoseconds, payloadBytes: 3 })]);
  });

  test("a packet cut by the snap length tells its length on the wire, an offloaded one's beyond 64 KiB too", () => {
    const frame = udpFrame(1, 2, 1000);
    const cut = frame.subarray(0, 96);
    const file = fileOf([
      { seconds: 1, fraction: 0, frame: cut, wireBytes: frame.length },
      { seconds: 1, fraction: 0, frame: cut, wireBytes: 42 + 180_000 },
    ]);
    expect(parsePcap(file).packets.map(({ payloadBytes }) => payloadBytes)).toEqual([1000, 180_000]);
  });

  test("IPv4 options lie before the ports", () => {
    const file = fileOf([{ seconds: 1, fraction: 0, frame: udpFrame(7, 8, 9, 12) }]);
    expect(parsePcap(file).packets).toEqual([packetOf({ sourcePort: 7, destinationPort: 8, payloadBytes: 9 })]);
  });

  test("what is neither TCP nor UDP over IPv4 is left out", () => {
    const arp = new Uint8Array(60);
    new DataView(arp.buffer).setUint16(12, 0x0806);
    const file = fileOf([
      { seconds: 1, fraction: 0, frame: arp },
      { seconds: 1, fraction: 0, frame: ipFrame(1, 20, 0) },
      { seconds: 1, fraction: 0, frame: udpFrame(1, 2, 0).subarray(0, 38), wireBytes: 42 },
      { seconds: 1, fraction: 0, frame: new Uint8Array() },
    ]);
    expect(parsePcap(file).packets).toEqual([]);
  });

  test("a file without records has no packets", () => {
    expect(parsePcap(fileOf([]))).toEqual({ originUnixSeconds: 0, packets: [] });
  });

  test("an end at any byte within a record is told", () => {
    const one = fileOf([{ seconds: 1, fraction: 0, frame: udpFrame(1, 2, 3) }]);
    const whole = fileOf([
      { seconds: 1, fraction: 0, frame: udpFrame(1, 2, 3) },
      { seconds: 2, fraction: 0, frame: udpFrame(1, 2, 3) },
    ]);
    for (let end = one.length + 1; end < whole.length; end += 1) {
      expect(() => parsePcap(whole.subarray(0, end))).toThrow(/ends within a record/);
    }
    expect(parsePcap(whole.subarray(0, one.length)).packets).toHaveLength(1);
  });

  test("what is no capture is refused", () => {
    expect(() => parsePcap(new Uint8Array())).toThrow("shorter than its header");
    expect(() => parsePcap(fileOf([], { magic: 0x0a0d0d0a }))).toThrow("unknown magic number");
    expect(() => parsePcap(fileOf([], { linkType: 113 }))).toThrow("link type 113");
  });
});

describe("the main flow", () => {
  test("is the direction between two ports with the most bytes, not packets", () => {
    const many = Array.from({ length: 10 }, () => packetOf({ sourcePort: 9, payloadBytes: 10 }));
    const back = packetOf({ sourcePort: 2, destinationPort: 1, payloadBytes: 400 });
    const large = [packetOf({ payloadBytes: 300 }), packetOf({ atNanoseconds: 5, payloadBytes: 300 })];
    expect(mainFlow([...many, large[0] ?? back, back, large[1] ?? back])).toEqual(large);
  });

  test("of nothing is nothing", () => {
    expect(mainFlow([])).toEqual([]);
  });
});

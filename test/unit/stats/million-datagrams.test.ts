// A million datagrams of a bad network, and of somebody who forges some, through what reads and counts them, as a receiver
// does it: every count is that of an oracle.
//
//   RPERF_DATAGRAM_SEED=… RPERF_DATAGRAMS=… bun .ci/test.ts test/unit/stats/million-datagrams.test.ts
import { expect, setDefaultTimeout, test } from "bun:test";

import { type DatagramKind, UdpPacketReader } from "../../../src/protocol/udp-packet.ts";
import { UdpReceiveStats } from "../../../src/stats/udp-receive.ts";
import { countOf, Random, seedOf } from "../../support/random.ts";
import { ReceiveOracle } from "./receive-oracle.ts";

setDefaultTimeout(300_000);

const DATAGRAMS = countOf("RPERF_DATAGRAMS", 1_000_000);
const LENGTH_BYTES = 40;
const FRAMED_BYTES = LENGTH_BYTES + 8;
/** Below that many gaps the meter forgets none, and extents are exact. */
const MOST_STREAM_PACKETS = 30_000;
const WINDOW = 2 ** 20;

/** What happens to the packets of one stream, each in so many of a thousand. */
interface Network {
  readonly lossPerMille: number;
  readonly duplicatesPerMille: number;
  readonly reorderedPerMille: number;
  /** By how many packets one may be late. */
  readonly latest: number;
  /** Somebody else sends with the test's id, or without it. */
  readonly forgedPerMille: number;
  /** Whole runs of ids never arrive: of so many packets. */
  readonly outages: number;
  readonly longestOutage: number;
}

function networkOf(random: Random): Network {
  return {
    lossPerMille: random.pick([0, 1, 20, 200, 500]),
    duplicatesPerMille: random.pick([0, 1, 50, 300]),
    reorderedPerMille: random.pick([0, 1, 50, 300]),
    latest: random.pick([2, 20, 500, 5_000]),
    forgedPerMille: random.pick([0, 0, 2, 20]),
    outages: random.pick([0, 0, 1, 5]),
    longestOutage: random.pick([10, 2_000, WINDOW - 1, WINDOW + 2, 2 ** 31, 2 ** 40]),
  };
}

/** What arrives: a data packet of an id, or bytes that are none. */
type Arrival =
  { readonly id: number; readonly isOmitted: boolean } | { readonly kind: DatagramKind; readonly length: number };

interface Stream {
  readonly arrivals: readonly Arrival[];
  readonly sentPackets: number;
  readonly omittedPackets: number;
}

function streamOf(random: Random, packets: number): Stream {
  const network = networkOf(random);
  const chance = (perMille: number) => random.below(1_000) < perMille;
  const omitted = random.oneIn(3) ? random.below(packets) : 0;
  const outages = new Set(Array.from({ length: network.outages }, () => random.below(packets)));
  const timed: { readonly arrival: Arrival; readonly at: number }[] = [];
  let id = 0;
  let omittedPackets = 0;
  for (let count = 0; count < packets; count += 1, id += 1) {
    if (outages.has(count)) id += random.between(1, network.longestOutage);
    const isOmitted = count < omitted;
    if (isOmitted) omittedPackets = id + 1;
    if (chance(network.lossPerMille)) continue;
    const copies = chance(network.duplicatesPerMille) ? random.between(2, 4) : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const delay = chance(network.reorderedPerMille) || copy > 0 ? random.below(network.latest) : 0;
      timed.push({ arrival: { id, isOmitted }, at: count + delay });
    }
    if (chance(network.forgedPerMille))
      for (const arrival of forged(random, id, omittedPackets)) timed.push({ arrival, at: count });
  }
  return {
    arrivals: timed.toSorted((a, b) => a.at - b.at).map(({ arrival }) => arrival),
    sentPackets: id,
    omittedPackets,
  };
}

/**
 * Far ids, alone and in company, old ids, and what is no data. Marks that contradict the sender's number stand, and no
 * oracle of numbers could follow: where time is omitted, none are believed but those marked as the sender's own.
 */
function forged(random: Random, id: number, omittedPackets: number): readonly Arrival[] {
  // Apart from each other, so that none bears another out by chance.
  const far = id + WINDOW + random.pick([0, 5_000, 2 ** 33, 2 ** 52]) + random.below(2 ** 30) * 2_048;
  switch (random.below(6)) {
    case 0:
      return [{ id: far, isOmitted: false }];
    case 1:
      return random.oneIn(20) && omittedPackets === 0
        ? [far, far + random.pick([-1_025, -1_024, -1, 0, 1, 1_024, 1_025])].map((id) => ({ id, isOmitted: false }))
        : [{ id: 2 ** 63, isOmitted: false }];
    case 2: {
      const old = random.below(id + 1);
      return [{ id: old, isOmitted: old < omittedPackets }];
    }
    case 3:
      return [{ kind: "end", length: 16 }];
    case 4:
      return [{ kind: "foreign", length: random.pick([0, 1, 15, 17, 24, 35]) }];
    default:
      return [{ kind: "foreign", length: random.between(16, 60) + 100 }];
  }
}

/** Lays packets one behind the other as an offloading kernel hands them over, and reads them as a receiver. */
class Reading {
  readonly #testId: Uint8Array;
  readonly #packets: UdpPacketReader;
  readonly #memory = new ArrayBuffer(64 * LENGTH_BYTES);
  readonly #bytes = new Uint8Array(this.#memory);
  readonly #view = new DataView(this.#memory);
  readonly #words = new Int32Array(this.#memory);
  readonly stats = new UdpReceiveStats();

  constructor(testId: Uint8Array) {
    this.#testId = testId;
    this.#packets = new UdpPacketReader(testId, true);
  }

  /** No data: the first byte of all but end markers, and of what is too short, is another test's. */
  readOther(kind: DatagramKind, length: number): void {
    this.#bytes.set(this.#testId);
    if (length > 100) this.#bytes[0] = (this.#testId[0] ?? 0) ^ 1;
    expect(this.#packets.read(this.#view, 0, length > 100 ? length - 100 : length)).toBe(kind);
  }

  readGroup(group: readonly { readonly id: number; readonly isOmitted: boolean }[], atSeconds: number): void {
    for (const [index, { id, isOmitted }] of group.entries()) {
      const at = index * LENGTH_BYTES;
      this.#bytes.set(this.#testId, at);
      this.#view.setBigUint64(at + 16, BigInt(id));
      this.#view.setBigUint64(at + 24, BigInt(1_700_000_000 + Math.floor(atSeconds)));
      this.#view.setUint32(at + 32, isOmitted ? 0x8000_0001 : 1);
    }
    const end = group.length * LENGTH_BYTES;
    for (let at = 0; at < end;) {
      if (this.#packets.read(this.#view, at, LENGTH_BYTES) !== "data")
        throw new Error("a data packet is not seen as one");
      at += LENGTH_BYTES;
      const followers = this.#packets.followers(this.#view, this.#words, at, end, LENGTH_BYTES);
      at += followers * LENGTH_BYTES;
      const { packetId, sentSeconds, isOmitted } = this.#packets;
      const packet = { packetId, sentSeconds, receivedSeconds: atSeconds, framedBytes: FRAMED_BYTES, isOmitted };
      this.stats.add(packet);
      if (followers > 0) this.stats.addFollowers(packet, followers);
    }
  }
}

/** False where there is no saying what the books should hold. */
function expectSame({ arrivals, sentPackets, omittedPackets }: Stream, random: Random): boolean {
  const reading = new Reading(random.bytes(16));
  const oracle = new ReceiveOracle();
  const mostTogether = random.pick([1, 3, 62]);
  const intervalEvery = random.pick([50, 3_000, 100_000]);
  const expectSameInterval = () => {
    const { packetsReceived, packetsOutOfOrder, packetsDuplicated, packetsLost, bytesReceived } = reading.stats.take(
      0,
      1,
      null,
    );
    expect({ packetsReceived, packetsOutOfOrder, packetsDuplicated, packetsLost }).toEqual(oracle.takeInterval());
    expect(bytesReceived).toBe(packetsReceived * FRAMED_BYTES);
  };
  for (let index = 0, read = 0; index < arrivals.length; read += 1) {
    const group: { readonly id: number; readonly isOmitted: boolean }[] = [];
    const size = random.between(1, mostTogether);
    for (let arrival = arrivals[index]; arrival !== undefined && group.length < size; arrival = arrivals[++index]) {
      if ("id" in arrival) {
        group.push(arrival);
        continue;
      }
      if (group.length > 0) break;
      reading.readOther(arrival.kind, arrival.length);
    }
    reading.readGroup(group, read / 1_000);
    for (const packet of group) oracle.packet(packet);
    if (read % intervalEvery === intervalEvery - 1) expectSameInterval();
  }
  expectSameInterval();
  const sent = random.oneIn(4) ? null : sentPackets;
  const [books, expected] = [reading.stats.books(sent, omittedPackets), oracle.books(sent, omittedPackets)];
  if (sent !== null) expect(books.packetsUnique + books.packetsLost).toBe(books.packetsSent ?? NaN);
  // Forged ids that bore each other out led the window past the sender's own number: then only the sum holds.
  if (sent !== null && oracle.hasLeft(sent)) return false;
  const close = (value: number | null) => (value === null ? null : expect.closeTo(value, 6));
  expect(books).toEqual({
    ...expected,
    reordering: { ...expected.reordering, meanExtentPackets: close(expected.reordering.meanExtentPackets) },
    bursts: { ...expected.bursts, meanPackets: close(expected.bursts.meanPackets) },
  });
  return true;
}

test(`${DATAGRAMS} datagrams are counted as an oracle counts them`, () => {
  const seed = seedOf("RPERF_DATAGRAM_SEED");
  const random = new Random(seed);
  let count = 0;
  let streams = 0;
  let misled = 0;
  for (; count < DATAGRAMS; streams += 1) {
    const stream = streamOf(random, random.oneIn(4) ? random.between(1, 300) : random.between(1, MOST_STREAM_PACKETS));
    try {
      if (!expectSame(stream, random)) misled += 1;
    } catch (cause) {
      console.error(cause);
      throw new Error(`stream ${streams} of seed ${seed}, datagrams ${count} on`, { cause });
    }
    count += stream.arrivals.length;
  }
  console.log(`  ${count} datagrams of ${streams} streams, ${misled} of them led astray by forged ids`);
  expect(misled).toBeLessThan(streams / 4);
  expect(count).toBeGreaterThanOrEqual(DATAGRAMS);
});

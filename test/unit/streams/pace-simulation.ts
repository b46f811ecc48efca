// A sender on simulated time, as the tests of the pacer need it.
import type { SenderSpec } from "../../../src/streams/spec.ts";
import { type Pace, Pacer } from "../../../src/streams/pacer.ts";
import { paceOf } from "../../../src/streams/pace-plan.ts";
import { connectTo, NO_PATH } from "./recorder.ts";

/** Products of times differ from whole bytes in their last digits. */
export const ROUNDING_BYTES = 0.01;
/** Bytes that a packet of the default length counts. */
export const DEFAULT_UNIT_BYTES = 1024 + 8;
/** What one call of a UDP sender may hold, whatever the packets' length. */
const MOST_BATCH_PACKETS = 64;
const MOST_DATAGRAM_BYTES = 65_507;

export interface Sending {
  readonly atSeconds: number;
  readonly bytes: number;
}

export interface Course {
  /** How late each wake-up is. */
  readonly lateSeconds?: (wakeUp: number, dueSeconds: number) => number;
  /** Where to begin, all being sent that was due before. */
  readonly fromSeconds?: number;
}

/** Everything sent, in whole units, at its time; behind the end what late wake-ups left is sent as well. */
export function simulate(pace: Pace, { lateSeconds = () => 0, fromSeconds = 0 }: Course = {}): Sending[] {
  const { unitBytes } = pace;
  const pacer = new Pacer(pace);
  const sendings: Sending[] = [];
  let now = fromSeconds;
  let sentBytes = wholeUnits(pace.bandwidthBytesPerSecond * fromSeconds, unitBytes);
  for (let wakeUp = 0; ;) {
    const bytes = wholeUnits(pacer.dueBytes(now, sentBytes), unitBytes);
    if (bytes > 0) {
      sendings.push({ atSeconds: now, bytes });
      sentBytes += bytes;
      pacer.sent(now, bytes);
      continue;
    }
    const isOver = now >= pace.durationSeconds;
    if (isOver && wholeUnits(pacer.owedBytes(now, sentBytes), unitBytes) === 0) return sendings;
    const next = pacer.nextSeconds(now, sentBytes);
    if (!(next > now)) throw new Error(`at ${now} s the next look is to be at ${next} s`);
    now = next + lateSeconds(wakeUp++, next);
  }
}

function wholeUnits(bytes: number, unitBytes: number): number {
  return Math.max(0, Math.floor((bytes + ROUNDING_BYTES) / unitBytes)) * unitBytes;
}

export function totalOf(sendings: readonly Sending[]): number {
  return sendings.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What a slice holds. */
export function batchBytesOf({ bandwidthBytesPerSecond, sliceSeconds }: Pace): number {
  return bandwidthBytesPerSecond * sliceSeconds;
}

/** The least time between a sending and the next one, of the time that its bytes take at the rate. */
export function leastSpacing(sendings: readonly Sending[], bandwidthBytesPerSecond: number): number {
  let least = Infinity;
  for (const [index, { atSeconds, bytes }] of sendings.entries()) {
    const next = sendings[index + 1];
    if (next === undefined) break;
    least = Math.min(least, (next.atSeconds - atSeconds) / (bytes / bandwidthBytesPerSecond));
  }
  return least;
}

export function spec(changes: Partial<SenderSpec> = {}): SenderSpec {
  return {
    role: "sender",
    family: "udp",
    streamIndex: 0,
    testId: new Uint8Array(16),
    lengthBytes: 1024,
    intervalSeconds: 1,
    omitSeconds: 0,
    affinityCpu: null,
    offload: "auto",
    endpoint: connectTo(9),
    path: NO_PATH,
    bandwidthBytesPerSecond: 125_000,
    durationSeconds: 10,
    pacing: "even",
    sendIntervalSeconds: 0.05,
    writeSize: "auto",
    sendBufferBytes: 0,
    noDelay: false,
    ...changes,
  };
}

/** The pace of a sender, as its transport would ask for it. */
export function planned(changes: Partial<SenderSpec>, isPacedByKernel = false): Pace {
  const whole = spec(changes);
  return paceOf(whole, { mostBatchPackets: mostBatchPackets(whole), isPacedByKernel });
}

export function mostBatchPackets({ family, lengthBytes }: Pick<SenderSpec, "family" | "lengthBytes">): number {
  if (family === "tcp") return 1;
  return Math.max(1, Math.min(MOST_BATCH_PACKETS, Math.floor(MOST_DATAGRAM_BYTES / lengthBytes)));
}

/** Names and bytes per second. */
export const RATES: readonly (readonly [string, number])[] = [
  ["1 kb/s", 125],
  ["9.6 kb/s", 1200],
  ["1 Mb/s", 125_000],
  ["a prime number of bytes/s", 999_983],
  ["10 Mb/s", 1_250_000],
  ["100 Mb/s", 12_500_000],
  ["499 Mb/s", 62_375_000],
  ["1 Gb/s", 125_000_000],
  ["10 Gb/s", 1_250_000_000],
  ["100 Gb/s", 12_500_000_000],
];

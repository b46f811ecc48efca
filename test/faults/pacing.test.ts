// How packets leave, by the times at which the kernel saw them arrive: however late they are read here, and whatever
// else the machine does.
import { afterEach, setDefaultTimeout, expect } from "bun:test";

import { type DatagramReader, openDatagramReader } from "../../ffi/datagram-reader.ts";
import { descriptorOf } from "../../ffi/descriptor.ts";
import { openDirectIo } from "../../ffi/direct-io.ts";
import { enableArrivalTimes, setSocketBuffer } from "../../ffi/sockopt.ts";
import { adoptDatagrams } from "../../src/streams/adopt-datagrams.ts";
import { testsUnless } from "../support/conditional.ts";
import { eventually } from "../support/eventually.ts";
import { startFakeServer } from "../support/fake-server.ts";
import { freePort } from "../support/ports.ts";
import { rperf, startProcess } from "../support/process.ts";
import { newTestId, RawClient, uploadConfiguration } from "../support/raw-client.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

const reader = openDatagramReader();
const io = openDirectIo();
const linux = testsUnless(reader === null || io === null ? "arrival times need Linux" : null);

const MEGABIT = 1e6 / 8;
const LENGTH_BYTES = 1024;
const FRAMED_BYTES = LENGTH_BYTES + 8;
const SECONDS = 2;
const END_MARKER_BYTES = 16;
const READ_EVERY_MS = 5;

const close: (() => void)[] = [];
afterEach(() => {
  for (const one of close.splice(0)) one();
});

/** A port of this machine, and when packets arrived there. */
class Arrivals {
  readonly port: number;
  readonly seconds: number[] = [];
  hasEnded = false;
  readonly #fd: number;
  readonly #reader: DatagramReader;

  private constructor(port: number, fd: number, reader: DatagramReader) {
    this.port = port;
    this.#fd = fd;
    this.#reader = reader;
    const timer = setInterval(() => this.#read(), READ_EVERY_MS);
    close.push(() => clearInterval(timer));
  }

  static async open(): Promise<Arrivals> {
    if (reader === null || io === null) throw new Error("no direct calls");
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const { port } = socket;
    const adopted = await adoptDatagrams(io, socket);
    close.push(() => adopted?.close());
    const fd = descriptorOf(adopted ?? {}) ?? NaN;
    expect(enableArrivalTimes(fd).ok).toBe(true);
    setSocketBuffer(fd, "receive", 4 * 1024 * 1024);
    return new Arrivals(port, fd, reader);
  }

  #read(): void {
    for (let bytes = this.#reader.read(this.#fd); bytes >= 0; bytes = this.#reader.read(this.#fd)) {
      if (bytes === END_MARKER_BYTES) this.hasEnded = true;
      else this.seconds.push(this.#reader.arrivalWallSeconds);
    }
  }

  /** The time between each packet and the next, when all have come. */
  async gaps(): Promise<number[]> {
    await eventually(
      "the end",
      () => this.hasEnded,
      (hasEnded) => hasEnded,
      20_000,
    );
    return this.seconds.slice(1).map((seconds, index) => seconds - (this.seconds[index] ?? NaN));
  }
}

/** Our client's packets, of a process of its own. */
async function clientsGaps(...flags: string[]): Promise<{ readonly gaps: number[]; readonly packets: number }> {
  const arrivals = await Arrivals.open();
  const server = await startFakeServer((message, { send }) => {
    if (message["kind"] === "configuration") send({ kind: "connect", stream_ports: [arrivals.port] });
  });
  close.push(() => server.stop());
  const client = startProcess(rperf("-c", "127.0.0.1", "-p", `${server.port}`, "-u", "-t", `${SECONDS}`, ...flags));
  close.push(() => client.kill("SIGKILL"));
  const gaps = await arrivals.gaps();
  return { gaps, packets: arrivals.seconds.length };
}

/** Our server's packets, as an original client asks for them. */
async function serversGaps(bandwidth: number, sendInterval: number) {
  const port = await freePort();
  const server = startProcess(rperf("-s", "-p", `${port}`));
  close.push(() => server.kill("SIGKILL"));
  await server.waitForOutput(/listening/);
  const arrivals = await Arrivals.open();
  const client = await RawClient.connect(port);
  close.push(() => client.reset());
  await client.configure(
    uploadConfiguration({
      family: "udp",
      test_id: newTestId(),
      length: LENGTH_BYTES,
      bandwidth,
      duration: SECONDS,
      send_interval: sendInterval,
      stream_ports: [arrivals.port],
    }),
  );
  client.send({ kind: "begin" });
  const gaps = await arrivals.gaps();
  return { gaps, packets: arrivals.seconds.length };
}

/** How many packets left with less than a quarter of their time between each and the next, at most. */
function largestBurst(gaps: readonly number[], gapSeconds: number): number {
  let largest = 1;
  let burst = 1;
  for (const gap of gaps) {
    burst = gap < gapSeconds / 4 ? burst + 1 : 1;
    largest = Math.max(largest, burst);
  }
  return largest;
}

function backToBackShare(gaps: readonly number[], gapSeconds: number): number {
  return gaps.filter((gap) => gap < gapSeconds / 4).length / gaps.length;
}

/** Behind by more than 10 ms, a sender sends several at once (streams/pacer.ts); a bit less, for packets come in time. */
const FAR_BEHIND_SECONDS = 0.009;

/** The gaps in front of those packets that left less than so far behind the plan, as the packet that is least so tells it. */
function gapsInPlan(gaps: readonly number[], gapSeconds: number): readonly number[] {
  let behindSeconds = 0;
  const behind = gaps.map((gap) => (behindSeconds += gap - gapSeconds));
  const least = behind.reduce((a, b) => Math.min(a, b), 0);
  return gaps.filter((_, index) => (behind[index] ?? 0) - least < FAR_BEHIND_SECONDS);
}

/**
 * One by one. What was late is made up for with half the time between two packets, so that even then none leave back to
 * back, but for a sender that the system puts aside between its look at the clock and its call, or for more than 10 ms.
 */
function expectEven(gaps: readonly number[], gapSeconds: number): void {
  const inPlan = gapsInPlan(gaps, gapSeconds);
  if (inPlan.length < gaps.length)
    console.log(`  far behind for ${gaps.length - inPlan.length} of ${gaps.length} packets`);
  expect(backToBackShare(inPlan, gapSeconds)).toBeLessThan(0.01);
  expect(largestBurst(inPlan, gapSeconds)).toBeLessThanOrEqual(4);
  // 10 ms of the rate at once, and what a sender that is put aside adds.
  expect(largestBurst(gaps, gapSeconds)).toBeLessThanOrEqual(4 + 0.01 / gapSeconds);
}

/** Many at once, and nothing between: a slice of 0.05 s holds 60 packets at 10 Mb/s. */
function expectSlices(gaps: readonly number[], gapSeconds: number, sliceSeconds: number): void {
  expect(backToBackShare(gaps, gapSeconds)).toBeGreaterThan(0.8);
  expect(largestBurst(gaps, gapSeconds)).toBeGreaterThan((sliceSeconds / gapSeconds) * 0.5);
  const pauses = gaps.filter((gap) => gap > sliceSeconds / 2).length;
  const slices = SECONDS / sliceSeconds;
  expect(pauses).toBeGreaterThan(slices * 0.5);
  expect(pauses).toBeLessThan(slices);
}

/** The plan, of which a machine that stalls may leave out some. */
function expectPlan(packets: number, megabits: number): void {
  const planned = Math.floor((megabits * MEGABIT * SECONDS) / FRAMED_BYTES);
  expect(packets).toBeLessThanOrEqual(planned);
  expect(packets).toBeGreaterThan(planned * 0.5);
}

for (const megabits of [1, 10, 50]) {
  const gapSeconds = FRAMED_BYTES / (megabits * MEGABIT);

  for (const offload of ["auto", "on", "off"]) {
    linux.test(`our client at ${megabits} Mb/s, offload ${offload}: packets leave one by one`, async () => {
      const { gaps, packets } = await clientsGaps("-b", `${megabits}m`, "--offload", offload);
      expectPlan(packets, megabits);
      expectEven(gaps, gapSeconds);
    });
  }

  linux.test(`our server at ${megabits} Mb/s, asked by an original client: packets leave one by one`, async () => {
    const { gaps, packets } = await serversGaps(megabits * MEGABIT, 0.05);
    expectPlan(packets, megabits);
    expectEven(gaps, gapSeconds);
  });
}

const SLICED_GAP_SECONDS = FRAMED_BYTES / (10 * MEGABIT);

for (const sliceSeconds of [0.05, 0.2]) {
  linux.test(`our client with --send-interval ${sliceSeconds}: slices`, async () => {
    const { gaps, packets } = await clientsGaps("-b", "10m", "--send-interval", `${sliceSeconds}`);
    expectPlan(packets, 10);
    expectSlices(gaps, SLICED_GAP_SECONDS, sliceSeconds);
  });
}

linux.test("our server, asked for slices by an original client: slices", async () => {
  const { gaps, packets } = await serversGaps(10 * MEGABIT, 0.1);
  expectPlan(packets, 10);
  expectSlices(gaps, SLICED_GAP_SECONDS, 0.1);
});

// What the cases measure by looking at the packets themselves.
import { withCapture } from "./capture.ts";
import type { Entrant } from "./case.ts";
import { runTest, type Test } from "./client.ts";
import type { CaseRequest, Measure } from "./measures.ts";
import { type CapturedPacket, mainFlow } from "./pcap.ts";
import { portsHeldBy } from "./proc.ts";
import { sampledWhile } from "./sampling.ts";
import { spacingOf } from "./spacing.ts";
import type { TestRequest } from "./tools/tool.ts";

/** A test's first and last packets, sent as it gets going and ends. */
const TRIM_NANOSECONDS = 100e6;

/** Smallest payload that is data and not talk between client and server; every tool's first write is more. */
const FIRST_DATA_BYTES = 4096;

/** How often to look for the server's sockets for data, which are there during a test alone. Looking takes CPU time. */
const PORTS_PERIOD_MS = 400;

/** How evenly UDP packets leave at a rate. */
export function smoothness(
  request: CaseRequest & { readonly lengthBytes: number; readonly bitsPerSecond: number },
): Measure {
  return async (entrant, seconds) => {
    const { packets, test } = await captured(entrant, { ...request, seconds }, request.lengthBytes);
    const spacing = spacingOf(mainFlow(packets), request.lengthBytes, TRIM_NANOSECONDS);
    if (spacing === null) throw new Error("hardly any packets captured");
    const jitterSeconds = test.figures.udp?.jitterSeconds ?? null;
    return {
      deviationP99Microseconds: spacing.deviationP99Nanoseconds / 1000,
      largestBurstBytes: spacing.largestBurstBytes,
      largestBurstMilliseconds: ((spacing.largestBurstBytes * 8) / request.bitsPerSecond) * 1000,
      ...(jitterSeconds === null ? {} : { jitterMicroseconds: jitterSeconds * 1e6 }),
    };
  };
}

/** From just before the client's process is made to its first data packet. */
export function firstByte(request: CaseRequest): Measure {
  return async (entrant, seconds) => {
    const { packets, originUnixSeconds, startedUnixMs } = await captured(
      entrant,
      { ...request, seconds },
      FIRST_DATA_BYTES,
    );
    const first = packets[0];
    if (first === undefined) throw new Error("no data packet captured");
    return { firstByteMilliseconds: originUnixSeconds * 1000 + first.atNanoseconds / 1e6 - startedUnixMs };
  };
}

interface CapturedTest {
  readonly test: Test;
  /** Just before the client was started. */
  readonly startedUnixMs: number;
  readonly originUnixSeconds: number;
  /** Those to the server of at least so much payload. Others may be busy on loopback: theirs are left out. */
  readonly packets: readonly CapturedPacket[];
}

async function captured(entrant: Entrant, request: TestRequest, leastPayloadBytes: number): Promise<CapturedTest> {
  const { family } = request;
  const server = await entrant.server(family);
  const ports = new Set<number>();
  const notePorts = () => {
    for (const port of portsHeldBy(server.pid, family)) ports.add(port);
  };
  const startAndRun = async () => {
    const startedUnixMs = turnOfTheMillisecond();
    return { startedUnixMs, test: await runTest(entrant, server, request) };
  };
  const { capture, value } = await withCapture(`${family} and greater ${leastPayloadBytes}`, () =>
    sampledWhile(notePorts, PORTS_PERIOD_MS, startAndRun),
  );
  const { originUnixSeconds } = capture;
  const packets = capture.packets.filter(
    ({ destinationPort, payloadBytes }) => ports.has(destinationPort) && payloadBytes >= leastPayloadBytes,
  );
  return { ...value, originUnixSeconds, packets };
}

/** The wall clock, which the capture's time stamps are of, at the moment when it turns: exact to some microseconds. */
function turnOfTheMillisecond(): number {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now;
}

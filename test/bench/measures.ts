// What the cases measure by running tests: each maker gives a case's `measure`.
import { runTest } from "./client.ts";
import type { BenchCase } from "./case.ts";
import type { Readings } from "./metrics.ts";
import { cpuSecondsOf } from "./proc.ts";
import { jainIndex } from "./statistics.ts";
import type { TestFigures, TestRequest } from "./tools/tool.ts";

export type Measure = BenchCase["measure"];

/** What a case asks of each tool; the time is the bench's. */
export type CaseRequest = Omit<TestRequest, "seconds">;

/** A server may go on for a moment after its client has ended. */
const SERVER_SETTLES_MS = 200;

/** Received, lost, and how fairly between the streams. */
export function throughput(request: CaseRequest): Measure {
  return async (entrant, seconds) => {
    const server = await entrant.server(request.family);
    return readingsOf((await runTest(entrant, server, { ...request, seconds })).figures);
  };
}

function readingsOf({ receivedBytes, receivedSeconds, streamBytes, udp }: TestFigures): Readings {
  const fairness = streamBytes === null || streamBytes.length < 2 ? null : jainIndex(streamBytes);
  return {
    receivedGigabitsPerSecond: (receivedBytes * 8) / receivedSeconds / 1e9,
    ...(fairness === null ? {} : { fairnessIndex: fairness }),
    ...(udp === null
      ? {}
      : {
          receivedKiloPacketsPerSecond: udp.receivedPackets / receivedSeconds / 1000,
          lossPercent: (udp.lostPackets / udp.sentPackets) * 100,
        }),
  };
}

/** CPU time of the client's process and the server's, nothing subtracted. */
export function cpuTime(request: CaseRequest): Measure {
  return async (entrant, seconds) => {
    const server = await entrant.server(request.family);
    const before = cpuSecondsOf(server.pid);
    const { figures, clientCpuSeconds } = await runTest(entrant, server, { ...request, seconds });
    await Bun.sleep(SERVER_SETTLES_MS);
    const cpuSeconds = clientCpuSeconds + cpuSecondsOf(server.pid) - before;
    return { ...readingsOf(figures), cpuSeconds, cpuSecondsPerSecond: cpuSeconds / seconds };
  };
}

/** How far what was sent is from rate times time, each tool counting as it does. */
export function rateError(request: CaseRequest & { readonly bitsPerSecond: number }): Measure {
  return async (entrant, seconds) => {
    const server = await entrant.server(request.family);
    const { sentBytes } = (await runTest(entrant, server, { ...request, seconds })).figures;
    return { rateErrorPercent: Math.abs((sentBytes * 8) / (request.bitsPerSecond * seconds) - 1) * 100 };
  };
}

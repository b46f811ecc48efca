// The tools that the bench compares, each with its own server on loopback.
import { accessSync, constants } from "node:fs";
import { dirname, join } from "node:path";
import { documentOf } from "../support/document.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, startProcess } from "../support/process.ts";
import { reference, referencePath } from "../support/reference.ts";

const HOST = "127.0.0.1";
const UDP_LENGTH_BYTES = 1024;
/** A rate that no tool reaches, in the original's notation: it has no "unlimited". */
const UNREACHABLE = "100G";

export interface Contender {
  readonly name: string;
  /** Received on one unlimited TCP stream. */
  tcpGigabits(seconds: number): Promise<number>;
  /** Received on one unlimited UDP stream of 1024-byte packets. */
  udpKiloPackets(seconds: number): Promise<number>;
}

/** Ours first, then every peer that is here. */
export async function contenders(): Promise<readonly Contender[]> {
  const present: Contender[] = [await rperfLike("rperf", rperf, "0")];
  if (referencePath === null) console.error("skipping the original: RPERF_REFERENCE does not name it");
  else present.push(await rperfLike("rperf 0.1.8", reference, UNREACHABLE));
  const iperf3Path = findIperf3();
  if (iperf3Path === null) console.error("skipping iperf3: it is neither beside RPERF_REFERENCE nor in the PATH");
  else present.push(await iperf3(iperf3Path));
  return present;
}

async function rperfLike(name: string, program: (...flags: string[]) => string[], rate: string): Promise<Contender> {
  const port = `${await freePort()}`;
  await startProcess(program("-s", "-p", port)).waitForOutput(/listening/);
  const measure = async (seconds: number, ...flags: string[]) => {
    const result = await run(program("-c", HOST, "-p", port, "-t", `${seconds}`, "-b", rate, "-f", "json", ...flags), {
      timeoutMs: (seconds + 20) * 1000,
    });
    return documentOf(result).summary;
  };
  return {
    name,
    async tcpGigabits(seconds) {
      const summary = await measure(seconds);
      return (summary.bytes_received * 8) / summary.duration_receive / 1e9;
    },
    async udpKiloPackets(seconds) {
      const summary = await measure(seconds, "-u", "-l", `${UDP_LENGTH_BYTES}`);
      return (summary.packets_received ?? Number.NaN) / summary.duration_receive / 1000;
    },
  };
}

interface Iperf3Document {
  readonly end: {
    readonly sum_received: {
      readonly bits_per_second: number;
      readonly packets: number;
      readonly lost_packets: number;
    };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

async function iperf3(path: string): Promise<Contender> {
  const port = `${await freePort()}`;
  // Piped, it keeps its words to itself: the port tells that it is there.
  startProcess([path, "-s", "-p", port]);
  await Bun.sleep(500);
  const measure = async (seconds: number, ...flags: string[]) => {
    const result = await run([path, "-c", HOST, "-p", port, "-t", `${seconds}`, "-J", ...flags], {
      timeoutMs: (seconds + 20) * 1000,
    });
    return (JSON.parse(result.stdout) as Iperf3Document).end;
  };
  return {
    name: "iperf3",
    async tcpGigabits(seconds) {
      return (await measure(seconds)).sum_received.bits_per_second / 1e9;
    },
    async udpKiloPackets(seconds) {
      const {
        packets,
        lost_packets,
        seconds: measuredSeconds,
      } = (await measure(seconds, "-u", "-b", "0", "-l", `${UDP_LENGTH_BYTES}`)).sum;
      return (packets - lost_packets) / measuredSeconds / 1000;
    },
  };
}

function findIperf3(): string | null {
  const beside = referencePath === null ? null : join(dirname(referencePath), "iperf3-3.21");
  for (const path of [beside, Bun.which("iperf3")]) {
    if (path === null) continue;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return null;
}

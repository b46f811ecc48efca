import type { Family } from "../config/types.ts";
import { EXIT_FAILED, EXIT_OK, messageOf } from "../errors.ts";
import type { RperfServer, runClient, startServer, TestOptions } from "../index.ts";
import { createLog, type Log } from "../log.ts";
import { ERASE_LINE } from "../report/progress.ts";
import type { TestResult, UdpSummary } from "../results/types.ts";
import { listenForInterrupts } from "./interrupts.ts";
import type { SelftestInvocation } from "./invocation.ts";
import type { Io } from "./io.ts";
import {
  isSelftestSuccess,
  renderSelftestJson,
  renderSelftestText,
  selftestName,
  type SelftestRow,
} from "./selftest-report.ts";
import { logServerEvent } from "./server-event-log.ts";

/** Loaded when the command runs, and not for its help. */
interface Library {
  readonly runClient: typeof runClient;
  readonly startServer: typeof startServer;
}
type Direction = SelftestRow["direction"];

const LOOPBACK = "127.0.0.1";
/** 100 Mb/s: little enough that a machine of any age should lose nothing. */
const UDP_BYTES_PER_SECOND = 12_500_000;
const MICROSECONDS_PER_SECOND = 1e6;

const PLAN: readonly { readonly family: Family; readonly direction: Direction }[] = [
  { family: "tcp", direction: "forward" },
  { family: "tcp", direction: "reverse" },
  { family: "udp", direction: "forward" },
  { family: "udp", direction: "reverse" },
];

interface Selftest {
  readonly library: Library;
  readonly port: number;
  readonly durationSeconds: number;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Measures this machine against itself over loopback; gives the exit status. */
export async function runSelftest(invocation: SelftestInvocation, io: Io): Promise<number> {
  const interrupted = listenForInterrupts();
  const log = createLog({
    level: invocation.isDebug ? "debug" : "warn",
    colour: io.err.hasColour,
    write: (text) => io.err.write(text),
  });
  const library = await import("../index.ts");
  const server = await startEmbeddedServer(library, log);
  try {
    const signal = AbortSignal.any([interrupted, io.out.ended]);
    const rows = await runPlan(
      { library, port: server.port, durationSeconds: invocation.durationSeconds, signal, log },
      io,
    );
    io.out.write(
      invocation.format === "json"
        ? renderSelftestJson(rows)
        : renderSelftestText(rows, invocation.format, UDP_BYTES_PER_SECOND),
    );
    return isSelftestSuccess(rows) ? EXIT_OK : EXIT_FAILED;
  } finally {
    await server.stop("the self-test is over");
  }
}

async function startEmbeddedServer(library: Library, log: Log): Promise<RperfServer> {
  return library.startServer(
    { bindAddress: LOOPBACK, port: 0 },
    {
      onEvent(event) {
        // The client tells all that matters, unless every step is asked for.
        if (event.type === "warning" || event.type === "debug") logServerEvent(log, event);
      },
    },
  );
}

/** One test after another, up to one that is interrupted. */
async function runPlan(selftest: Selftest, io: Io): Promise<SelftestRow[]> {
  const rows: SelftestRow[] = [];
  for (const [index, test] of PLAN.entries()) {
    showProgress(io, `[${index + 1}/${PLAN.length}] ${selftestName(test)}, ${selftest.durationSeconds} s`);
    rows.push(await runOne(selftest, test.family, test.direction));
    if (selftest.signal.aborted) break;
  }
  if (io.err.isTerminal) io.err.write(ERASE_LINE);
  return rows;
}

function showProgress(io: Io, text: string): void {
  io.err.write(io.err.isTerminal ? `${ERASE_LINE}${text}` : `${text}\n`);
}

async function runOne(selftest: Selftest, family: Family, direction: Direction): Promise<SelftestRow> {
  const { library, log, signal } = selftest;
  const options: TestOptions = {
    host: LOOPBACK,
    port: selftest.port,
    family,
    reverse: direction === "reverse",
    bandwidthBytesPerSecond: family === "udp" ? UDP_BYTES_PER_SECOND : 0,
    durationSeconds: selftest.durationSeconds,
  };
  const cpuBefore = process.cpuUsage();
  const startMilliseconds = performance.now();
  const measured = await library
    .runClient(options, {
      signal,
      onEvent(event) {
        if (event.type === "warning") log.warn(event.message);
        if (event.type === "debug") log.debug(event.message);
      },
    })
    .then(measuredOf, failedOf);
  const wallSeconds = (performance.now() - startMilliseconds) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / MICROSECONDS_PER_SECOND;
  return { family, direction, ...measured, cpuSeconds, cpuRatio: cpuSeconds / wallSeconds };
}

type Measured = Pick<SelftestRow, "bytesPerSecond" | "lossRatio" | "jitterSeconds" | "failure">;

function measuredOf({ summary, success, outcome, reason }: TestResult): Measured {
  const seconds = summary.durationReceiveSeconds;
  const udp = summary.udp;
  return {
    bytesPerSecond: seconds > 0 ? summary.bytesReceived / seconds : null,
    lossRatio: udp === null ? null : lossRatioOf(udp),
    jitterSeconds: udp?.jitterAverageSeconds ?? null,
    failure: success ? null : (reason?.message ?? outcome),
  };
}

function failedOf(error: unknown): Measured {
  return { bytesPerSecond: null, lossRatio: null, jitterSeconds: null, failure: messageOf(error) };
}

/** Null where the lost cannot be told, or nothing was sent. */
function lossRatioOf({ packetsLost, packetsSent }: UdpSummary): number | null {
  return packetsLost === null || packetsSent === 0 ? null : packetsLost / packetsSent;
}

// A client, run to its end, with what it cost.
import { internals, ROOT } from "../support/process.ts";
import type { Entrant } from "./case.ts";
import type { BenchServer } from "./server.ts";
import type { TestFigures, TestRequest } from "./tools/tool.ts";

/** Longer than the test: connecting, ending, and what a tool takes to give up on its peer. */
const GRACE_SECONDS = 20;

interface ClientRun {
  readonly stdout: string;
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
}

export interface Test {
  readonly figures: TestFigures;
  readonly clientCpuSeconds: number;
}

/** Runs one test of the entrant against that server; rejects when it does not complete. */
export async function runTest({ tool, contender }: Entrant, server: BenchServer, request: TestRequest): Promise<Test> {
  const { flags = [], streams = request.streams } = contender;
  const asked = { ...request, streams };
  const { stdout, cpuSeconds } = await runClient(tool.clientCommand(server.ports, asked, flags), request.seconds);
  return { figures: tool.parse(stdout, asked), clientCpuSeconds: cpuSeconds };
}

/** Rejects when the client fails, or takes much longer than its test. */
async function runClient(command: readonly string[], seconds: number): Promise<ClientRun> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  internals.running.add(child);
  let late = false;
  const timer = setTimeout(
    () => {
      late = true;
      child.kill("SIGKILL");
    },
    (seconds + GRACE_SECONDS) * 1000,
  );
  try {
    const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (late || code !== 0) {
      const end = late ? `had not ended ${GRACE_SECONDS} s after its test` : `ended with ${code}`;
      throw new Error(`${command.join(" ")} ${end}:\n${`${stdout}${stderr}`.slice(-2000)}`);
    }
    return { stdout, cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6 };
  } finally {
    clearTimeout(timer);
    internals.running.delete(child);
  }
}

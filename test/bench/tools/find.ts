// Which of the tools are here.
import { accessSync, constants } from "node:fs";
import { dirname, join } from "node:path";
import { rperf, run } from "../../support/process.ts";
import { reference, referencePath } from "../../support/reference.ts";
import { iperf2 } from "./iperf2.ts";
import { iperf3 } from "./iperf3.ts";
import { nuttcp } from "./nuttcp.ts";
import { rperfLike } from "./rperf.ts";
import type { Tool, ToolName } from "./tool.ts";
import { xfr } from "./xfr.ts";

export interface Found {
  readonly tools: ReadonlyMap<ToolName, Tool>;
  /** Why each of the others is not among them. */
  readonly absent: readonly string[];
}

/** The original asks for a rate in any case; in its notation, one that nothing reaches. */
const UNREACHABLE = "100G";

/** A peer in the PATH, or among the ones beside the original, which come first. */
const PEERS = [
  { beside: "iperf3-3.21", program: "iperf3", versionFlag: "--version", make: iperf3 },
  { beside: "xfr-0.14.0", program: "xfr", versionFlag: "--version", make: xfr },
  { beside: null, program: "iperf", versionFlag: "--version", make: iperf2 },
  { beside: null, program: "nuttcp", versionFlag: "-V", make: nuttcp },
] as const;

export async function findTools(): Promise<Found> {
  const tools = new Map<ToolName, Tool>();
  const absent: string[] = [];
  const add = (tool: Tool) => tools.set(tool.name, tool);
  const ours = await versionOf(rperf("--version"));
  add(rperfLike({ name: "rperf", version: ours, command: rperf, unlimited: "0" }));
  if (referencePath === null) {
    absent.push("the original: RPERF_REFERENCE does not name it");
  } else {
    const version = await versionOf(reference("--version"));
    add(rperfLike({ name: "original", version, command: reference, unlimited: UNREACHABLE }));
  }
  for (const { beside, program, versionFlag, make } of PEERS) {
    const path = besideReference(beside) ?? Bun.which(program);
    if (path === null)
      absent.push(`${program}: not in the PATH${beside === null ? "" : ", nor beside RPERF_REFERENCE"}`);
    else add(make(path, await versionOf([path, versionFlag])));
  }
  return { tools, absent };
}

function besideReference(fileName: string | null): string | null {
  if (fileName === null || referencePath === null) return null;
  const path = join(dirname(referencePath), fileName);
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}

/** The first dotted number that the program prints: they all say more than that. */
async function versionOf(command: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(command, { timeoutMs: 5_000 });
  return /\d+(?:\.\d+)+/.exec(stdout + stderr)?.[0] ?? "of unknown version";
}

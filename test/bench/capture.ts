// Captures of loopback by tcpdump.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { within } from "../support/eventually.ts";
import { startProcess } from "../support/process.ts";
import { type Capture, parsePcap } from "./pcap.ts";

/** Enough for Ethernet, IPv4 and TCP headers. */
const SNAP_BYTES = 96;
const BUFFER_KIBIBYTES = 32 * 1024;
/** tcpdump gets packets from the kernel in blocks, the last of them after up to a second. */
const LAST_BLOCK_MS = 1_200;
const END_LIMIT_MS = 10_000;

export function whyNoCapture(): string | null {
  if (Bun.which("tcpdump") === null) return "no tcpdump in the PATH";
  if (process.getuid?.() !== 0) return "tcpdump needs root";
  return null;
}

/**
 * Captures what `filter` lets through (pcap-filter(7)) while `act` runs. Rejects as that does, and when the kernel had to
 * drop packets.
 */
export async function withCapture<Value>(
  filter: string,
  act: () => Promise<Value>,
): Promise<{ readonly capture: Capture; readonly value: Value }> {
  const folder = mkdtempSync(join(tmpdir(), "rperf-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove); // the bench may end early
  const file = join(folder, "lo.pcap");
  const tcpdump = ["tcpdump", "-i", "lo", "-n", "--time-stamp-precision=nano"];
  const buffers = ["-s", `${SNAP_BYTES}`, "-B", `${BUFFER_KIBIBYTES}`];
  // As root, or it could not write into our folder.
  const child = startProcess([...tcpdump, ...buffers, "-Z", "root", "-w", file, filter]);
  try {
    await child.waitForOutput(/listening on/);
    const value = await act();
    await Bun.sleep(LAST_BLOCK_MS);
    child.kill("SIGINT");
    await within("the end of tcpdump", child.exited, END_LIMIT_MS);
    const dropped = /(\d+) packets dropped by kernel/.exec(child.stderr)?.[1];
    if (dropped !== "0") throw new Error(`tcpdump dropped packets:\n${child.stderr}`);
    return { capture: parsePcap(await Bun.file(file).bytes()), value };
  } finally {
    child.kill("SIGKILL");
    remove();
    process.off("exit", remove);
  }
}

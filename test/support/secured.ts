// Servers and clients with keys and certificates: files that only their owner reads, and the program's runs with them.
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort } from "./ports.ts";
import { rperf, run, type RunningProcess, type RunResult, startProcess } from "./process.ts";

export interface SecuredServer {
  readonly port: number;
  readonly process: RunningProcess;
}

/** Files of one test file, gone with the system's others. */
export class SecretFiles {
  readonly #folder = mkdtempSync(join(tmpdir(), "rperf-secrets-"));

  /** Gives the path. */
  write(name: string, text: string, mode = 0o600): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    // Past the umask.
    chmodSync(path, mode);
    return path;
  }
}

/** A server of the program that listens on 127.0.0.1, every step in its log. */
export async function startSecured(...args: readonly string[]): Promise<SecuredServer> {
  const port = await freePort();
  const process = startProcess(rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`, "-d", ...args));
  await process.waitForOutput(/listening on/);
  return { port, process };
}

/** One test of the program's client, for half a second unless told otherwise, its document on standard output. */
export async function runSecured(port: number, ...args: readonly string[]): Promise<RunResult> {
  return run(
    rperf("-c", "127.0.0.1", "-p", `${port}`, "-f", "json", ...(args.includes("-t") ? [] : ["-t", "0.5"]), ...args),
  );
}

// A tool's server, on free ports of its own.
import type { Family } from "../../src/config/types.ts";
import { freePort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";
import { isPortOpen } from "./proc.ts";
import type { Ports, Tool } from "./tools/tool.ts";

const POLL_MS = 5;
const START_LIMIT_MS = 5_000;

export interface BenchServer {
  readonly pid: number;
  readonly ports: Ports;
  isRunning(): boolean;
  /** Kills it: some peers do not end on less. */
  stop(): Promise<void>;
}

export async function choosePorts(): Promise<Ports> {
  return { control: await freePort(), data: await freePort() };
}

/** Resolves once it waits for clients. */
export async function startServerOf(tool: Tool, family: Family): Promise<BenchServer> {
  const ports = await choosePorts();
  const child = startProcess(tool.serverCommand(ports, family));
  let running = true;
  const ended = child.exited.then(() => {
    running = false;
  });
  const givenUpAtMs = performance.now() + START_LIMIT_MS;
  while (!isPortOpen(ports.control, tool.listensOn(family))) {
    if (!running || performance.now() > givenUpAtMs) {
      child.kill("SIGKILL");
      throw new Error(`the server of ${tool.name} did not start:\n${child.stdout}${child.stderr}`);
    }
    await Bun.sleep(POLL_MS);
  }
  return {
    pid: child.pid,
    ports,
    isRunning: () => running,
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

// What the cases measure of servers: how soon they are there and what they hold. Each run has a server of its own.
import { once } from "node:events";
import { createConnection } from "node:net";
import { startProcess } from "../support/process.ts";
import type { Entrant } from "./case.ts";
import { runTest } from "./client.ts";
import type { ClientsDone, ClientsOrder } from "./many-clients.ts";
import type { Measure } from "./measures.ts";
import type { Readings } from "./metrics.ts";
import { cpuSecondsOf, residentMegabytesOf } from "./proc.ts";
import { sampledWhile } from "./sampling.ts";
import { type BenchServer, choosePorts, startServerOf } from "./server.ts";
import { mostAtOnce } from "./statistics.ts";
import { HOST } from "./tools/tool.ts";

const START_LIMIT_MS = 5_000;
/** What a server does as it starts is not its idleness. */
const SETTLE_MS = 1_000;
const SAMPLE_MS = 50;
const MANY_STREAMS = 32;

/** The clients and their streams would burden one process too much, and as many processes this machine. */
const CLIENT_PROCESSES = 4;
const CLIENTS_PER_PROCESS = 50;
const SLOW_BYTES_PER_SECOND = 125_000;

/** From just before the server's process is made until a connection to it succeeds, tried every millisecond. */
export const listening: Measure = async ({ tool }) => {
  const ports = await choosePorts();
  const startedMs = performance.now();
  const child = startProcess(tool.serverCommand(ports, "tcp"));
  try {
    while (!(await canConnect(ports.control))) {
      if (performance.now() > startedMs + START_LIMIT_MS) throw new Error(`it does not listen: ${child.stderr}`);
      await Bun.sleep(1);
    }
    return { listeningMilliseconds: performance.now() - startedMs };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
};

async function canConnect(port: number): Promise<boolean> {
  const socket = createConnection({ host: HOST, port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Memory of a server: idle, then in a test of one stream, then in one of many. */
export const memory: Measure = (entrant, seconds) =>
  withServer(entrant, async (server) => {
    await Bun.sleep(SETTLE_MS);
    const before = cpuSecondsOf(server.pid);
    await Bun.sleep(seconds * 1000);
    const idleCpuPercent = ((cpuSecondsOf(server.pid) - before) / seconds) * 100;
    const idleMegabytes = residentMegabytesOf(server.pid);
    const inTest = (streams: number) =>
      greatestResident(server.pid, () =>
        runTest(entrant, server, { family: "tcp", seconds, streams, bitsPerSecond: null, lengthBytes: null }),
      );
    const oneStreamMegabytes = (await inTest(1)).megabytes;
    const manyStreamsMegabytes = (await inTest(MANY_STREAMS)).megabytes;
    return { idleCpuPercent, idleMegabytes, oneStreamMegabytes, manyStreamsMegabytes };
  });

/** Memory of a server that speaks our protocol, with many slow clients at once. */
export const manyClients: Measure = (entrant, seconds) =>
  withServer(entrant, async (server): Promise<Readings> => {
    const order: ClientsOrder = {
      host: HOST,
      port: server.ports.control,
      clients: CLIENTS_PER_PROCESS,
      durationSeconds: seconds,
      bandwidthBytesPerSecond: SLOW_BYTES_PER_SECOND,
    };
    const { megabytes, value: done } = await greatestResident(server.pid, () =>
      Promise.all(Array.from({ length: CLIENT_PROCESSES }, () => driveClients(order))),
    );
    const failures = done.flatMap((each) => each.failures);
    if (failures.length > 0) {
      throw new Error(`${failures.length} of ${CLIENT_PROCESSES * CLIENTS_PER_PROCESS} clients failed: ${failures[0]}`);
    }
    return { manyClientsMegabytes: megabytes, clientsAtOnce: mostAtOnce(done.flatMap(({ ran }) => ran)) };
  });

async function driveClients(order: ClientsOrder): Promise<ClientsDone> {
  const script = Bun.fileURLToPath(new URL("./many-clients.ts", import.meta.url));
  const child = startProcess([process.execPath, script, JSON.stringify(order)]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`the clients' process ended with ${code}:\n${child.stderr.slice(-2000)}`);
  return JSON.parse(child.stdout) as ClientsDone;
}

/** The most memory that a process is seen to hold while `act` runs. */
async function greatestResident<Value>(
  pid: number,
  act: () => Promise<Value>,
): Promise<{ readonly megabytes: number; readonly value: Value }> {
  let megabytes = 0;
  const sample = () => {
    megabytes = Math.max(megabytes, residentMegabytesOf(pid));
  };
  const value = await sampledWhile(sample, SAMPLE_MS, act);
  return { megabytes, value };
}

async function withServer<Value>({ tool }: Entrant, use: (server: BenchServer) => Promise<Value>): Promise<Value> {
  const server = await startServerOf(tool, "tcp");
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

// What is reported of affinity and buffers, against what the kernel says of the very threads and sockets.
import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { expect } from "bun:test";
import { testsUnless } from "../support/conditional.ts";
import { documentOf } from "../support/document.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, startProcess } from "../support/process.ts";

interface Socket {
  readonly socket: Readonly<Record<"send_buffer" | "receive_buffer" | "affinity_cpu", number | null>> | null;
}
interface OurStream {
  readonly sender: Socket;
  readonly receiver: Socket;
}

const onLinux = testsUnless(process.platform === "linux" ? null : "there is no /proc on this system");
const onTwoCpus = testsUnless(
  process.platform === "linux" && cpus().length >= 2 ? null : "it takes Linux and two CPUs",
);
const withSs = testsUnless(Bun.which("ss") === null ? "there is no ss (Debian: iproute2)" : null);

interface Thread {
  readonly id: number;
  readonly name: string;
  readonly cpus: string;
}

/** The threads of a process and the CPUs that each may run on. */
function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, "utf8");
    const field = (name: string) => new RegExp(`^${name}:\\s*(.+)$`, "m").exec(status)?.[1] ?? "";
    return { id: Number(task), name: field("Name"), cpus: field("Cpus_allowed_list") };
  });
}

onTwoCpus.test("-A binds each stream's thread in turn, and not the main thread", async () => {
  const port = `${await freePort()}`;
  const server = startProcess(rperf("-s", "-p", port, "-A", "1,0"));
  await server.waitForOutput(/listening/);
  const client = startProcess(rperf("-c", "127.0.0.1", "-p", port, "-t", "2", "-P", "4", "-A", "0,1", "-f", "json"));
  await Bun.sleep(1000);
  for (const { pid } of [server, client]) {
    const threads = threadsOf(pid);
    const streams = threads.filter(({ name }) => name === "Worker");
    expect(streams.map(({ cpus: list }) => list).toSorted()).toEqual(["0", "0", "1", "1"]);
    expect(threads.find(({ id }) => id === pid)?.cpus).not.toMatch(/^[01]$/);
  }
  expect(await client.exited).toBe(0);
  const document = documentOf({ code: 0, stdout: client.stdout, stderr: client.stderr });
  const streams = document.streams as readonly unknown[] as readonly OurStream[];
  expect(streams.map(({ sender }) => sender.socket?.affinity_cpu)).toEqual([0, 1, 0, 1]);
  expect(streams.map(({ receiver }) => receiver.socket?.affinity_cpu)).toEqual([1, 0, 1, 0]);
});

onLinux.test("a CPU that does not exist is warned about once and left out", async () => {
  const port = `${await freePort()}`;
  await startProcess(rperf("-s", "-p", port)).waitForOutput(/listening/);
  const { code, stdout, stderr } = await run(
    rperf("-c", "127.0.0.1", "-p", port, "-t", "1", "-P", "3", "-A", "999,0", "-f", "json"),
  );
  expect(code).toBe(0);
  expect(stderr.match(/CPU 999/g)).toHaveLength(1);
  const streams = documentOf({ code, stdout, stderr }).streams as readonly unknown[] as readonly OurStream[];
  expect(streams.map(({ sender }) => sender.socket?.affinity_cpu)).toEqual([0, 0, 0]);
});

/** The sizes that `ss -tmn` shows for sockets between these ports: send (tb) and receive (rb) buffers. */
async function buffersInKernel(family: "tcp" | "udp", pid: number): Promise<{ send: number[]; receive: number[] }> {
  const { stdout } = await run(["ss", family === "tcp" ? "-tmnpHO" : "-umnpaHO"]);
  const lines = stdout.split("\n").filter((line) => line.includes(`pid=${pid},`));
  const sizes = (key: string) =>
    lines.flatMap((line) => [...line.matchAll(new RegExp(`[(,]${key}(\\d+)`, "g"))].map((m) => Number(m[1])));
  return { send: sizes("tb"), receive: sizes("rb") };
}

for (const family of ["tcp", "udp"] as const) {
  withSs.test(`${family}: the buffers that are reported are those that ss shows`, async () => {
    const port = `${await freePort()}`;
    const server = startProcess(rperf("-s", "-p", port));
    await server.waitForOutput(/listening/);
    const flags = ["--send-buffer", "50000", "--receive-buffer", "60000", "-t", "2", "-f", "json"];
    const client = startProcess(rperf("-c", "127.0.0.1", "-p", port, ...flags, ...(family === "udp" ? ["-u"] : [])));
    await Bun.sleep(1000);
    const atClient = await buffersInKernel(family, client.pid);
    const atServer = await buffersInKernel(family, server.pid);
    expect(await client.exited).toBe(0);
    const document = documentOf({ code: 0, stdout: client.stdout, stderr: client.stderr });
    const [stream] = document.streams as readonly unknown[] as readonly OurStream[];
    // 32 KiB buffers of TCP fit into what was asked; the kernel doubles it (socket(7)).
    const sendBytes = stream?.sender.socket?.send_buffer;
    const receiveBytes = stream?.receiver.socket?.receive_buffer;
    expect(sendBytes).toBe(100_000);
    expect(receiveBytes).toBe(120_000);
    expect(atClient.send).toContain(100_000);
    expect(atServer.receive).toContain(120_000);
  });
}

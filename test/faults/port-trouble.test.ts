// Ports that are taken, pools that are used up or used in turn, and servers that are full.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";

import type { PortRange, ServerOptions } from "../../src/index.ts";
import { complaintOf, EXIT_FAILED, ourDocumentOf } from "../support/cli.ts";
import { answerConfiguration, startFakeServer } from "../support/fake-server.ts";
import { expectServes } from "../support/good-test.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, startProcess } from "../support/process.ts";
import { downloadConfiguration } from "../support/raw-client.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

const HOSTS = { 4: "127.0.0.1", 6: "::1" } as const;
const CASES = (["tcp", "udp"] as const).flatMap((family) =>
  ([4, 6] as const).map((ipVersion) => ({
    family,
    ipVersion,
    host: HOSTS[ipVersion],
    pool: `${family}${ipVersion}` as const,
  })),
);
type Case = (typeof CASES)[number];

const FLAGS = {
  tcp4: "--tcp-port-pool",
  tcp6: "--tcp6-port-pool",
  udp4: "--udp-port-pool",
  udp6: "--udp6-port-pool",
} as const;

let toStop: (() => void)[] = [];

afterEach(() => {
  for (const stop of toStop) stop();
  toStop = [];
});

async function startServer(
  options: ServerOptions,
): Promise<{ readonly server: WatchedServer; readonly idle: Holdings }> {
  const server = await WatchedServer.start(options);
  toStop.push(() => server.kill());
  return { server, idle: server.holdings };
}

/** Occupies a port until the test is over, or until told. */
async function take({ family, host }: Case, port: number): Promise<() => void> {
  let free: () => void;
  if (family === "tcp") {
    const listener = Bun.listen({ hostname: host, port, socket: { data() {} } });
    free = () => listener.stop(true);
  } else {
    const socket = await Bun.udpSocket({ hostname: host, port });
    free = () => socket.close();
  }
  toStop.push(free);
  return free;
}

const range = (port: number): PortRange => ({ first: port, last: port });

function clientFlags({ family, host }: Case, port: number): string[] {
  return ["-c", host, "-p", `${port}`, "-t", "1", ...(family === "udp" ? ["-u"] : [])];
}

describe("the server's own port", () => {
  test.each([
    ["IPv4", []],
    ["IPv6", ["-6"]],
  ])("is in use, %s", async (_name, flags) => {
    const port = await freePort();
    const first = startProcess(rperf("-s", ...flags, "-p", `${port}`));
    await first.waitForOutput(/listening/);
    const second = await run(rperf("-s", ...flags, "-p", `${port}`));
    expect(second.code).toBe(EXIT_FAILED);
    expect(second.stdout).toBe("");
    expect(complaintOf(second)).toContain(`port ${port} is in use`);
    await expectServes(port);
    first.kill("SIGINT");
    expect(await first.exited).toBe(0);
  });

  test("is in use by something else", async () => {
    const port = await freePort();
    await take({ family: "tcp", ipVersion: 4, host: "0.0.0.0" as "127.0.0.1", pool: "tcp4" }, port);
    const result = await run(rperf("-s", "-p", `${port}`));
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toContain(`${port}`);
  });
});

describe.each(CASES)("a pool of $pool", (one) => {
  test("that is used up on the server is told to the client", async () => {
    const taken = await freePort();
    const { server, idle } = await startServer({ bindAddress: one.host, portPools: { [one.pool]: [range(taken)] } });
    const free = await take(one, taken);
    for (const format of ["megabit", "json"]) {
      const result = await run(rperf(...clientFlags(one, server.port), "-f", format));
      expect(result.code).toBe(EXIT_FAILED);
      if (format === "json") expect(result.stdout).toBe("");
      expect(complaintOf(result)).toContain(`${taken}`);
      expect(complaintOf(result)).toMatch(/pool/);
    }
    expect(server.events.filter(({ type }) => type === "client-refused")).toHaveLength(2);
    // The other direction needs one too where the client dials, and none of the server's where it does not.
    const reverse = await run(rperf(...clientFlags(one, server.port), "-R"));
    expect(reverse.code).toBe(EXIT_FAILED);
    expect(complaintOf(reverse)).toContain(`${taken}`);
    await expectServes(server.port, { host: one.host, family: one.family, reverse: true, dial: "legacy" });
    free();
    await expectServes(server.port, { host: one.host, family: one.family, reverse: false, parallel: 1 });
    await server.isBackTo(idle);
  });

  test("that has too few ports for all streams is told to the client, and none is kept", async () => {
    const port = await freePort();
    const { server, idle } = await startServer({ bindAddress: one.host, portPools: { [one.pool]: [range(port)] } });
    const result = await run(rperf(...clientFlags(one, server.port), "-P", "3"));
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toContain(`${port}`);
    await server.isBackTo(idle);
    await expectServes(server.port, { host: one.host, family: one.family, reverse: false, parallel: 1 });
    await server.isBackTo(idle);
  });

  test("that is used up on the client is told by the client", async () => {
    const taken = await freePort();
    const { server, idle } = await startServer({ bindAddress: one.host });
    await take(one, taken);
    const result = await run(rperf(...clientFlags(one, server.port), "-R", FLAGS[one.pool], `${taken}`));
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toContain(`${taken}`);
    await expectServes(server.port, { host: one.host });
    await server.isBackTo(idle);
  });

  test("gives the server's receivers their ports in turn", async () => {
    const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
    const { server, idle } = await startServer({ bindAddress: one.host, portPools: { [one.pool]: ports.map(range) } });
    const dealt: number[] = [];
    // Four streams, then two, then one: each goes on where the last one stopped.
    for (const streams of [3, 2, 1]) {
      const client = await server.connect(one.host);
      const length = one.family === "tcp" ? 1024 : 512;
      dealt.push(...(await client.configure(downloadConfiguration({ family: one.family, length, streams }))));
      client.send({ kind: "end" });
      await client.closed();
      await server.isBackTo(idle);
    }
    const [a = 0, b = 0, c = 0, d = 0] = ports;
    expect(dealt).toEqual([a, b, c, d, a, b]);
  });

  test("passes over a port that is taken", async () => {
    const [first, second] = [await freePort(), await freePort()];
    const { server } = await startServer({
      bindAddress: one.host,
      portPools: { [one.pool]: [range(first), range(second)] },
    });
    await take(one, first);
    const client = await server.connect(one.host);
    expect(await client.configure(downloadConfiguration({ family: one.family }))).toEqual([second]);
    client.end();
  });

  test("of another kind is not used", async () => {
    const others = CASES.filter(({ pool }) => pool !== one.pool).map(({ pool }) => pool);
    const taken = await freePort();
    const portPools = Object.fromEntries(others.map((pool) => [pool, [range(taken)]]));
    const { server } = await startServer({ bindAddress: one.host, portPools });
    const client = await server.connect(one.host);
    expect(await client.configure(downloadConfiguration({ family: one.family }))).not.toEqual([taken]);
    client.end();
    await expectServes(server.port, { host: one.host, family: one.family });
  });
});

describe("the client's own pools in reverse", () => {
  test.each(["tcp", "udp"] as const)("%s", async (family) => {
    const ports = [await freePort(), await freePort(), await freePort()];
    const fake = await startFakeServer((message, session) => {
      answerConfiguration(message, session);
      session.send({ kind: "error", message: "seen" });
    });
    toStop.push(() => fake.stop());
    const one = { family, ipVersion: 4, host: "127.0.0.1", pool: `${family}4` } as const;
    await run(rperf(...clientFlags(one, fake.port), "-R", "-P", "3", FLAGS[one.pool], ports.join(",")));
    expect(fake.messages[0]?.["stream_ports"]).toEqual(ports);
  });

  test.each(["tcp", "udp"] as const)("a whole %s test over a pool of the client's", async (family) => {
    const { server, idle } = await startServer({});
    const one = { family, ipVersion: 4, host: "127.0.0.1", pool: `${family}4` } as const;
    const pool = `${await freePort()},${await freePort()}`;
    const result = await run(rperf(...clientFlags(one, server.port), "-R", "-P2", FLAGS[one.pool], pool, "-f", "json"));
    expect(ourDocumentOf(result).success).toBe(true);
    expect(result.code).toBe(0);
    await server.isBackTo(idle);
  });
});

describe("a server for one client", () => {
  test("turns the second away, serves the first to its end and then the next", async () => {
    const port = await freePort();
    const server = startProcess(rperf("-s", "-p", `${port}`, "--client-limit", "1"));
    await server.waitForOutput(/listening/);
    const first = startProcess(rperf("-c", "127.0.0.1", "-p", `${port}`, "-t", "4", "-f", "json"));
    await server.waitForOutput(/started/);
    // At once: one after the other they might outlast the first.
    const others = [[], ["-u"], ["-R"]].map((flags) =>
      run(rperf("-c", "127.0.0.1", "-p", `${port}`, "-t", "1", ...flags)),
    );
    for (const second of await Promise.all(others)) {
      expect(second.code).toBe(EXIT_FAILED);
      expect(complaintOf(second)).toMatch(/as many clients/);
      expect(complaintOf(second)).toContain(`127.0.0.1:${port}`);
    }
    const code = await first.exited;
    const document = ourDocumentOf({ code, stdout: first.stdout, stderr: first.stderr });
    expect({ code, success: document.success }).toEqual({ code: 0, success: true });
    expect(document.summary.bytes_received).toBe(document.summary.bytes_sent);
    // The place is free as soon as the first one's program has ended, or a moment later.
    await expectServes(port);
    expect(server.stderr.match(/as many clients/g)).toHaveLength(3);
    server.kill("SIGINT");
    expect(await server.exited).toBe(0);
  });

  test("does not count connections that ask for nothing", async () => {
    const { server, idle } = await startServer({ clientLimit: 1 });
    const silent = await Promise.all([server.connect(), server.connect(), server.connect()]);
    silent[1]?.sendBytes(Uint8Array.of(0, 30, 0x7b));
    await expectServes(server.port, { parallel: 1 });
    for (const client of silent) client.end();
    await Promise.all(silent.map((client) => client.closed()));
    await server.isBackTo(idle);
  });

  test("gives the place of a client back that was refused after it had it", async () => {
    const { server, idle } = await startServer({ clientLimit: 1 });
    for (let count = 0; count < 5; count += 1) {
      const client = await server.connect();
      await client.configure(downloadConfiguration());
      client.send({ kind: "begin" });
      client.send({ kind: "begin" });
      await client.nextOf("error");
      await client.closed();
      await server.isBackTo(idle);
    }
    await expectServes(server.port);
  });
});

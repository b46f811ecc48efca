// Options of the way that data takes: what was asked for is what the other end, the kernel and the packets show.
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { complaintOf, EXIT_FAILED, linesOf, type OurDocument } from "../support/cli.ts";
import { expectCompleted } from "../support/directions.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNamespaces, execute, type Namespace, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, type RunningProcess, startProcess } from "../support/process.ts";

setDefaultTimeout(60_000);

const PORT = 5199;
const DATA_PORTS = "7000-7003";
const SECOND_ADDRESS = "10.77.0.11";

const MODES = (["tcp", "udp"] as const).flatMap((family) =>
  (["forward", "-R"] as const).map((direction) => ({ family, direction, name: `${family} ${direction}` })),
);
type Mode = (typeof MODES)[number];

function flagsOf({ family, direction }: Pick<Mode, "family" | "direction">): string[] {
  return [...(family === "udp" ? ["-u"] : []), ...(direction === "-R" ? ["-R"] : [])];
}

async function startServer(namespace: Namespace, ...flags: string[]): Promise<RunningProcess> {
  const pools = ["--tcp-port-pool", "--tcp6-port-pool", "--udp-port-pool", "--udp6-port-pool"];
  const server = namespace.start(
    rperf("-s", "-6", "-p", `${PORT}`, ...pools.flatMap((pool) => [pool, DATA_PORTS]), ...flags),
  );
  await server.waitForOutput(/listening/);
  return server;
}

function clientArgs(host: string, ...flags: string[]): string[] {
  return rperf("-c", host, "-p", `${PORT}`, "-t", "0.6", "-f", "json", ...flags);
}

interface Facts {
  readonly dscp: number | null;
  readonly congestion: string | null;
  readonly mss: number | null;
}

function senderFacts(document: OurDocument): readonly Facts[] {
  return document.streams.map(({ sender }) => (sender as unknown as { socket: Facts }).socket);
}

/** Replaces the rules of one end by counters of what comes and goes; `rules` are of the chains' bodies. */
function countAt(namespace: Namespace, names: readonly string[], arriving: string[], leaving: string[]): void {
  namespace.loadRules(`table inet seen {
    ${names.map((name) => `counter ${name} {}`).join("\n")}
    chain arriving {
      type filter hook input priority filter
      ${arriving.join("\n")}
    }
    chain leaving {
      type filter hook output priority filter
      ${leaving.join("\n")}
    }
  }`);
}

describeWithNamespaces("--bind and --bind-dev", () => {
  test("the client's second address, and the device it is on", () =>
    withNamespaces(async ({ left, right }) => {
      execute(`ip -n ${left.name} address add ${SECOND_ADDRESS}/24 dev ${left.device}`);
      const server = await startServer(right);
      countAt(
        right,
        ["first", "second"],
        [`ip saddr ${left.ipv4} counter name first`, `ip saddr ${SECOND_ADDRESS} counter name second`],
        [],
      );
      for (const mode of MODES) {
        const before = right.counters();
        const flags = [...flagsOf(mode), "--bind", SECOND_ADDRESS, "--bind-dev", left.device];
        expectCompleted(await left.run(clientArgs(right.ipv4, ...flags)));
        const after = right.counters();
        expect(after["first"]).toBe(0);
        expect((after["second"] ?? 0) - (before["second"] ?? 0)).toBeGreaterThanOrEqual(10);
      }
      expect(server.stderr.match(/info 10\.77\.0\.11:\d+: test started/g)).toHaveLength(MODES.length);
    }));

  test("another device: nothing comes through, and the client says so", () =>
    withNamespaces(async ({ left, right }) => {
      for (const { name } of [left, right]) {
        execute(`ip -n ${name} link add other0 type veth peer name other1`);
        execute(`ip -n ${name} link set other0 up`);
      }
      await startServer(right);
      const result = await left.run(clientArgs(right.ipv4, "--bind-dev", "other0"));
      expect({ code: result.code, stdout: result.stdout }).toEqual({ code: EXIT_FAILED, stdout: "" });
      expect(complaintOf(result)).toMatch(/no answer from|ENETUNREACH|EHOSTUNREACH/);
      const server = right.start(rperf("-s", "-p", "5200", "--bind-dev", "other0"));
      await server.waitForOutput(/listening/);
      const refused = await left.run(rperf("-c", right.ipv4, "-p", "5200", "-t", "0.4"));
      expect(refused.code).toBe(EXIT_FAILED);
      expect(complaintOf(refused)).toMatch(/connection refused/);
    }));

  test("the server's: it listens there alone, and its data goes by the device", () =>
    withNamespaces(async ({ left, right }) => {
      const server = right.start(
        rperf("-s", "-p", `${PORT}`, "--bind", right.ipv4, "--bind-dev", right.device, "--tcp-port-pool", DATA_PORTS),
      );
      await server.waitForOutput(/listening on 10\.77\.0\.2 port/);
      for (const mode of MODES) {
        const client = left.start(clientArgs(right.ipv4, ...flagsOf(mode)));
        expectCompleted({ code: await client.exited, stdout: client.stdout, stderr: client.stderr });
      }
      // Long enough to be looked at in their midst.
      const lasting = (...flags: string[]) =>
        left.start(rperf("-c", right.ipv4, "-p", `${PORT}`, "-t", "2", "-R", "-b", "1m", ...flags));
      const late = lasting();
      await eventually(
        "a data connection by the device",
        () => execute(right.command(["ss", "-tnH", "state", "established", "sport", "ge", ":7000"])),
        (sockets) => sockets.includes(`10.77.0.2%${right.device}:700`),
      );
      expect(await late.exited).toBe(0);
      const single = lasting("-u", "--single-port");
      const numbers = await eventually(
        "the sockets of the one port: where hellos come, and the stream's own",
        () => linesOf(execute(right.command(["ss", "-uanH", "sport", "=", `:${PORT}`]))),
        ({ length }) => length === 2,
      );
      for (const line of numbers) expect(line).toContain(`10.77.0.2%${right.device}:${PORT}`);
      expect(await single.exited).toBe(0);
      const other = await left.run(clientArgs(right.ipv6));
      expect(other.code).toBe(EXIT_FAILED);
      expect(complaintOf(other)).toMatch(/connection refused/);
    }));
});

describeWithNamespaces("--dscp", () => {
  const VALUES = [
    ["ef", 46],
    ["af41", 34],
    ["0x2e", 46],
  ] as const;
  for (const [index, { name, ...mode }] of MODES.entries()) {
    for (const version of [4, 6] as const) {
      const [text, value] = VALUES[(index + version) % VALUES.length] ?? VALUES[0];
      test(`${name}, IPv${version}, ${text}: the sender's data is marked, and the receiver's is not`, () =>
        withNamespaces(async ({ left, right }) => {
          await startServer(right);
          const mark = `${version === 4 ? "ip" : "ip6"} dscp`;
          const rules = (port: "dport" | "sport", end: string) => [
            `${mode.family} ${port} ${DATA_PORTS} ${mark} ${value} counter name ${end}_marked`,
            `${mode.family} ${port} ${DATA_PORTS} ${mark} 0 counter name ${end}_plain`,
          ];
          const names = ["client", "server"].flatMap((end) => [`${end}_marked`, `${end}_plain`]);
          countAt(right, names, rules("dport", "client"), rules("sport", "server"));
          const host = version === 4 ? right.ipv4 : right.ipv6;
          const document = expectCompleted(
            await left.run(clientArgs(host, ...flagsOf(mode), "-b", "2m", "--dscp", text)),
          );
          expect(senderFacts(document)).toMatchObject([{ dscp: value }]);
          const counters = right.counters();
          const [sender, receiver] = mode.direction === "forward" ? ["client", "server"] : ["server", "client"];
          expect(counters[`${sender}_marked`]).toBeGreaterThan(20);
          // Its handshake, before the mark was asked for.
          expect(counters[`${sender}_plain`]).toBeLessThanOrEqual(2);
          expect(counters[`${receiver}_marked`]).toBe(0);
        }));
    }
  }
});

describeWithNamespaces("--congestion and --mss", () => {
  test.each(["reno", "cubic"])("%s is what the sender's kernel runs, both ways", (algorithm) =>
    withNamespaces(async ({ left, right }) => {
      await startServer(right);
      for (const direction of ["forward", "-R"] as const) {
        const flags = [...flagsOf({ family: "tcp", direction }), "-t", "2", "--congestion", algorithm];
        const client = left.start(
          rperf("-c", right.ipv4, "-p", `${PORT}`, "-f", "json", "-b", "2m", "-P", "2", ...flags),
        );
        const [sender, port] = direction === "forward" ? [left, "dport"] : [right, "sport"];
        await eventually(
          `two sockets of ${algorithm}`,
          () => execute(sender.command(["ss", "-tinH", "state", "established", port, "ge", ":7000"])),
          (told) => told.match(new RegExp(`\\b${algorithm}\\b`, "g"))?.length === 2,
        );
        const result = { code: await client.exited, stdout: client.stdout, stderr: client.stderr };
        expect(senderFacts(expectCompleted(result)).map(({ congestion }) => congestion)).toEqual([
          algorithm,
          algorithm,
        ]);
      }
    }),
  );

  test.each(["forward", "-R"] as const)("segments of 536 bytes at most, %s", (direction) =>
    withNamespaces(async ({ left, right }) => {
      // One segment a packet, or the counters would see what the device is to split.
      for (const { name, device } of [left, right]) execute(`ip -n ${name} link set ${device} gso_max_segs 1`);
      await startServer(right);
      // 40 bytes of headers, and 12 of the time stamps, which the segment size includes.
      const rules = (port: "dport" | "sport") => [
        `tcp ${port} ${DATA_PORTS} meta length > 576 counter name large`,
        `tcp ${port} ${DATA_PORTS} meta length 500-576 counter name small`,
      ];
      countAt(right, ["large", "small"], rules("dport"), rules("sport"));
      const flags = [...flagsOf({ family: "tcp", direction }), "-b", "8m"];
      const limited = expectCompleted(await left.run(clientArgs(right.ipv4, ...flags, "--mss", "536")));
      for (const { mss } of senderFacts(limited)) expect(mss).toBeLessThanOrEqual(536);
      const counted = right.counters();
      expect(counted["large"]).toBe(0);
      expect(counted["small"]).toBeGreaterThan(500);
      expectCompleted(await left.run(clientArgs(right.ipv4, ...flags)));
      expect(right.counters()["large"]).toBeGreaterThan(100);
    }),
  );
});

describe("what cannot be had: one line, and no test", () => {
  test.each([
    [["--bind", "203.0.113.77"], EXIT_FAILED, /binding to 203\.0\.113\.77 .*EADDRNOTAVAIL/],
    [["--bind", "::1"], 2, /different IP versions/],
    [["--bind-dev", "nope0"], EXIT_FAILED, /the interface nope0 .*ENODEV/],
    [["--congestion", "nope"], EXIT_FAILED, /congestion control by nope .*ENOENT/],
    [["--congestion", "nope", "-R"], EXIT_FAILED, /congestion control by nope .*ENOENT/],
    [["--congestion", "nope", "--bidir"], EXIT_FAILED, /congestion control by nope .*ENOENT/],
  ] as const)("%p", async (flags, code, complaint) => {
    const port = await freePort();
    const server = startProcess(rperf("-s", "-p", `${port}`));
    await server.waitForOutput(/listening/);
    const result = await run(rperf("-c", "127.0.0.1", "-p", `${port}`, "-t", "1", ...flags));
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: "" });
    expect(complaintOf(result)).toMatch(complaint);
    expect(server.stderr).not.toContain("test started");
    server.kill("SIGKILL");
  });

  test.each([
    [["--bind", "203.0.113.77"], /203\.0\.113\.77/],
    [["--bind-dev", "nope0"], /nope0/],
  ] as const)("server %p", async (flags, complaint) => {
    const result = await run(rperf("-s", "-p", `${await freePort()}`, ...flags), { timeoutMs: 30_000 });
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toMatch(complaint);
  });
});

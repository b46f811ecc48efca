// UDP offload that the kernel refuses, or stops granting: told when it was asked for, and never seen in the counters.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { complaintOf, EXIT_FAILED, expectTotalsOf, linesOf, type OurDocument, ourDocumentOf } from "../support/cli.ts";
import { testsUnless } from "../support/conditional.ts";
import {
  describeWithNamespaces,
  Namespace,
  type NamespacePair,
  testWithNamespaces,
  withNamespaces,
} from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, type RunningProcess, type RunResult, startProcess } from "../support/process.ts";
import { describeWithRefusals, noBatchesAbove, NO_UDP_OPTIONS, refusing } from "../support/refusals.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(60_000);

const linux = testsUnless(process.platform === "linux" ? null : "only Linux has UDP_SEGMENT and UDP_GRO");
const MEGABIT = 1e6 / 8;

const DIRECTIONS = [
  ["forward", []],
  ["reverse", ["-R"]],
] as const;

/** The test ran to its end, and what was sent is what was received and what was lost, exactly. */
function expectWhole(result: RunResult): OurDocument {
  expect({ code: result.code, stderr: result.code === 0 ? "" : result.stderr }).toEqual({ code: 0, stderr: "" });
  const document = ourDocumentOf(result);
  expect(document.success).toBe(true);
  expectTotalsOf(document);
  expect(document.summary.packets_sent).toBeGreaterThan(0);
  expect(document.summary.packets_received).toBeGreaterThan(0);
  expect(document.summary.packets_duplicated).toBe(0);
  return document;
}

/** Lines that tell of a fallback: by its errno's name, or that there is no offload at all. */
function fallbackLines(stderr: string): string[] {
  return linesOf(stderr).filter((line) => /EMSGSIZE|EINVAL|EIO|no UDP offload/.test(line));
}

describeWithRefusals("where the kernel knows nothing of it", () => {
  let good: RunningProcess;
  let bare: RunningProcess;
  let goodPort = "";
  let barePort = "";

  beforeAll(async () => {
    [goodPort, barePort] = [`${await freePort()}`, `${await freePort()}`];
    good = startProcess(rperf("-s", "-d", "-p", goodPort));
    bare = startProcess(refusing([NO_UDP_OPTIONS], rperf("-s", "-d", "-p", barePort)));
    await Promise.all([good, bare].map((server) => server.waitForOutput(/listening/)));
  });

  afterAll(async () => {
    for (const server of [good, bare]) server.kill("SIGINT");
    expect(await Promise.all([good, bare].map((server) => server.exited))).toEqual([0, 0]);
  });

  for (const [direction, flags] of DIRECTIONS) {
    const client = ["-c", "127.0.0.1", "-u", "-t", "1", ...flags];

    describe(`on, ${direction}`, () => {
      test.each([
        ["the client's", () => refusing([NO_UDP_OPTIONS], rperf(...client, "-p", goodPort, "--offload", "on"))],
        ["the server's", () => rperf(...client, "-p", barePort, "--offload", "on")],
      ])("%s refusal: one line, and exit 4", async (_name, command) => {
        const result = await run(command());
        expect(result.code).toBe(EXIT_FAILED);
        expect(complaintOf(result)).toContain("no UDP offload here");
      });
    });

    test.each([
      ["the client's", () => refusing([NO_UDP_OPTIONS], rperf(...client, "-p", goodPort)), () => null],
      ["the server's", () => rperf(...client, "-p", barePort), () => bare],
    ])(`auto, ${direction}: %s refusal is told with -d, and costs no packet`, async (_name, command, teller) => {
      const before = teller()?.stderr.length ?? 0;
      const result = await run([...command(), "-b", "200m", "-d", "-f", "json"]);
      const document = expectWhole(result);
      // A receiver that is put aside for 0.15 s has no room for more: that is no cost of the refusal.
      expect(document.summary).toMatchObject({ packets_lost_network: 0 });
      const told = teller()?.stderr.slice(before) ?? result.stderr;
      expect(fallbackLines(told)).toHaveLength(1);
      expect(fallbackLines(told)[0]).toContain("debug");
    });

    test(`off, ${direction}: nobody is asked, and nothing is told`, async () => {
      const command = refusing([NO_UDP_OPTIONS], rperf(...client, "-p", barePort, "--offload", "off"));
      const result = await run([...command, "-b", "200m", "-d", "-f", "json"]);
      expectWhole(result);
      expect(fallbackLines(result.stderr)).toEqual([]);
    });
  }

  test("auto says nothing without -d", async () => {
    const command = refusing([NO_UDP_OPTIONS], rperf("-c", "127.0.0.1", "-u", "-t", "1", "-p", goodPort));
    const result = await run([...command, "-b", "0", "-f", "json"]);
    expectWhole(result);
    expect(result.stderr).toBe("");
  });
});

describeWithRefusals("where a device takes no batches (EIO)", () => {
  // Less is sent as results, through a pipe that is a socket.
  const refusals = [noBatchesAbove(30_000)];

  for (const [direction, flags] of DIRECTIONS) {
    test.each([
      [direction, "auto", "debug"],
      [direction, "on", "warn"],
    ])("%s, %s: each packet leaves by itself, told once as %s", async (_direction, mode, level) => {
      const port = `${await freePort()}`;
      const server = startProcess(refusing(refusals, rperf("-s", "-d", "-p", port)));
      await server.waitForOutput(/listening/);
      const client = rperf("-c", "127.0.0.1", "-p", port, "-u", "-t", "1", "-d", "-f", "json", ...flags);
      for (const rate of ["600m", "0"]) {
        const before = server.stderr.length;
        const result = await run([...refusing(refusals, client), "-b", rate, "--offload", mode]);
        const document = expectWhole(result);
        if (rate !== "0") expect(document.summary.bytes_sent).toBeLessThanOrEqual(600 * MEGABIT);
        const told = direction === "forward" ? result.stderr : server.stderr.slice(before);
        const lines = fallbackLines(told);
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain(level);
      }
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    });
  }
});

/** Namespaces, and our server on the right, over both families. */
async function withServer(use: (pair: NamespacePair & { readonly server: RunningProcess }) => Promise<void>) {
  await withNamespaces(async ({ left, right }) => {
    const server = right.start(rperf("-s", "-6", "-d"));
    await server.waitForOutput(/listening/);
    await use({ left, right, server });
    server.kill("SIGINT");
    expect(await server.exited).toBe(0);
  });
}

describeWithNamespaces("a route that takes only small packets", () => {
  for (const [direction, flags] of DIRECTIONS) {
    const isReverse = direction === "reverse";

    test.each([
      ["200m", 25e6],
      // Packets leave one by one.
      ["10m", 1.25e6],
    ])(`from mid-test on, ${direction} at %s: the test goes on`, async (rate, bytesPerSecond) => {
      await withServer(async ({ left, right, server }) => {
        const client = left.start(
          rperf("-c", right.ipv4, "-u", "-t", "3", "-l", "1200", "-b", rate, "-d", "-f", "json", ...flags),
        );
        await client.waitForOutput(/one of ours/);
        await Bun.sleep(1_200);
        (isReverse ? right : left).setMtu(1_000);
        const result = { code: await client.exited, stdout: client.stdout, stderr: client.stderr };
        const document = expectWhole(result);
        expect(fallbackLines(isReverse ? server.stderr : client.stderr)).toHaveLength(1);
        // It went on to the end, and kept its plan.
        expect(bytesPerSecond * 3 - document.summary.bytes_sent).toBeLessThan(bytesPerSecond * 1.5);
        expect(document.streams[0]?.intervals.send.at(-1)?.["packets_sent"]).toBeGreaterThan(0);
      });
    });

    for (const [family, mtu, length, rates] of [
      ["IPv4", 1_000, 1_200, ["1m", "200m", "0"]],
      ["IPv4", 1_300, 8_000, ["200m", "0"]],
      ["IPv6", 1_300, 1_400, ["200m", "0"]],
    ] as const) {
      test.each(rates)(`from the start, ${direction}, ${family}: -l ${length} over ${mtu} at %s`, async (rate) => {
        await withServer(async ({ left, right, server }) => {
          for (const end of [left, right]) end.setMtu(mtu);
          const host = family === "IPv4" ? right.ipv4 : right.ipv6;
          const base = ["-c", host, "-u", "-t", "1", "-l", `${length}`, "-b", rate, "-f", "json", ...flags];
          for (const mode of ["auto", "on"]) {
            const before = server.stderr.length;
            const result = await left.run(rperf(...base, "-d", "--offload", mode));
            expectWhole(result);
            const told = isReverse ? server.stderr.slice(before) : result.stderr;
            expect(fallbackLines(told)).toHaveLength(1);
          }
          const off = await left.run(rperf(...base, "--offload", "off"));
          expectWhole(off);
          expect(off.stderr).toBe("");
        });
      });
    }
  }
});

/** A third namespace behind the right one, which forwards to it over a link of smaller packets. */
async function withRouter(mtu: number, use: (left: Namespace, far: Namespace) => Promise<void>): Promise<void> {
  await withNamespaces(async ({ left, right }) => {
    const far = new Namespace(right.name.replace("right", "far"), "10.78.0.2", "");
    const script = `set -e
      ip netns add ${far.name}
      ip link add link1 netns ${right.name} mtu ${mtu} type veth peer name ${far.device} netns ${far.name}
      ip -n ${right.name} address add 10.78.0.1/24 dev link1
      ip -n ${right.name} link set link1 up
      ip -n ${far.name} address add ${far.ipv4}/24 dev ${far.device}
      ip -n ${far.name} link set ${far.device} up
      ip -n ${far.name} route add default via 10.78.0.1
      ip -n ${left.name} route add 10.78.0.0/24 via ${right.ipv4}
      ip netns exec ${right.name} sysctl -qw net.ipv4.ip_forward=1`;
    try {
      const made = await run(["sh", "-c", script]);
      expect(made).toEqual({ code: 0, stdout: "", stderr: "" });
      await use(left, far);
    } finally {
      await run(["ip", "netns", "delete", far.name]);
    }
  });
}

describeWithNamespaces("a router that takes only small packets, and says so (ICMP)", () => {
  for (const mode of ["auto", "off"]) {
    test.each(["1m", "10m", "200m", "0"])(`offload ${mode}, at %s: the test goes on in fragments`, async (rate) => {
      await withRouter(1_000, async (left, far) => {
        const server = far.start(rperf("-s"));
        await server.waitForOutput(/listening/);
        const client = ["-c", far.ipv4, "-u", "-t", "1", "-l", "1200", "-b", rate, "--offload", mode, "-f", "json"];
        const document = expectWhole(await left.run(rperf(...client)));
        // The first ones, until the router has answered.
        expect(document.summary.packets_lost).toBeLessThan((document.summary.packets_sent ?? 0) / 10);
        server.kill("SIGINT");
        expect(await server.exited).toBe(0);
      });
    });
  }
});

describe("the largest packets there are", () => {
  const flags = ["-u", "-t", "1", "-l", "65507", "-f", "json"];

  for (const rate of ["10m", "1g", "0"]) {
    test(`over loopback at ${rate}`, async () => {
      const port = `${await freePort()}`;
      const server = startProcess(rperf("-s", "-p", port));
      await server.waitForOutput(/listening/);
      for (const [, direction] of DIRECTIONS) {
        for (const mode of ["auto", "off"]) {
          const client = ["-c", "127.0.0.1", "-p", port, ...flags, "-b", rate, "--offload", mode];
          const document = expectWhole(await run(rperf(...client, ...direction)));
          expect(document.summary.framed_packet_size).toBe(65_515);
        }
      }
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    });

    testWithNamespaces(`in fragments at ${rate}`, () =>
      withServer(async ({ left, right }) => {
        for (const [, direction] of DIRECTIONS) {
          for (const mode of ["auto", "off"]) {
            const client = ["-c", right.ipv4, ...flags, "-b", rate, "--offload", mode];
            expectWhole(await left.run(rperf(...client, ...direction)));
          }
        }
      }),
    );
  }

  test("one byte more is refused before anything is sent", async () => {
    const result = await run(rperf("-c", "127.0.0.1", "-u", "-l", "65508"));
    expect(result.code).toBe(2);
    expect(complaintOf(result)).toContain("65507");
  });
});

linux.describe("totals with omitted time", () => {
  let server: RunningProcess;
  let port = "";

  beforeAll(async () => {
    port = `${await freePort()}`;
    server = startProcess(rperf("-s", "-p", port));
    await server.waitForOutput(/listening/);
  });

  afterAll(async () => {
    server.kill("SIGINT");
    expect(await server.exited).toBe(0);
  });

  for (const [direction, flags] of DIRECTIONS) {
    for (const mode of ["auto", "on", "off"]) {
      test.each(["1m", "300m", "0"])(`${direction}, offload ${mode}, at %s`, async (rate) => {
        const client = ["-c", "127.0.0.1", "-p", port, "-u", "-t", "1.8", "-O", "1", "-P", "2", "-f", "json"];
        const result = await run(rperf(...client, "-b", rate, "--offload", mode, ...flags));
        const document = expectWhole(result);
        expect(result.stderr).toBe("");
        if (rate !== "1m") return;
        // The boundary falls between two packets; a sender that is put aside across it has a second of the plan more or less.
        for (const { intervals } of document.streams) {
          expect(intervals.summary.bytes_sent).toBeWithin(0.2 * MEGABIT, 1.8 * MEGABIT);
        }
      });
    }
  }
});

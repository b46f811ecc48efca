// --client-port: the data comes from these source ports and no others.
import { expect, setDefaultTimeout, test } from "bun:test";

import { complaintOf, EXIT_FAILED } from "../support/cli.ts";
import { expectCompleted } from "../support/directions.ts";
import { describeWithNamespaces, type Namespace, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, startProcess } from "../support/process.ts";

setDefaultTimeout(60_000);

const PORT = 5199;
const FIRST = 7000;
const STREAMS = 2;

/** Counts at the server's end what comes from, or goes to, each client port that a test may have, and all others. */
function countPorts(server: Namespace, family: "tcp" | "udp", isSinglePort: boolean): void {
  const ports = Array.from({ length: 2 * STREAMS }, (_, index) => FIRST + index);
  // The control connection has a port of its own, of which nothing was asked: its data connections have the same there.
  const control = family === "tcp" ? `tcp dport ${PORT}` : "meta l4proto tcp";
  const range = `${FIRST}-${FIRST + 2 * STREAMS - 1}`;
  const others = isSinglePort && family === "tcp" ? "" : `${family} sport != ${range} counter name other`;
  server.loadRules(`table inet ports {
    ${ports.map((port) => `counter p${port} {}`).join("\n")}
    counter other {}
    chain arriving {
      type filter hook input priority filter
      ${ports.map((port) => `${family} sport ${port} counter name p${port} accept`).join("\n")}
      ${control} accept
      ${others}
    }
    chain leaving {
      type filter hook output priority filter
      ${ports.map((port) => `${family} dport ${port} counter name p${port}`).join("\n")}
    }
  }`);
}

describeWithNamespaces("source ports as the server sees them", () => {
  for (const family of ["tcp", "udp"] as const) {
    for (const way of ["", "--single-port"]) {
      for (const direction of ["", "-R", "--bidir"]) {
        const sockets = direction === "--bidir" ? 2 * STREAMS : STREAMS;
        test(`${family} ${direction || "forward"} ${way || "over ordinary ports"}`, () =>
          withNamespaces(async ({ left, right }) => {
            const server = right.start(rperf("-s", "-6", "-p", `${PORT}`));
            await server.waitForOutput(/listening/);
            countPorts(right, family, way !== "");
            const ports = `${FIRST}-${FIRST + sockets - 1}`;
            const flags = [family === "udp" ? "-u" : "", direction, way].filter((flag) => flag !== "");
            const fixed = ["-t", "0.4", "-b", "4m", "-P", `${STREAMS}`, "-f", "json", "--client-port", ports];
            // IPv6 now and then; again at once, for what the last connections left behind is still there.
            for (const host of [right.ipv4, right.ipv4, right.ipv6]) {
              const before = right.counters();
              expectCompleted(await left.run(rperf("-c", host, "-p", `${PORT}`, ...fixed, ...flags)));
              const after = right.counters();
              const packets = (name: string) => (after[name] ?? Number.NaN) - (before[name] ?? Number.NaN);
              for (let index = 0; index < 2 * STREAMS; index += 1) {
                const seen = packets(`p${FIRST + index}`);
                if (index < sockets) expect(seen).toBeGreaterThan(5);
                else expect(seen).toBe(0);
              }
              expect(packets("other")).toBe(0);
            }
          }));
      }
    }
  }
});

for (const family of ["tcp", "udp"] as const) {
  for (const direction of ["", "-R"]) {
    test(`a port that is taken: one line, ${family} ${direction || "forward"}`, async () => {
      const [port, taken] = [await freePort(), await freePort()];
      const server = startProcess(rperf("-s", "-p", `${port}`));
      await server.waitForOutput(/listening/);
      const holder =
        family === "tcp"
          ? Bun.listen({ hostname: "127.0.0.1", port: taken, socket: { data() {} } })
          : await Bun.udpSocket({ hostname: "127.0.0.1", port: taken });
      const flags = [family === "udp" ? "-u" : "", direction].filter((flag) => flag !== "");
      const result = await run(
        rperf("-c", "127.0.0.1", "-p", `${port}`, "-t", "1", "--client-port", `${taken}`, ...flags),
      );
      if ("stop" in holder) holder.stop(true);
      else holder.close();
      expect(result.code).toBe(EXIT_FAILED);
      expect(result.stdout).toBe("");
      expect(complaintOf(result)).toMatch(new RegExp(`port ${taken}.*EADDRINUSE`));
      server.kill("SIGKILL");
    });
  }
}

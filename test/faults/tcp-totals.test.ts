// TCP totals: what was sent is what was received, also of a connection that broke; or the result says what is not known.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:net";

import { EXIT_FAILED, expectTotalsOf, type OurDocument, ourDocumentOf } from "../support/cli.ts";
import { type Measured, measuredOf } from "../support/directions.ts";
import { eventually, within } from "../support/eventually.ts";
import { describeWithNamespaces, execute, type Namespace, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { rperf, type RunningProcess, type RunResult, startProcess } from "../support/process.ts";
import { uploadConfiguration } from "../support/raw-client.ts";
import { WatchedServer } from "../support/watched-server.ts";

setDefaultTimeout(60_000);

const PORT = 5199;
/** The server's data ports, the first of the stream that is broken. */
const BROKEN_PORT = 7000;
/** Slower than the processes: what they send waits in the sender's kernel. */
const LINK_BITS_PER_SECOND = 50e6;

interface TcpSummary {
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly bytes_undelivered: number | null;
}

function summaryOf(stream: OurDocument["streams"][number]): TcpSummary {
  return stream.intervals.summary as unknown as TcpSummary;
}

function sumOf(intervals: readonly Readonly<Record<string, number | null>>[], key: string): number {
  return intervals.reduce((sum, interval) => sum + (interval[key] ?? 0), 0);
}

/** Every stream's, and that nothing left its intervals. */
function expectEqualTotals(measured: Measured): void {
  expectTotalsOf({ ...measured, config: { upload: {}, download: {}, common: {}, additional: {} }, success: false });
  for (const stream of measured.streams) {
    const { bytes_sent: sent, bytes_received: received, bytes_undelivered: undelivered } = summaryOf(stream);
    expect(sent + (undelivered ?? Number.NaN)).toBe(sumOf(stream.intervals.send, "bytes_sent"));
    expect(received).toBe(sumOf(stream.intervals.receive, "bytes_received"));
  }
}

/** Ends every connection over `port` that has an end here, both ends by a reset. */
function killConnections(namespace: Namespace, port: number): void {
  const filter = ["(", "sport", "=", `:${port}`, "or", "dport", "=", `:${port}`, ")"];
  const killed = execute(namespace.command(["ss", "-K", "-Htn", "state", "established", ...filter]));
  // A kernel that cannot do it says nothing of it.
  expect(killed).toContain(`:${port}`);
}

/** The receiver's firewall resets the sender; the receiver itself hears of nothing. */
function rejectAt(namespace: Namespace, key: "sport" | "dport", port: number): void {
  namespace.loadRules(`table inet spoiler {
    chain arriving {
      type filter hook input priority filter
      tcp ${key} ${port} reject with tcp reset
    }
  }`);
}

interface Break {
  readonly name: string;
  readonly flags: readonly string[];
  readonly sender: "client" | "server";
  readonly break: (client: Namespace, server: Namespace) => void;
}

const BREAKS: readonly Break[] = (["client", "server"] as const).flatMap((sender) => {
  const flags = sender === "client" ? [] : ["-R"];
  const mode = sender === "client" ? "forward" : "reverse";
  return [
    {
      name: `${mode}, the sender's system aborts`,
      flags,
      sender,
      break: (client, server) => killConnections(sender === "client" ? client : server, BROKEN_PORT),
    },
    {
      name: `${mode}, the receiver's system aborts`,
      flags,
      sender,
      break: (client, server) => killConnections(sender === "client" ? server : client, BROKEN_PORT),
    },
    {
      name: `${mode}, a firewall resets the sender alone`,
      flags,
      sender,
      break: (client, server) =>
        sender === "client" ? rejectAt(server, "dport", BROKEN_PORT) : rejectAt(client, "sport", BROKEN_PORT),
    },
  ] satisfies Break[];
});

describeWithNamespaces("a data connection that is reset in mid-test", () => {
  async function runBroken(flags: readonly string[], breakIt: Break["break"]): Promise<RunResult> {
    return withNamespaces(async ({ left: client, right: server }) => {
      client.setRate(LINK_BITS_PER_SECOND);
      server.setRate(LINK_BITS_PER_SECOND);
      const serving = server.start(
        rperf("-s", "-p", `${PORT}`, "--tcp-port-pool", `${BROKEN_PORT}-${BROKEN_PORT + 3}`),
      );
      await serving.waitForOutput(/listening/);
      const args = ["-c", server.ipv4, "-p", `${PORT}`, "-t", "3.5", "-b", "0", "-f", "json", ...flags];
      const running = client.start(rperf(...args));
      await serving.waitForOutput(/test started/);
      await Bun.sleep(1_300);
      breakIt(client, server);
      const code = await within("the client's end", running.exited, 15_000);
      serving.kill("SIGKILL");
      await serving.exited;
      return { code, stdout: running.stdout, stderr: running.stderr };
    });
  }

  test.each(BREAKS)("$name", async ({ flags, break: breakIt }) => {
    const result = await runBroken([...flags, "-P", "2"], breakIt);
    expect(result.code).toBe(EXIT_FAILED);
    const document = ourDocumentOf(result);
    expect(document.outcome).toBe("failed");
    const [broken, whole] = document.streams;
    if (broken === undefined || whole === undefined) throw new Error("there are not two streams");
    expect(broken.sender.outcome).toBe("failed");
    expect(broken.receiver.outcome).toBe("failed");
    expect(summaryOf(broken).bytes_sent).toBeGreaterThan(1_000_000);
    expect(summaryOf(broken).bytes_undelivered).toBeGreaterThan(0);
    expect([whole.sender.outcome, whole.receiver.outcome]).toEqual(["completed", "completed"]);
    expect(summaryOf(whole).bytes_undelivered).toBe(0);
    expect(summaryOf(whole).bytes_sent).toBeGreaterThan(summaryOf(broken).bytes_sent);
    expectEqualTotals(document);
  });

  test("one of both directions", async () => {
    const result = await runBroken(["--bidir"], (client) => killConnections(client, BROKEN_PORT));
    expect(result.code).toBe(EXIT_FAILED);
    const measured = measuredOf(ourDocumentOf(result));
    expect(measured.map(({ streams }) => streams[0]?.sender.outcome)).toEqual(["failed", "completed"]);
    for (const one of measured) expectEqualTotals(one);
  });
});

describe("a receiver that closes its sending side and reads on", () => {
  let server: WatchedServer;

  beforeAll(async () => {
    server = await WatchedServer.start();
  });

  afterAll(() => server.kill());

  test("does not end the test, and all that was sent arrives", async () => {
    let receivedBytes = 0;
    const over = Promise.withResolvers<void>();
    const receiver = createServer({ allowHalfOpen: true }, (socket) => {
      socket.end();
      socket.on("data", (chunk) => {
        receivedBytes += chunk.length;
      });
      socket.on("end", over.resolve);
      socket.on("error", over.reject);
    });
    const listening = Promise.withResolvers<void>();
    receiver.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const address = receiver.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const client = await server.connect();
    await client.configure(uploadConfiguration({ bandwidth: 1e6, duration: 1.5, stream_ports: [port] }));
    client.send({ kind: "begin" });
    expect(await client.nextOf("done")).toMatchObject({ stream_idx: 0 });
    await within("the end of the data", over.promise);
    client.send({ kind: "end" });
    await client.closed();
    receiver.close();
    const sends = client.messages.filter(({ kind }) => kind === "send");
    expect(sends.length).toBeGreaterThanOrEqual(2);
    const sentBytes = sends.reduce((sum, { bytes_sent: bytes }) => sum + Number(bytes), 0);
    // All of the plan, but for what a sender that is put aside at its end leaves out.
    expect(sentBytes).toBeGreaterThan(900_000);
    expect(receivedBytes).toBe(sentBytes);
  });
});

/** A test over loopback, up to some moment of it. */
async function startTest(...flags: string[]): Promise<{ server: RunningProcess; client: RunningProcess }> {
  const port = await freePort();
  const server = startProcess(rperf("-s", "-p", `${port}`));
  await server.waitForOutput(/listening/);
  const client = startProcess(rperf("-c", "127.0.0.1", "-p", `${port}`, "-P", "2", "-f", "json", ...flags));
  await server.waitForOutput(/test started/);
  return { server, client };
}

async function resultOf(client: RunningProcess, limitMs: number): Promise<RunResult> {
  const code = await within("the client's end", client.exited, limitMs);
  return { code, stdout: client.stdout, stderr: client.stderr };
}

test.concurrent("a sender that is killed: nothing that its system still delivers makes the test complete", async () => {
  const { server, client } = await startTest("-R", "-t", "20", "-b", "80m", "--resume-timeout", "1");
  await Bun.sleep(2_500);
  server.kill("SIGKILL");
  const result = await resultOf(client, 30_000);
  expect(result.code).toBe(EXIT_FAILED);
  const document = ourDocumentOf(result);
  expect(["partial", "failed"]).toContain(document.outcome);
  for (const { sender, intervals } of document.streams) {
    expect(sender.outcome).toBe("partial");
    // It was reported of for one second, and more of it came.
    const summary = intervals.summary as unknown as TcpSummary;
    expect(summary.bytes_received).toBeGreaterThanOrEqual(summary.bytes_sent);
    expect(summary.bytes_received).toBe(sumOf(intervals.receive, "bytes_received"));
    expect(summary.bytes_undelivered).toBeNull();
  }
});

describe("a receiver that is stopped", () => {
  for (const direction of ["forward", "reverse"] as const) {
    const flags = direction === "forward" ? [] : ["-R"];

    test.concurrent(`${direction}, for two seconds: the test completes, with totals that match`, async () => {
      const { server, client } = await startTest(...flags, "-t", "4", "-b", "400m");
      await Bun.sleep(1_000);
      const receiver = direction === "forward" ? server : client;
      receiver.kill("SIGSTOP");
      await Bun.sleep(2_000);
      receiver.kill("SIGCONT");
      const result = await resultOf(client, 20_000);
      server.kill("SIGKILL");
      expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
      const document = ourDocumentOf(result);
      expect(sumOf(document.streams[0]?.intervals.send ?? [], "sends_blocked")).toBeGreaterThan(0);
      expectEqualTotals(document);
    });
  }

  test.concurrent(
    "the server's, for good: the client ends in bounded time, and says that it knows a part",
    async () => {
      const { server, client } = await startTest("-t", "5", "-b", "400m", "--resume-timeout", "1");
      await Bun.sleep(1_000);
      server.kill("SIGSTOP");
      const result = await resultOf(client, 25_000);
      server.kill("SIGKILL");
      expect(result.code).toBe(EXIT_FAILED);
      const document = ourDocumentOf(result);
      expect(document.outcome).toBe("partial");
      for (const stream of document.streams) {
        expect(stream.receiver.outcome).toBe("partial");
        // As much as its kernel took, and not what waits in this one's.
        const summary = summaryOf(stream);
        expect(summary.bytes_undelivered).toBeGreaterThan(0);
        expect(summary.bytes_sent).toBeGreaterThanOrEqual(summary.bytes_received);
      }
    },
  );

  test.concurrent("the client's, for good: the server holds nothing for it in bounded time", async () => {
    const server = await WatchedServer.start();
    const idle = server.holdings;
    const args = ["-c", "127.0.0.1", "-p", `${server.port}`, "-R", "-t", "2", "-b", "400m", "--resume-timeout", "1"];
    const client = startProcess(rperf(...args));
    await eventually(
      "the start of the test",
      () => server.events.some(({ type }) => type === "test-started"),
      (hasStarted) => hasStarted,
    );
    await Bun.sleep(700);
    client.kill("SIGSTOP");
    await server.isBackTo(idle, 30_000);
    client.kill("SIGKILL");
    await client.exited;
    server.kill();
  });
});

// The control port behind TLS: who is reached is who was meant, whoever relays; plain and TLS do not meet in silence.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { connect as connectTls } from "node:tls";

import { ATTACKER, AUTHORITY, type Certificate, ELSEWHERE, SERVER } from "../support/certificates.ts";
import { makePolicy, runClient, startServer } from "../../src/index.ts";
import { complaintOf, EXIT_FAILED, expectTotalsOf, linesOf, ourDocumentOf } from "../support/cli.ts";
import { ControlProxy } from "../support/control-proxy.ts";
import { eventually, within } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, startProcess } from "../support/process.ts";
import { connectTcp, downloadConfiguration, RawClient } from "../support/raw-client.ts";
import { reference, testWithReference } from "../support/reference.ts";
import { expectResumed } from "../support/resumed-through-cut.ts";
import { runSecured, SecretFiles, type SecuredServer, startSecured } from "../support/secured.ts";
import { descriptorsOf } from "../support/watched-server.ts";

const files = new SecretFiles();
const AUTHORITIES = files.write("authority.pem", AUTHORITY, 0o644);
const KEY = files.write("key", `probe ${Buffer.alloc(32, 7).toString("base64")}`);
const fingerprintOf = ({ cert }: Certificate) => new X509Certificate(cert).fingerprint256;

function identity(name: string, { cert, key }: Certificate): string[] {
  return ["--tls-cert", files.write(`${name}.pem`, cert, 0o644), "--tls-key", files.write(`${name}.key`, key)];
}

const servers: SecuredServer[] = [];
afterAll(() => {
  for (const { process } of servers) process.kill("SIGKILL");
});

async function start(...args: readonly string[]): Promise<SecuredServer> {
  const server = await startSecured(...args);
  servers.push(server);
  return server;
}

let open: SecuredServer;
let keyed: SecuredServer;
let plain: SecuredServer;
/** Connects in the beginning and says nothing: that takes five seconds. */
let silent: RawClient;
let silentSinceMs: number;
beforeAll(async () => {
  const server = identity("server", SERVER);
  [open, keyed, plain] = await Promise.all([start(...server), start(...server, "--key-file", KEY), start()]);
  silent = await RawClient.connect(open.port);
  silentSinceMs = performance.now();
});

describe("a server that is trusted", () => {
  test("by its fingerprint, by an authority, by address and by name, with a key and without", async () => {
    const pinned = ["--tls-fingerprint", fingerprintOf(SERVER)];
    const plainPin = ["--tls-fingerprint", fingerprintOf(SERVER).replaceAll(":", "").toLowerCase()];
    const results = await Promise.all([
      runSecured(open.port, ...pinned, "--bidir"),
      runSecured(open.port, ...plainPin, "-R", "--legacy-dial"),
      runSecured(open.port, "--tls-ca", AUTHORITIES, "-u", "--bidir", "--single-port"),
      run(rperf("-c", "localhost", "-p", `${open.port}`, "-t", "0.3", "-f", "json", "--tls-ca", AUTHORITIES)),
      runSecured(keyed.port, ...pinned, "--key-file", KEY, "--bidir"),
      runSecured(keyed.port, "--tls-ca", AUTHORITIES, "--key-file", KEY, "-u", "-R"),
    ]);
    for (const { stderr, code } of results) expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  });

  test("has no data of TCP on the port that speaks TLS, and says so", async () => {
    const result = await runSecured(open.port, "--tls-ca", AUTHORITIES, "--single-port", "-R");
    expect(result.code).toBe(0);
    expect(complaintOf(result)).toContain("the server does not take data over its control port");
    expectTotalsOf(ourDocumentOf(result));
  });

  test("is resumed by TLS", async () => {
    const proxy = await ControlProxy.start(open.port, { tls: ATTACKER });
    // With a first result that comes long before the end.
    const flags = ["-t", "2", "--interval", "0.3", "-f", "json"];
    const client = startProcess(rperf("-c", "127.0.0.1", "-p", `${proxy.port}`, "--tls-ca", AUTHORITIES, ...flags));
    await expectResumed(proxy, client);
    expect(proxy.fromBoth.client.filter(({ kind }) => kind === "resume")).toHaveLength(1);
    proxy.stop();
  });
});

describe("a server that is not", () => {
  const where = () => `127.0.0.1:${open.port}`;

  async function complaintWith(port: number, ...args: readonly string[]): Promise<string> {
    const result = await runSecured(port, ...args);
    expect(result.code).toBe(EXIT_FAILED);
    return complaintOf(result);
  }

  test("has another fingerprint", async () => {
    const found = fingerprintOf(SERVER).replaceAll(":", "").toLowerCase();
    expect(await complaintWith(open.port, "--tls-fingerprint", fingerprintOf(ATTACKER))).toBe(
      `rperf: the certificate of ${where()} is not that of --tls-fingerprint: its SHA-256 is ${found}`,
    );
  });

  test("is vouched for by nobody that the system knows", async () => {
    const complaint = await complaintWith(open.port, "--tls");
    expect(complaint).toStartWith(`rperf: the certificate of ${where()} is not trusted: `);
  });

  test("has another's name, unless it is known by its fingerprint", async () => {
    const elsewhere = await start(...identity("elsewhere", ELSEWHERE));
    const complaint = await complaintWith(elsewhere.port, "--tls-ca", AUTHORITIES);
    expect(complaint).toStartWith(`rperf: the certificate of 127.0.0.1:${elsewhere.port} is not trusted: `);
    const named = rperf("-c", "localhost", "-p", `${elsewhere.port}`, "--tls-ca", AUTHORITIES);
    expect(complaintOf(await run(named))).toContain("elsewhere.example");
    expect((await runSecured(elsewhere.port, "--tls-fingerprint", fingerprintOf(ELSEWHERE))).code).toBe(0);
  });

  test("is somebody between, with a certificate of his own: pinned, he is not spoken to", async () => {
    const proxy = await ControlProxy.start(keyed.port, { tls: ATTACKER });
    const complaint = await complaintWith(proxy.port, "--tls-fingerprint", fingerprintOf(SERVER), "--key-file", KEY);
    expect(complaint).toContain("is not that of --tls-fingerprint");
    expect(proxy.fromBoth.client).toEqual([]);
    proxy.stop();
  });

  test("is somebody between whom an authority vouches for: the key is not proven to him", async () => {
    const proxy = await ControlProxy.start(keyed.port, { tls: ATTACKER });
    const complaint = await complaintWith(proxy.port, "--tls-ca", AUTHORITIES, "--key-file", KEY);
    expect(complaint).toContain("does not know this key");
    expect(proxy.fromBoth.client.map(({ kind }) => kind)).toEqual(["configuration"]);
    expect(proxy.fromBoth.server.map(({ kind }) => kind)).toEqual(["challenge"]);
    proxy.stop();
  });
});

describe("plain and TLS", () => {
  test("a plain client at a server with TLS: it asks whether that was meant", async () => {
    const result = await runSecured(open.port);
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toMatch(
      new RegExp(
        `^rperf: 127\\.0\\.0\\.1:${open.port} .*before it answered \\(is it rperf\\? does it ask for --tls\\?\\)$`,
      ),
    );
  });

  testWithReference("an original client: its connection ends, and the server goes on", async () => {
    const { stderr } = await run(reference("-c", "127.0.0.1", "-p", `${open.port}`, "-t", "1"));
    expect(stderr).toMatch(/ERROR/);
    expect((await runSecured(open.port, "--tls-ca", AUTHORITIES, "-t", "0.2")).code).toBe(0);
  });

  test("a client with TLS at a plain server: both say so at once", async () => {
    const result = await runSecured(plain.port, "--tls-ca", AUTHORITIES);
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toBe(
      `rperf: no TLS 1.3 with 127.0.0.1:${plain.port} (WRONG_VERSION_NUMBER); is it rperf with --tls-cert?`,
    );
    await plain.process.waitForOutput(/refused: TLS is not spoken here/);
  });

  testWithReference(
    "a client with TLS at an original server: not for ever",
    async () => {
      const port = await freePort();
      const original = startProcess(reference("-s", "-p", `${port}`));
      await original.waitForOutput(/listening/);
      const result = await runSecured(port, "--tls-ca", AUTHORITIES);
      original.kill("SIGKILL");
      expect(result.code).toBe(EXIT_FAILED);
      expect(complaintOf(result)).toContain(`no TLS`);
    },
    20_000,
  );

  test("junk ends at once and is no client, half of a handshake after five seconds", async () => {
    const before = descriptorsOf(open.process.pid);
    const refusals = () => linesOf(open.process.stderr).filter((line) => line.includes("refused"));
    const refusedBefore = refusals().length;
    for (const junk of ["GET / HTTP/1.1\r\n\r\n", "\u0000\u0002{}", "x".repeat(5_000)]) {
      const client = await connectTcp(open.port);
      const closed = new Promise((resolve) => {
        client.once("close", resolve);
      });
      client.write(junk);
      await closed;
    }
    const client = await RawClient.connect(open.port);
    client.send(downloadConfiguration());
    await client.closed();
    expect(client.messages).toEqual([]);
    expect(refusals()).toHaveLength(refusedBefore);
    await silent.closed(10_000);
    expect(performance.now() - silentSinceMs).toBeGreaterThan(4_500);
    await eventually(
      "nothing more than before",
      () => descriptorsOf(open.process.pid),
      (descriptors) => descriptors <= before,
    );
  }, 20_000);
});

describe("files", () => {
  test.each<[string, () => readonly string[], RegExp]>([
    [
      "a private key that others can read",
      () => ["--tls-cert", AUTHORITIES, "--tls-key", files.write("shown.key", SERVER.key, 0o644)],
      /^rperf: --tls-key .*shown\.key is open to others \(mode 0644\); run: chmod 600 .*shown\.key$/,
    ],
    [
      "a key of another certificate",
      () => ["--tls-cert", AUTHORITIES, "--tls-key", files.write("other.key", ATTACKER.key)],
      /^rperf: --tls-key is not the key of the certificate in --tls-cert$/,
    ],
    ["a certificate without a key", () => ["--tls-cert", AUTHORITIES], /--tls-cert and --tls-key belong together/],
    [
      "a key that is none",
      () => ["--tls-cert", AUTHORITIES, "--tls-key", files.write("no.key", "no key")],
      /^rperf: --tls-key must be a private key in PEM, without a passphrase$/,
    ],
    [
      "a certificate that is none",
      () => ["--tls-cert", files.write("no.pem", "no"), "--tls-key", files.write("s.key", SERVER.key)],
      /^rperf: --tls-cert holds no certificate in PEM/,
    ],
    [
      "a file that is not there",
      () => ["--tls-cert", "/nowhere/x", "--tls-key", KEY],
      /--tls-cert \/nowhere\/x cannot/,
    ],
  ])("%s", async (_name, args, complaint) => {
    const result = await run(rperf("-s", "-p", `${await freePort()}`, ...args()));
    expect(result.code).toBe(2);
    expect(complaintOf(result)).toMatch(complaint);
  });
});

test("a server that is told to stop waits for no handshake", async () => {
  const server = await startServer({ bindAddress: "127.0.0.1", port: 0, tls: SERVER });
  const client = await RawClient.connect(server.port);
  await eventually(
    "the client is there",
    () => server.clients,
    (count) => count === 1,
  );
  const stopped = server.stop("the test ended");
  // Whoever has TLS is given longer to close.
  await within("the close of the connection", client.closed(), 900);
  await stopped;
  expect(server.clients).toBe(0);
});

describe("another certificate", () => {
  const POLICY = makePolicy({});

  test("is read at SIGHUP: for those who come, while tests run on; a wrong one changes nothing, and is said", async () => {
    const args = identity("renewed", SERVER);
    const server = await start(...args);
    const idle = descriptorsOf(server.process.pid);
    const running = runSecured(server.port, "--tls-fingerprint", fingerprintOf(SERVER), "-t", "3", "--bidir");
    await server.process.waitForOutput(/test started/);
    identity("renewed", ELSEWHERE);
    server.process.kill("SIGHUP");
    await server.process.waitForOutput(/info reloaded/);
    const pinned = ["--tls-fingerprint", fingerprintOf(ELSEWHERE)];
    expect((await runSecured(server.port, ...pinned)).code).toBe(0);
    const refused = await runSecured(server.port, "--tls-fingerprint", fingerprintOf(SERVER));
    expect(complaintOf(refused)).toContain("is not that of --tls-fingerprint");
    files.write("renewed.key", SERVER.key);
    server.process.kill("SIGHUP");
    await server.process.waitForOutput(/error not reloaded, all stays as it was: --tls-key is not the key/);
    expect((await runSecured(server.port, ...pinned)).code).toBe(0);
    const { stderr, code } = await running;
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    await eventually(
      "the descriptors as they were",
      () => descriptorsOf(server.process.pid),
      (count) => count === idle,
    );
  });

  test("keeps out nobody who comes in that moment, and leaves nothing behind", async () => {
    const server = await startServer({ bindAddress: "127.0.0.1", port: 0, tls: SERVER });
    const idle = descriptorsOf(process.pid);
    const over = new AbortController();
    let renewals = 0;
    const renewing = (async () => {
      for (; !over.signal.aborted; renewals++) {
        server.reload(POLICY, renewals % 2 === 0 ? ATTACKER : SERVER);
        if (renewals % 20 === 0) Bun.gc(true);
        await Bun.sleep(1);
      }
    })();
    const test = {
      host: "127.0.0.1",
      port: server.port,
      durationSeconds: 0.3,
      tls: { ca: AUTHORITY, fingerprint: null },
    };
    for (let round = 0; round < 5; round++) {
      const results = await Promise.all(Array.from({ length: 4 }, () => runClient(test)));
      expect(results.map(({ success, outages }) => ({ success, outages }))).toEqual(
        results.map(() => ({ success: true, outages: [] })),
      );
    }
    over.abort();
    await renewing;
    expect(renewals).toBeGreaterThan(100);
    await eventually(
      "the descriptors as they were",
      () => descriptorsOf(process.pid),
      (count) => count <= idle,
    );
    await server.stop("the test ended");
    const late = runClient(test).catch((error: unknown) => error);
    expect(await late).toMatchObject({ code: "connect-refused" });
  });

  test("lets connections that came before it live on, to the end of the server", async () => {
    const server = await startServer({ bindAddress: "127.0.0.1", port: 0, tls: SERVER });
    const client = connectTls({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false });
    const closed = Promise.withResolvers<void>();
    client.once("close", () => closed.resolve());
    client.on("error", () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    client.once("secureConnect", resolve);
    await promise;
    server.reload(POLICY, ATTACKER);
    await Bun.sleep(200);
    expect({ clients: server.clients, isClosed: client.destroyed }).toEqual({ clients: 1, isClosed: false });
    await server.stop("the test ended");
    expect(server.clients).toBe(0);
    await within("the close of the connection", closed.promise, 1_000);
  });

  test("is refused where there was none, or where it is none", async () => {
    const server = await startServer({ bindAddress: "127.0.0.1", port: 0 });
    expect(() => server.reload(POLICY, SERVER)).toThrow(expect.objectContaining({ code: "usage" }));
    const broken = { cert: SERVER.cert, key: ATTACKER.key };
    expect(() => server.reload(POLICY, broken)).toThrow(/is not the key of the certificate/);
    await server.stop("the test ended");
  });
});

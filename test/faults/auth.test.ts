// Keys: who has one gets a test that nobody else could have had, who has not gets nothing, and nobody learns which was wrong.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { runClient, RperfError } from "../../src/index.ts";
import { exchangeOf } from "../../src/protocol/auth.ts";
import { complaintOf, EXIT_FAILED, expectTotalsOf, linesOf, ourDocumentOf } from "../support/cli.ts";
import { ControlProxy } from "../support/control-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, startProcess } from "../support/process.ts";
import {
  downloadConfiguration,
  frameOf,
  RawClient,
  type RawMessage,
  uploadConfiguration,
} from "../support/raw-client.ts";
import { reference, describeWithReference, testWithReference } from "../support/reference.ts";
import { expectResumed } from "../support/resumed-through-cut.ts";
import { runSecured, SecretFiles, type SecuredServer, startSecured } from "../support/secured.ts";
import { descriptorsOf, workersOf } from "../support/watched-server.ts";

const SECRETS = [0, 1, 2].map((first) => Buffer.from(Array.from({ length: 32 }, (_, index) => first + index)));
const [SECRET = Buffer.alloc(0), OTHER_SECRET = Buffer.alloc(0), WRONG_SECRET = Buffer.alloc(0)] = SECRETS;
const line = (id: string, secret: Buffer) => `${id} ${secret.toString("base64")}`;

const files = new SecretFiles();
const SERVER_KEYS = files.write("keys", `# ours\n${line("probe", SECRET)}\n${line("mast", OTHER_SECRET)}\n`);
const RIGHT = files.write("right", line("probe", SECRET));
const WRONG = files.write("wrong", line("probe", WRONG_SECRET));
const UNKNOWN = files.write("unknown", line("nobody", SECRET));
const NOT_TAKEN = { kind: "error", message: "the server does not take this key: its id or its secret is another's" };
const NO_ID = Array.from({ length: 16 }, () => 0);

const servers: SecuredServer[] = [];
afterAll(() => {
  for (const { process } of servers) process.kill("SIGKILL");
});

async function start(...args: readonly string[]): Promise<SecuredServer> {
  const server = await startSecured("--key-file", SERVER_KEYS, ...args);
  servers.push(server);
  return server;
}

let required: SecuredServer;
let optional: SecuredServer;
/** Is challenged in the beginning, and says nothing: that takes ten seconds. */
let silent: RawClient;
let silentSinceMs: number;
beforeAll(async () => {
  [required, optional] = await Promise.all([start(), start("--auth", "optional")]);
  silent = await RawClient.connect(required.port);
  silent.send(offering("probe").configuration);
  await silent.nextOf("challenge");
  silentSinceMs = performance.now();
});

/** A configuration of a client by hand that offers a key. */
function offering(
  keyId: string,
  changes: RawMessage = {},
  make: (changes: RawMessage) => RawMessage & { readonly role: string } = downloadConfiguration,
) {
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const auth = { key_id: keyId, nonce: nonce.toBase64() };
  const configuration = make({ test_id: NO_ID, extensions: { version: 3, auth }, ...changes });
  return { nonce, configuration };
}

/** What a client by hand proves by. */
function proofOf(secret: Buffer, { nonce, configuration }: ReturnType<typeof offering>, challenge: RawMessage) {
  const serverNonce = Uint8Array.from(Buffer.from(String(challenge["nonce"]), "base64"));
  const body = new TextEncoder().encode(JSON.stringify(configuration));
  const role = configuration.role === "upload" ? "upload" : "download";
  const transcript = { clientNonce: nonce, serverNonce, keyingMaterial: null, body };
  return { kind: "proof", mac: Buffer.from(exchangeOf(secret, transcript, role).clientMac).toString("base64") };
}

/** How a test with the right key fails. */
async function failureOf(port: number): Promise<{ readonly code: string; readonly message: string }> {
  const key = { id: "probe", secret: Uint8Array.from(SECRET) };
  try {
    await runClient({ host: "127.0.0.1", port, key, durationSeconds: 0.2 });
  } catch (error) {
    if (error instanceof RperfError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("it did not fail");
}

const NO_PROOF = { kind: "proof", mac: Buffer.alloc(32).toString("base64") };

/** What a client by hand that offers `keyId` and proves wrongly is told in the end. */
async function wrongProof(
  port: number,
  keyId: string,
): Promise<{ readonly challenge: RawMessage; readonly end: RawMessage }> {
  const client = await RawClient.connect(port);
  client.send(offering(keyId).configuration);
  const challenge = await client.next();
  if (challenge["kind"] !== "challenge") return { challenge, end: challenge };
  client.send(NO_PROOF);
  const end = await client.next();
  await client.closed();
  return { challenge, end };
}

describe("with the right key", () => {
  test("every kind of test runs", async () => {
    const kinds = [
      [],
      ["-R"],
      ["--bidir"],
      ["--bidir", "--single-port", "-P", "2"],
      ["-R", "--legacy-dial", "-P", "2"],
      ["-u", "-R"],
      ["-u", "--bidir", "--single-port"],
      ["-u", "--bidir", "--legacy-dial"],
    ];
    const results = await Promise.all(kinds.map((flags) => runSecured(required.port, "--key-file", RIGHT, ...flags)));
    for (const [index, result] of results.entries()) {
      const what = kinds[index]?.join(" ");
      expect({ what, stderr: result.stderr, code: result.code }).toEqual({ what, stderr: "", code: 0 });
      if (what !== undefined && !what.includes("--bidir")) expectTotalsOf(ourDocumentOf(result));
    }
  });

  test("the environment gives one as well", async () => {
    const command = rperf("-c", "127.0.0.1", "-p", `${required.port}`, "-t", "0.3", "-f", "json");
    const result = await run(command, { env: { RPERF_KEY: line("mast", OTHER_SECRET) } });
    expect({ stderr: result.stderr, code: result.code }).toEqual({ stderr: "", code: 0 });
    const refused = await run(command, { env: { RPERF_KEY: "mast" } });
    expect(refused.code).toBe(2);
    expect(complaintOf(refused)).toBe("rperf: RPERF_KEY: a key is its id, a space and its secret");
  });

  test("neither test id nor token goes over the wire, and a test is resumed all the same", async () => {
    const proxy = await ControlProxy.start(required.port);
    // With a first result that comes long before the end.
    const flags = ["-t", "2", "--interval", "0.3", "--bidir", "-f", "json"];
    const client = startProcess(rperf("-c", "127.0.0.1", "-p", `${proxy.port}`, "--key-file", RIGHT, ...flags));
    await expectResumed(proxy, client);
    const { client: said, server: answered } = proxy.fromBoth;
    const configurations = said.filter(({ kind }) => kind === "configuration");
    expect(configurations.map((message) => message["test_id"])).toEqual([NO_ID, NO_ID]);
    const grants = answered.filter(({ kind }) => kind === "connect" || kind === "connect-ready");
    expect(grants.map(({ extensions }) => Object(extensions).resume)).toEqual([{}, {}]);
    // Only whoever comes back shows it, and then it has been good for this test alone.
    const [resume] = said.filter(({ kind }) => kind === "resume");
    const before = JSON.stringify([said.slice(0, said.indexOf(resume ?? {})), answered]);
    expect(before).not.toContain(String(resume?.["token"]));
    proxy.stop();
  });

  test("two configurations of two keys are no test", async () => {
    const client = await RawClient.connect(required.port);
    const first = offering("probe");
    client.send(first.configuration);
    client.send(proofOf(SECRET, first, await client.nextOf("challenge")));
    await client.nextOf("connect");
    const second = offering("mast", {}, uploadConfiguration);
    client.send(second.configuration);
    client.send(proofOf(OTHER_SECRET, second, await client.nextOf("challenge")));
    expect(await client.next()).toEqual({ kind: "error", message: "both configurations of a test must be of one key" });
    await client.closed();
  });
});

test("a program that runs a test is not told its own secret in return", async () => {
  const key = { id: "probe", secret: Uint8Array.from(SECRET) };
  const told: unknown[] = [];
  const options = { host: "127.0.0.1", port: required.port, key, durationSeconds: 0.2 };
  const result = await runClient(options, { onEvent: (event) => told.push(event) });
  expect(result.success).toBe(true);
  const configs = [result, ...told].flatMap((one) => Object(one).config ?? []);
  expect(configs.length).toBeGreaterThan(1);
  for (const config of configs) expect(config.key).toBeNull();
});

function holdingsOf(pid: number) {
  return { descriptors: descriptorsOf(pid), workers: workersOf(pid) };
}

/** What the server has once the tests before are gone from it: no Worker, and nothing more is closed for 0.2 s. */
async function settled(pid: number): Promise<ReturnType<typeof holdingsOf>> {
  let last = holdingsOf(pid);
  let lastMs = performance.now();
  return eventually(
    "a server that has settled",
    () => {
      const now = holdingsOf(pid);
      if (now.descriptors !== last.descriptors || now.workers !== 0) lastMs = performance.now();
      last = now;
      return now;
    },
    () => performance.now() - lastMs > 200,
  );
}

describe("without the right key", () => {
  test("a wrong secret and an unknown id are told the same, over there and here, and nothing was opened", async () => {
    const before = await settled(required.process.pid);
    const [wrong, unknown] = [await wrongProof(required.port, "probe"), await wrongProof(required.port, "nobody")];
    for (const { challenge, end } of [wrong, unknown]) {
      expect(challenge).toEqual({ kind: "challenge", nonce: expect.any(String), mac: expect.any(String) });
      expect(end).toEqual(NOT_TAKEN);
    }
    const runs = await Promise.all([WRONG, UNKNOWN].map((file) => runSecured(required.port, "--key-file", file)));
    for (const result of runs) {
      expect(result.code).toBe(EXIT_FAILED);
      expect(complaintOf(result)).toBe(
        `rperf: 127.0.0.1:${required.port} does not know this key (its id or its secret is another's), ` +
          "or somebody has changed what was sent",
      );
    }
    await eventually(
      "nothing more than before",
      () => holdingsOf(required.process.pid),
      ({ descriptors, workers }) => descriptors <= before.descriptors && workers <= before.workers,
    );
  });

  test("while it is asked a client has no port, no Worker, and its streams wait", async () => {
    const { pid } = required.process;
    const before = await settled(pid);
    const client = await RawClient.connect(required.port);
    client.send(offering("probe", { streams: 50 }).configuration, { kind: "begin" });
    await client.nextOf("challenge");
    expect(holdingsOf(pid)).toEqual({ descriptors: before.descriptors + 1, workers: 0 });
    client.end();
    await client.closed();
    await required.process.waitForOutput(/ended: the client left without a proof: its key may be another/);
  });

  test("a proof that was heard proves nothing to another nonce", async () => {
    const proxy = await ControlProxy.start(optional.port);
    const { code } = await runSecured(proxy.port, "--key-file", RIGHT);
    expect(code).toBe(0);
    const [configuration, proof] = proxy.fromBoth.client;
    expect([configuration?.["kind"], proof?.["kind"]]).toEqual(["configuration", "proof"]);
    proxy.stop();
    const replayer = await RawClient.connect(optional.port);
    replayer.sendBytes(Buffer.concat([configuration, proof].map((message) => frameOf(JSON.stringify(message)))));
    expect((await replayer.next())["kind"]).toBe("challenge");
    expect(await replayer.next()).toEqual(NOT_TAKEN);
    await replayer.closed();
  });

  test("a proof has no place where none was asked for", async () => {
    const client = await RawClient.connect(optional.port);
    client.send(downloadConfiguration());
    await client.nextOf("connect");
    client.send(NO_PROOF);
    expect(await client.next()).toEqual({ kind: "error", message: "a proof has no place while ready" });
    await client.closed();
  });

  test("ours is told why", async () => {
    const result = await runSecured(required.port);
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toBe(
      `rperf: 127.0.0.1:${required.port} says: this server takes no client without a key ` +
        "(rperf has --key-file and RPERF_KEY)",
    );
  });

  testWithReference("so is the original, and says it", async () => {
    const { stderr } = await run(reference("-c", "127.0.0.1", "-p", `${required.port}`, "-t", "1"));
    expect(stderr).toContain("this server takes no client without a key (rperf has --key-file and RPERF_KEY)");
  });
});

describe("where a key is one's own choice", () => {
  test("who has none is served, who has one proves it, who has a wrong one is not served", async () => {
    const [keyless, right, wrong] = await Promise.all([
      runSecured(optional.port),
      runSecured(optional.port, "--key-file", RIGHT, "-R"),
      runSecured(optional.port, "--key-file", WRONG),
    ]);
    expect([keyless.code, right.code, wrong.code]).toEqual([0, 0, EXIT_FAILED]);
  });

  testWithReference("the original is served", async () => {
    const { stdout } = await run(reference("-c", "127.0.0.1", "-p", `${optional.port}`, "-t", "1"));
    expect(stdout).not.toContain("TESTING DID NOT COMPLETE SUCCESSFULLY");
  });

  test("nobody may take the key away on the way", async () => {
    const proxy = await ControlProxy.start(optional.port, {
      alter: (message) => {
        const { auth: _, ...extensions } = Object(message["extensions"]);
        return message["kind"] === "configuration" ? { ...message, extensions } : null;
      },
    });
    expect(await failureOf(proxy.port)).toEqual({
      code: "auth-failed",
      message: `127.0.0.1:${proxy.port} asks for no key, and so proves nothing`,
    });
    proxy.stop();
  });
});

describe("a client with a key takes no server without", () => {
  test("of ours", async () => {
    const server = await start("--auth", "off");
    const result = await runSecured(server.port, "--key-file", RIGHT);
    expect(result.code).toBe(EXIT_FAILED);
    expect(complaintOf(result)).toContain("asks for no key, and so proves nothing");
    expect((await runSecured(server.port)).code).toBe(0);
  });

  describeWithReference("of theirs", () => {
    test("the original", async () => {
      const port = await freePort();
      const original = startProcess(reference("-s", "-p", `${port}`));
      await original.waitForOutput(/listening/);
      const result = await runSecured(port, "--key-file", RIGHT);
      original.kill("SIGKILL");
      expect(complaintOf(result)).toContain("asks for no key, and so proves nothing");
    });
  });
});

describe("whoever changes a word on the way", () => {
  test.each<[string, (message: RawMessage) => RawMessage | null, string]>([
    ["of the configuration", (message) => ({ ...message, length: 4096 }), "configuration"],
    ["of a field that nobody knows", (message) => ({ ...message, more: 1 }), "configuration"],
    ["of the server's nonce", (message) => ({ ...message, nonce: Buffer.alloc(32).toString("base64") }), "challenge"],
    ["of the server's proof", (message) => ({ ...message, mac: Buffer.alloc(32).toString("base64") }), "challenge"],
  ])("%s: the client does not go on", async (_name, change, kind) => {
    const proxy = await ControlProxy.start(required.port, {
      alter: (message) => (message["kind"] === kind ? change(message) : null),
    });
    expect(await failureOf(proxy.port)).toMatchObject({ code: "auth-failed" });
    expect(proxy.fromBoth.client.map((message) => message["kind"])).toEqual(["configuration"]);
    proxy.stop();
  });

  test("of the client's proof: the server does not", async () => {
    const proxy = await ControlProxy.start(optional.port, {
      alter: (message) => (message["kind"] === "proof" ? NO_PROOF : null),
    });
    expect(await failureOf(proxy.port)).toEqual({
      code: "peer-refused",
      message: `127.0.0.1:${proxy.port} says: ${NOT_TAKEN.message}`,
    });
    proxy.stop();
  });
});

test("who proves wrongly again and again has to wait, and is not held to it once it is right", async () => {
  const { port } = await start("--auth", "optional");
  for (let count = 0; count < 4; count += 1) expect((await wrongProof(port, "probe")).end).toEqual(NOT_TAKEN);
  const { end } = await wrongProof(port, "probe");
  expect(String(end["message"])).toBe("too many wrong keys came from your address; try again in 1 s");
  const tooEarly = await runSecured(port, "--key-file", RIGHT, "-t", "0.2");
  // Unless the machine took a second to get there.
  if (tooEarly.code !== 0) expect(complaintOf(tooEarly)).toContain("too many wrong keys came from your address");
  expect((await runSecured(port, "-t", "0.2")).code).toBe(0);
  await Bun.sleep(1_000);
  expect((await runSecured(port, "--key-file", RIGHT, "-t", "0.2")).code).toBe(0);
  expect((await wrongProof(port, "probe")).end).toEqual(NOT_TAKEN);
});

test("challenges that are outstanding at the same time give no more tries", async () => {
  const { port } = await start();
  const clients = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const client = await RawClient.connect(port);
      client.send(offering("probe").configuration);
      await client.nextOf("challenge");
      return client;
    }),
  );
  const right = await RawClient.connect(port);
  const offered = offering("probe");
  right.send(offered.configuration);
  const challenge = await right.nextOf("challenge");
  const answers: unknown[] = [];
  for (const client of clients) {
    client.send(NO_PROOF);
    answers.push((await client.next())["message"]);
  }
  const looked = answers.filter((answer) => answer === NOT_TAKEN.message);
  // One more for each second that the machine took.
  expect(looked.length).toBeLessThan(7);
  expect(answers.filter((answer) => String(answer).startsWith("too many wrong keys")).length).toBe(12 - looked.length);
  // Nor does the delay grow by those that were not looked at: whoever is right has to wait for seconds alone.
  right.send(proofOf(SECRET, offered, challenge));
  expect((await right.next())["message"]).toMatch(/try again in [12] s$/);
  await Bun.sleep(2_000);
  expect((await runSecured(port, "--key-file", RIGHT, "-t", "0.2")).code).toBe(0);
});

test.each([
  [0o644, "0644"],
  [0o660, "0660"],
  [0o601, "0601"],
])("a key file of mode %o is refused on both sides", async (mode, shown) => {
  const path = files.write(`open-${shown}`, line("probe", SECRET), mode);
  for (const role of [["-s"], ["-c", "127.0.0.1"]]) {
    const result = await run(rperf(...role, "--key-file", path));
    expect(result.code).toBe(2);
    expect(complaintOf(result)).toBe(
      `rperf: --key-file ${path} is open to others (mode ${shown}); run: chmod 600 ${path}`,
    );
  }
});

test("a client that is asked and says nothing is told so after ten seconds", async () => {
  expect(await silent.next(15_000)).toEqual({ kind: "error", message: "no proof came for 10 s" });
  await silent.closed();
  expect(performance.now() - silentSinceMs).toBeGreaterThan(9_500);
}, 20_000);

test("no log has a secret", () => {
  for (const { process } of servers) {
    const log = process.stdout + process.stderr;
    expect(linesOf(log).length).toBeGreaterThan(1);
    for (const secret of SECRETS) {
      for (const form of ["base64", "hex"] as const) expect(log).not.toContain(secret.toString(form).slice(0, 20));
    }
  }
});

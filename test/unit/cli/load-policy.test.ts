import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newKeyLine } from "../../../src/cli/keygen.ts";
import { loadOptions, loadPolicy } from "../../../src/cli/load-policy.ts";
import { describePolicy } from "../../../src/cli/policy-text.ts";
import { makePolicy } from "../../../src/config/server-config.ts";

const folder = mkdtempSync(join(tmpdir(), "rperf-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const path = join(folder, `${Bun.hash(text)}.yaml`);
  writeFileSync(path, text);
  return path;
}

describe("flags and a policy file", () => {
  test("without a file the flags stand", async () => {
    expect(await loadOptions({ clientLimit: 3 }, null)).toEqual({ options: { clientLimit: 3 }, keyPath: null });
  });

  test("what the file says is put beside them", async () => {
    const path = fileOf("client_limit: 4\nkey_file: sub/keys\nclasses: {few: {streams: 2}}\ndefault: few");
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "sub/keys"), newKeyLine("probe"), { mode: 0o600 });
    const { options, keyPath } = await loadOptions({ port: 7, maxTimeSeconds: 5 }, path);
    expect(keyPath).toBe(join(folder, "sub/keys"));
    expect(options).toMatchObject({ port: 7, clientLimit: 4, maxTimeSeconds: 5, defaultClass: "few" });
    const policy = await loadPolicy({ port: 7, maxTimeSeconds: 5 }, path);
    expect([policy.auth, ...policy.keys.keys()]).toEqual(["required", "probe"]);
    const twice = loadOptions({ keys: new Map([["a", new Uint8Array(16)]]) }, path);
    expect(twice).rejects.toThrow(`--key-file (or RPERF_KEY) and key_file of ${path} exclude each other`);
    expect(policy.classes[0]).toMatchObject({ name: "few", streams: 2, durationSeconds: 5 });
  });

  test("the file is read again each time", async () => {
    const path = fileOf("client_limit: 5");
    expect((await loadPolicy({}, path)).clientLimit).toBe(5);
    writeFileSync(path, "client_limit: 6");
    expect((await loadPolicy({}, path)).clientLimit).toBe(6);
  });

  test("so is the file of --key-file", async () => {
    const keyPath = join(folder, "flag-keys");
    writeFileSync(keyPath, newKeyLine("one"), { mode: 0o600 });
    expect([...(await loadPolicy({}, null, keyPath)).keys.keys()]).toEqual(["one"]);
    writeFileSync(keyPath, newKeyLine("other"));
    expect([...(await loadPolicy({}, null, keyPath)).keys.keys()]).toEqual(["other"]);
  });

  test("a setting in both places is refused", async () => {
    const path = fileOf("client_limit: 4\nallow_low_ports: true");
    const message = `--client-limit and client_limit of ${path} exclude each other`;
    expect(loadOptions({ clientLimit: 4 }, path)).rejects.toMatchObject({ code: "usage", message });
    expect(loadOptions({ allowsLowPorts: true }, path)).rejects.toMatchObject({ code: "usage" });
    expect((await loadOptions({ allowsLowPorts: false }, path)).options.allowsLowPorts).toBe(true);
  });

  test.each(["/no/such/file", folder])("%p cannot be read", (path) => {
    expect(loadPolicy({}, path)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/^\S+ cannot be read: E[A-Z]+$/),
    });
  });
});

test("the limits in force, as they are printed", () => {
  const text = describePolicy(
    makePolicy({
      clientLimit: 40,
      queueLimit: 8,
      auth: "optional",
      keys: new Map([["lab", new Uint8Array(16)]]),
      classes: { staff: { streams: 64, bytesPerSecond: 125e6, families: ["tcp"] } },
      identities: [
        { address: "10.0.0.0/8", class: "staff" },
        { key: "lab", class: "staff" },
      ],
      isPublic: true,
      maxTimeSeconds: 30,
    }),
  );
  expect(text).toBe(`\
class      tests  an address  streams  seconds  a direction  a day     directions       families
public     20     1           16       30       50.00 Mb/s   10.00 GB  forward reverse  tcp udp
staff      -      -           64       -        1000 Mb/s    -         forward reverse  tcp
unlimited  -      -           -        -        -            -         forward reverse  tcp udp

who (the first that fits)  class
10.0.0.0/8                 staff
key lab                    staff
all others without a key   public
all others                 public

tests at a time                                    40
may wait for a place                               8
keys                                               optional
reverse to ports below 1024 of an original client  refused
`);
  expect(describePolicy(makePolicy({ defaultClass: "refuse", clientLimit: 0 }))).toContain(
    "all others                 refused\n\ntests at a time                                    -\n",
  );
});

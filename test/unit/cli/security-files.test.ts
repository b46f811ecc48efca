import { describe, expect, test } from "bun:test";
import { firstKey, readKeyFile, readKeys } from "../../../src/cli/security-files.ts";
import { newKeyLine } from "../../../src/cli/keygen.ts";
import { testsUnless } from "../../support/conditional.ts";
import { SecretFiles } from "../../support/secured.ts";

const files = new SecretFiles();
const onUnix = testsUnless(process.platform === "win32" ? "Windows has no modes" : null);

describe("what keygen makes", () => {
  test("is a key, each another, by the id that was asked for or one of its own", () => {
    const text = newKeyLine("probe") + newKeyLine(null) + newKeyLine(null);
    const keys = readKeyFile(files.write("made", text));
    expect(keys.size).toBe(3);
    expect([...keys.keys()][0]).toBe("probe");
    expect([...keys.values()].map(({ length }) => length)).toEqual([32, 32, 32]);
    expect(new Set([...keys.values()].map((secret) => secret.toHex())).size).toBe(3);
  });
});

describe("where keys come from", () => {
  const path = files.write(
    "file",
    `a ${Buffer.alloc(16, 1).toString("base64")}\nb ${Buffer.alloc(16, 2).toString("base64")}`,
  );
  const variable = `c ${Buffer.alloc(16, 3).toString("base64")}`;

  test.each<[string | undefined, string | undefined, readonly string[]]>([
    [path, variable, ["a", "b"]],
    [path, undefined, ["a", "b"]],
    [undefined, variable, ["c"]],
    [undefined, "", []],
    [undefined, undefined, []],
  ])("%s and %s", (file, environment, ids) => {
    const keys = readKeys(file, environment);
    expect([...keys.keys()]).toEqual([...ids]);
    expect(firstKey(keys)?.id ?? null).toBe(ids[0] ?? null);
  });
});

onUnix.describe("who else may get at them", () => {
  const text = newKeyLine("a");

  test.each([0o400, 0o600, 0o640, 0o700])("mode %o is nobody's but the owner's, and a group's to read", (mode) => {
    expect(readKeyFile(files.write(`mode-${mode}`, text, mode)).size).toBe(1);
  });

  test.each([0o604, 0o602, 0o601, 0o620, 0o660, 0o644, 0o777])("mode %o is too much", (mode) => {
    const path = files.write(`mode-${mode}`, text, mode);
    expect(() => readKeyFile(path)).toThrow(`run: chmod 600 ${path}`);
  });
});

import { describe, expect, test } from "bun:test";
import { checkClientKey, checkServerKeys, formatKey, isKeyId, parseKey, parseKeys } from "../../../src/config/keys.ts";
import { makeServerConfig } from "../../../src/config/server-config.ts";
import { makeTestConfig } from "../../../src/config/test-config.ts";
import { RperfError } from "../../../src/errors.ts";

const SECRET = Uint8Array.from({ length: 32 }, (_, index) => index);
const ENCODED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

function complaintOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof RperfError && error.code === "usage") return error.message;
    throw error;
  }
  return "";
}

describe("a key file", () => {
  test("holds keys, comments and blank lines, whatever ends the lines", () => {
    const text = `# ours\r\n\r\n  probe ${ENCODED}  \r\n\t# more\nmast-7.north\t${SECRET.slice(0, 16).toBase64()}`;
    expect([...parseKeys(text, "keys")]).toEqual([
      ["probe", SECRET],
      ["mast-7.north", SECRET.slice(0, 16)],
    ]);
  });

  test("has what keygen prints", () => {
    expect(formatKey({ id: "probe", secret: SECRET })).toBe(`probe ${ENCODED}`);
    expect(parseKey(formatKey({ id: "probe", secret: SECRET }), "x")).toEqual({ id: "probe", secret: SECRET });
  });

  test.each<[string, string, RegExp]>([
    ["nothing", "# none\n\n", /^keys holds no key; rperf keygen makes one$/],
    ["an id alone", "a\n", /^keys line 1: a key is its id, a space and its secret$/],
    ["a third word", `\n\na ${ENCODED} b`, /^keys line 3: a key is/],
    ["an id of other characters", `a/b ${ENCODED}`, /^keys line 1: the id of a key must be 1 to 64 of /],
    ["an id that is too long", `${"a".repeat(65)} ${ENCODED}`, /^keys line 1: the id of a key/],
    ["id and secret exchanged", `${ENCODED} probe`, /^keys line 1: the id of a key/],
    ["no base64", "a s3cret!s3cret!s3cret!s3cret!", /^keys line 1: the secret of a key must be 16 to 1024 bytes/],
    ["base64 cut off", `a ${ENCODED.slice(0, -1)}`, /^keys line 1: the secret of a key/],
    ["15 bytes", `a ${SECRET.slice(0, 15).toBase64()}`, /^keys line 1: the secret of a key/],
    ["1025 bytes", `a ${new Uint8Array(1025).toBase64()}`, /^keys line 1: the secret of a key/],
    ["an id twice", `a ${ENCODED}\n# x\na ${ENCODED}`, /^keys line 3: the id of this key is that of an earlier one$/],
  ])("with %s is refused, by its line and without its words", (_name, text, expected) => {
    const complaint = complaintOf(() => parseKeys(text, "keys"));
    expect(complaint).toMatch(expected);
    for (const word of text.split(/\s+/)) if (word.length > 8) expect(complaint).not.toContain(word);
  });
});

test.each<[string, boolean]>([
  ["a", true],
  ["Mast-7.north_2", true],
  ["a".repeat(64), true],
  ["", false],
  ["a b", false],
  ["ä", false],
  ["a\n", false],
])("%j is an id: %p", (id, isOne) => {
  expect(isKeyId(id)).toBe(isOne);
});

describe("what a program gives", () => {
  test("is taken", () => {
    expect(checkClientKey({ id: "a", secret: SECRET })).toEqual({ id: "a", secret: SECRET });
    expect(checkClientKey(undefined)).toBeNull();
    expect(checkServerKeys(new Map([["a", SECRET]]))).toEqual(new Map([["a", SECRET]]));
    expect(makeTestConfig({ host: "h", key: { id: "a", secret: SECRET } }).config.key?.secret).toEqual(SECRET);
  });

  test.each<[string, unknown]>([
    ["a line of a key file", `a ${ENCODED}`],
    ["a secret in base64", { id: "a", secret: ENCODED }],
    ["a short secret", { id: "a", secret: SECRET.slice(0, 15) }],
    ["no id", { secret: SECRET }],
    ["an id that is none", { id: "a b", secret: SECRET }],
  ])("as a client's key: not %s, which is not told", (_name, key) => {
    const complaint = complaintOf(() => checkClientKey(key));
    expect(complaint).toMatch(/^a key must have an id/);
    expect(complaint).not.toContain(ENCODED);
  });

  test("as a server's keys: a Map alone", () => {
    expect(complaintOf(() => checkServerKeys([["a", SECRET]]))).toMatch(/^keys must be a Map/);
    expect(complaintOf(() => checkServerKeys(new Map([["a b", SECRET]])))).toMatch(/^a key must have an id/);
  });
});

describe("whether clients are asked", () => {
  const keys = new Map([["a", SECRET]]);
  test.each([
    [{}, "off"],
    [{ keys }, "required"],
    [{ keys, auth: "optional" }, "optional"],
    [{ keys, auth: "off" }, "off"],
    [{ auth: "off" }, "off"],
  ] as const)("%o: %s", (options, auth) => {
    expect(makeServerConfig(options).policy.auth).toBe(auth);
  });

  test("nobody can be without keys", () => {
    const complaint = complaintOf(() => makeServerConfig({ auth: "optional" }));
    expect(complaint).toBe("--auth optional needs keys: --key-file, key_file or RPERF_KEY");
  });
});

import { describe, expect, test } from "bun:test";
import { makeServerConfig } from "../../../src/config/server-config.ts";
import { makeTestConfig, type TestOptions } from "../../../src/config/test-config.ts";
import { ATTACKER, AUTHORITY, SERVER } from "../../support/certificates.ts";

const DIGITS = "0123456789abcdef".repeat(4);

describe("whom a client trusts", () => {
  test.each<[unknown, ReturnType<typeof makeTestConfig>["config"]["tls"]]>([
    [undefined, null],
    [null, null],
    [{}, { ca: null, fingerprint: null }],
    [{ ca: AUTHORITY }, { ca: AUTHORITY, fingerprint: null }],
    [{ fingerprint: DIGITS }, { ca: null, fingerprint: DIGITS }],
    [{ fingerprint: (DIGITS.toUpperCase().match(/../g) ?? []).join(":") }, { ca: null, fingerprint: DIGITS }],
  ])("%o", (tls, expected) => {
    const options = { host: "h", tls } as TestOptions;
    expect(makeTestConfig(options).config.tls).toEqual(expected);
  });

  test.each<[unknown, RegExp]>([
    ["yes", /^tls must be an object/],
    [{ pin: DIGITS }, /^tls has no field "pin"/],
    [{ ca: AUTHORITY, fingerprint: DIGITS }, /^--tls-ca and --tls-fingerprint exclude each other/],
    [{ ca: "no" }, /^--tls-ca holds no certificate in PEM/],
    [{ ca: 1 }, /^--tls-ca must be a certificate in PEM/],
    [{ fingerprint: DIGITS.slice(1) }, /^--tls-fingerprint must be 64 hexadecimal digits/],
    [{ fingerprint: `${DIGITS.slice(1)}g` }, /^--tls-fingerprint must be/],
  ])("%o is refused", (tls, complaint) => {
    expect(() => makeTestConfig({ host: "h", tls } as TestOptions)).toThrow(complaint);
  });
});

describe("who a server is", () => {
  test("whoever has the key of a certificate", () => {
    expect(makeServerConfig({ tls: SERVER }).tls).toEqual(SERVER);
    expect(makeServerConfig({}).tls).toBeNull();
  });

  test("not with the key of another, and what was wrong with a key is not shown", () => {
    const complaint = /^--tls-key is not the key of the certificate in --tls-cert$/;
    expect(() => makeServerConfig({ tls: { cert: SERVER.cert, key: ATTACKER.key } })).toThrow(complaint);
    const cut = `${SERVER.key.slice(0, 60)}\n-----END PRIVATE KEY-----\n`;
    expect(() => makeServerConfig({ tls: { cert: SERVER.cert, key: cut } })).toThrow(
      /^--tls-key must be a private key in PEM, without a passphrase$/,
    );
  });
});

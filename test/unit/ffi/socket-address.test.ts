import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeSocketAddress, encodeSocketAddress, type IpVersion } from "../../../ffi/socket-address.ts";

const FAMILIES = { ipv4: 2, ipv6: 10 };
const ZONES = {
  indexOf: (name: string) => (name === "eth0" ? 0x01020304 : null),
  nameOf: (index: number) => (index === 0x01020304 ? "eth0" : null),
};

function encode(ipVersion: IpVersion, address: string | null, port = 0x1234): string | null {
  return encodeSocketAddress(FAMILIES, ipVersion, { address, port }, ZONES)?.toHex() ?? null;
}

function decode(hex: string) {
  return decodeSocketAddress(FAMILIES, Uint8Array.fromHex(hex), ZONES);
}

describe("to bytes", () => {
  test.each([
    ["IPv4", 4, "192.0.2.255", "0200 1234 c00002ff 0000000000000000"],
    ["any address of IPv4", 4, null, "0200 1234 00000000 0000000000000000"],
    ["a mapped address on IPv4", 4, "::ffff:192.0.2.255", "0200 1234 c00002ff 0000000000000000"],
    ["IPv6", 6, "2001:db8::1:2", "0a00 1234 00000000 20010db8000000000000000000010002 00000000"],
    ["eight groups", 6, "1:2:3:4:5:6:7:abcd", "0a00 1234 00000000 0001000200030004000500060007abcd 00000000"],
    ["zeros at the end", 6, "fd00::", "0a00 1234 00000000 fd000000000000000000000000000000 00000000"],
    ["loopback", 6, "::1", "0a00 1234 00000000 00000000000000000000000000000001 00000000"],
    ["IPv4 at the end", 6, "::2:3:4:5:192.0.2.1", "0a00 1234 00000000 000000000002000300040005c0000201 00000000"],
    ["any address of IPv6", 6, null, "0a00 1234 00000000 00000000000000000000000000000000 00000000"],
    ["its text", 6, "::", "0a00 1234 00000000 00000000000000000000000000000000 00000000"],
    ["IPv4 on IPv6 is mapped", 6, "192.0.2.255", "0a00 1234 00000000 00000000000000000000ffffc00002ff 00000000"],
    ["a zone by name", 6, "fe80::1%eth0", "0a00 1234 00000000 fe800000000000000000000000000001 04030201"],
    ["a zone by number", 6, "fe80::1%7", "0a00 1234 00000000 fe800000000000000000000000000001 07000000"],
  ] as const)("%s", (_name, ipVersion, address, expected) => {
    expect(encode(ipVersion, address)).toBe(expected.replaceAll(" ", ""));
  });

  test.each([
    [4, "2001:db8::1"],
    [4, "::1"],
    [4, ""],
    [4, "localhost"],
    [4, "256.0.0.1"],
    [4, "1.2.3"],
    [6, ""],
    [6, "2001:db8::1::2"],
    [6, "example.com"],
    [6, "[::1]"],
    [6, "fe80::1%nosuch"],
    [6, "fe80::1%"],
    [6, "fe80::1%4294967296"],
  ] as const)("over IPv%d there is no %j", (ipVersion, address) => {
    expect(encode(ipVersion, address)).toBeNull();
  });
});

describe("from bytes", () => {
  test.each([
    ["0200 1234 c00002ff 0000000000000000", "192.0.2.255"],
    ["0a00 1234 00000000 20010db8000000000000000000010002 00000000", "2001:db8::1:2"],
    ["0a00 1234 00000000 00000000000000000000ffffc00002ff 00000000", "::ffff:192.0.2.255"],
    ["0a00 1234 0000abcd fe800000000000000000000000000001 04030201", "fe80::1%eth0"],
    ["0a00 1234 00000000 fe800000000000000000000000000001 05000000", "fe80::1%5"],
  ])("%s", (hex, address) => {
    expect(decode(hex.replaceAll(" ", ""))).toEqual({ address, port: 0x1234 });
  });

  test("another family, and every cut of an address, is none", () => {
    expect(decode(`0100${"00".repeat(108)}`)).toBeNull();
    for (const whole of [encode(4, "192.0.2.1"), encode(6, "::1")] as string[]) {
      for (let bytes = 0; bytes < whole.length / 2; bytes++) expect(decode(whole.slice(0, 2 * bytes))).toBeNull();
    }
  });
});

test("what is encoded is decoded to the same, whatever the address", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (address, port) => {
      const bytes = encodeSocketAddress(FAMILIES, 6, { address, port }, ZONES);
      const decoded = bytes === null ? null : decodeSocketAddress(FAMILIES, bytes, ZONES);
      expect(decoded?.port).toBe(port);
      // Again to bytes: the text may be another spelling.
      expect(encode(6, decoded?.address ?? "", port)).toBe(bytes?.toHex() ?? "");
    }),
  );
});

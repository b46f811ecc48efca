import { describe, expect, test } from "bun:test";
import { createHmac, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { type Exchange, exchangeOf, isSameMac, type Transcript } from "../../../src/protocol/auth.ts";

const bytes = (length: number, first: number) => Uint8Array.from({ length }, (_, index) => (first + index) % 256);
const SECRET = bytes(32, 0);
const TRANSCRIPT: Transcript = {
  clientNonce: bytes(32, 32),
  serverNonce: bytes(32, 64),
  keyingMaterial: bytes(32, 96),
  body: new TextEncoder().encode('{"kind":"configuration"}'),
};

function hexOf({ serverMac, clientMac, testId, resumeToken }: Exchange) {
  const [server, client, test] = [serverMac, clientMac, testId].map((one) => Buffer.from(one).toString("hex"));
  return { server, client, test, resumeToken };
}

describe("what it is made of computes as the documents say", () => {
  test("HKDF: RFC 5869, A.1", () => {
    const okm = hkdfSync("sha256", new Uint8Array(22).fill(0x0b), bytes(13, 0), bytes(10, 0xf0), 42);
    expect(Buffer.from(okm).toString("hex")).toBe(
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
  });

  test("HMAC-SHA-256: RFC 4231, 4.2", () => {
    const mac = createHmac("sha256", new Uint8Array(20).fill(0x0b)).update("Hi There").digest("hex");
    expect(mac).toBe("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  });
});

// Computed apart from the program, by the README's section 12 (Python's hmac and hashlib).
describe("the exchange of the protocol's description", () => {
  test.each([
    [
      "by TLS, download",
      {},
      "download",
      {
        server: "7f37976267a28735ba414c7267942dd00a403ea94d02e99c7fb58ef9d5d4ac06",
        client: "b117d30e076009a43bd8eb4c150a757ff5b5dce2130cb83536c55eccc53344a6",
        test: "1c249b8a531ba68c9e90ad2247fe6591",
        resumeToken: "345925c2c7112678a188a2ecdf02133a",
      },
    ],
    [
      "without TLS, upload",
      { keyingMaterial: null },
      "upload",
      {
        server: "40e7c9317aeadacc1a9c20ebb9b5202c7750f5df8a62e5d948ab21d16898d34e",
        client: "2b738b56699af100536ab98ab8fa978024a324ac5d011209f2b92495267df0c2",
        test: "d1ae18cb03d5d7815ea666b1d5228118",
        resumeToken: "345925c2c7112678a188a2ecdf02133a",
      },
    ],
  ] as const)("%s", (_name, transcript, role, expected) => {
    expect(hexOf(exchangeOf(SECRET, { ...TRANSCRIPT, ...transcript }, role))).toEqual(expected);
  });
});

test("everything in it is another's: no two of its parts are equal, nor those of the two roles", () => {
  const download = hexOf(exchangeOf(SECRET, TRANSCRIPT, "download"));
  const upload = hexOf(exchangeOf(SECRET, TRANSCRIPT, "upload"));
  expect(new Set([...Object.values(download), upload.test]).size).toBe(5);
});

describe("a changed bit anywhere makes both proofs wrong", () => {
  const right = exchangeOf(SECRET, TRANSCRIPT, "download");
  const isRefused = (secret: Uint8Array, transcript: Transcript) => {
    const { serverMac, clientMac } = exchangeOf(secret, transcript, "download");
    return !isSameMac(serverMac, right.serverMac) && !isSameMac(clientMac, right.clientMac);
  };
  const flipped = (whole: Uint8Array, bit: number) => {
    const copy = Uint8Array.from(whole);
    const at = bit % (8 * whole.length);
    copy[at >> 3] = (copy[at >> 3] ?? 0) ^ (1 << (at & 7));
    return copy;
  };
  const bit = fc.nat();

  test("of the configuration, the nonces or the keying material", () => {
    const field = fc.constantFrom("clientNonce", "serverNonce", "keyingMaterial", "body");
    fc.assert(
      fc.property(field, bit, (name, at) => {
        const changed = flipped(TRANSCRIPT[name] ?? new Uint8Array(), at);
        expect(isRefused(SECRET, { ...TRANSCRIPT, [name]: changed })).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("of the secret", () => {
    fc.assert(fc.property(bit, (at) => expect(isRefused(flipped(SECRET, at), TRANSCRIPT)).toBe(true)));
  });

  test("so does a byte that moves from one field to its neighbour", () => {
    const { keyingMaterial, body } = TRANSCRIPT;
    const all = Buffer.concat([keyingMaterial ?? new Uint8Array(), body]);
    for (let cut = 0; cut <= all.length; cut++) {
      if (cut === keyingMaterial?.length) continue;
      const moved = { ...TRANSCRIPT, keyingMaterial: all.subarray(0, cut), body: all.subarray(cut) };
      expect(isRefused(SECRET, moved)).toBe(true);
    }
  });

  test("so does a connection without TLS", () => {
    expect(isRefused(SECRET, { ...TRANSCRIPT, keyingMaterial: null })).toBe(true);
  });
});

import { describe, expect, test } from "bun:test";
import { makePolicy, type ServerOptions } from "../../../src/config/server-config.ts";
import { Classifier } from "../../../src/server/classify.ts";

const KEYS = new Map([["lab", new Uint8Array(16)]]);

const OPTIONS: ServerOptions = {
  keys: KEYS,
  classes: { staff: {}, guests: { streams: 1 } },
  identities: [
    { address: "10.9.0.0/16", class: "guests" },
    { key: "lab", class: "staff" },
    { address: "10.0.0.0/8", class: "staff" },
    { address: "2001:db8::/32", class: "staff" },
    { address: "192.0.2.7", class: "staff" },
    { address: "::ffff:198.51.100.0/120", class: "staff" },
  ],
};

function classOf(address: string, keyId: string | null = null, more: ServerOptions = {}): string {
  return new Classifier(makePolicy({ ...OPTIONS, ...more })).identify(address, keyId).limits.name;
}

describe("the first rule that fits decides", () => {
  test.each([
    ["10.9.1.2", null, "guests"],
    ["10.8.1.2", null, "staff"],
    ["::ffff:10.9.1.2", null, "guests"],
    ["192.0.2.7", null, "staff"],
    ["192.0.2.8", null, "unlimited"],
    ["198.51.100.9", null, "staff"],
    ["2001:db8:1::9", null, "staff"],
    ["2001:db9::1", null, "unlimited"],
    ["192.0.2.8", "lab", "staff"],
    ["10.9.1.2", "lab", "guests"],
    ["192.0.2.8", "other", "unlimited"],
  ])("%p, key %p: %p", (address, keyId, name) => {
    expect(classOf(address, keyId)).toBe(name);
  });
});

describe("whom no rule fits", () => {
  test("is of the default class", () => {
    expect(classOf("192.0.2.8", null, { defaultClass: "guests" })).toBe("guests");
    expect(classOf("192.0.2.8", null, { isPublic: true })).toBe("public");
  });

  test("is not let in where the default is to refuse", () => {
    expect(() => classOf("192.0.2.8", null, { defaultClass: "refuse" })).toThrow(/^this server does not serve you/);
    expect(() => classOf("192.0.2.8", null, { defaultClass: "refuse", auth: "optional", keys: KEYS })).toThrow();
    expect(classOf("10.1.1.1", null, { defaultClass: "refuse" })).toBe("staff");
  });

  test("is of class public without a key where one may be had", () => {
    expect(classOf("192.0.2.8", null, { auth: "optional", keys: KEYS })).toBe("public");
    expect(classOf("192.0.2.8", "other", { auth: "optional", keys: KEYS })).toBe("unlimited");
    expect(classOf("10.1.1.1", null, { auth: "optional", keys: KEYS })).toBe("staff");
  });
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8:1:2:3::", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["fe80::1", "fe80::1"],
])("%p counts as %p", (address, place) => {
  const classifier = new Classifier(makePolicy({}));
  expect(classifier.identify(address, null)).toMatchObject({ place, name: place });
  expect(classifier.identify(address, "lab")).toMatchObject({ place, name: "key lab" });
});

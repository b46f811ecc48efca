import { describe, expect, test } from "bun:test";
import { PUBLIC, UNLIMITED } from "../../../src/config/policy.ts";
import { makePolicy, type ServerOptions } from "../../../src/config/server-config.ts";
import { RperfError } from "../../../src/errors.ts";

const KEYS = new Map([["lab", new Uint8Array(16)]]);

function defaultOf(options: ServerOptions) {
  const { classes, defaultClass } = makePolicy(options);
  return classes.find(({ name }) => name === defaultClass);
}

describe("the default class", () => {
  test.each<[string, ServerOptions, object]>([
    ["no limits", {}, UNLIMITED],
    ["public", { isPublic: true }, PUBLIC],
    ["public by its name", { defaultClass: "public" }, PUBLIC],
    ["limits of flags", { maxStreams: 4 }, { ...UNLIMITED, name: "default", streams: 4 }],
    [
      "all of them",
      { maxTimeSeconds: 5, maxBytesPerSecond: 1000, maxStreams: 4, maxPerAddress: 2 },
      {
        ...UNLIMITED,
        name: "default",
        durationSeconds: 5,
        bytesPerSecond: 1000,
        streams: 4,
        clientsPerAddress: 2,
      },
    ],
    ["public, altered", { isPublic: true, maxTimeSeconds: 5 }, { ...PUBLIC, durationSeconds: 5 }],
    [
      "a class of its own, and what it leaves open",
      { classes: { few: { streams: 4 } }, defaultClass: "few", maxTimeSeconds: 5 },
      { ...UNLIMITED, name: "few", streams: 4, durationSeconds: 5 },
    ],
    ["null is no limit", { classes: { few: { streams: null } }, defaultClass: "few" }, { ...UNLIMITED, name: "few" }],
  ])("%s", (_, options, limits) => {
    expect(defaultOf(options)).toEqual(limits as never);
  });

  test("nobody", () => {
    expect(makePolicy({ defaultClass: "refuse" }).defaultClass).toBeNull();
  });

  test("flags leave the other classes as they are", () => {
    const { classes } = makePolicy({ maxStreams: 4, identities: [{ address: "::1", class: "unlimited" }] });
    expect(classes.map(({ name, streams }) => [name, streams])).toEqual([
      ["default", 4],
      ["public", 16],
      ["unlimited", null],
    ]);
  });
});

test("where a key may be had, and is not asked for, the flags hold for strangers too, who get no more by them", () => {
  const limits = { maxTimeSeconds: 5, maxBytesPerSecond: 1e9, maxStreams: 200 };
  const { classes, defaultClass } = makePolicy({ keys: KEYS, auth: "optional", ...limits });
  expect(defaultClass).toBe("default");
  expect(classes.find(({ name }) => name === PUBLIC.name)).toEqual({ ...PUBLIC, durationSeconds: 5 });
  const required = makePolicy({ keys: KEYS, ...limits });
  expect(required.classes.find(({ name }) => name === PUBLIC.name)).toEqual(PUBLIC);
});

test.each<[ServerOptions, RegExp]>([
  [
    {
      keys: KEYS,
      identities: [
        { address: "::1", class: "public" },
        { key: "alcie", class: "public" },
      ],
    },
    /^identities\[1\]\.key must be the id of a key that the server has, not "alcie"$/,
  ],
  [
    { keys: KEYS, auth: "off", identities: [{ key: "lab", class: "public" }] },
    /^identities\[0\]\.key "lab" has no meaning where no client is asked for a key$/,
  ],
  [{ identities: [{ key: "lab", class: "public" }] }, /^identities\[0\]\.key "lab" has no meaning /],
  [{ isPublic: true, defaultClass: "unlimited" }, /^--public and another default class exclude each other$/],
  [{ defaultClass: "refuse", maxStreams: 1 }, /^--max-streams has no meaning where the default is to refuse$/],
  [
    { classes: { few: { durationSeconds: 4 } }, defaultClass: "few", maxTimeSeconds: 5 },
    /^--max-time and the same limit of class few exclude each other$/,
  ],
  [
    { classes: { public: { streams: 4 } }, isPublic: true, maxStreams: 5 },
    /^--max-streams and the same limit of class public exclude each other$/,
  ],
  [{ isPublic: 1 as never }, /^--public must be true or false/],
  [{ maxStreams: 0 }, /^--max-streams must be a whole number from 1 to 255, not "0"$/],
  [{ maxBytesPerSecond: 0 }, /^--max-bandwidth must be a whole number from 1 /],
  [{ maxTimeSeconds: Infinity }, /^--max-time /],
  [{ classes: [] as never }, /^classes must be an object, not a list$/],
  [{ classes: { a: { duration: 3 } as never } }, /^classes\.a has no field "duration"; its fields are clients, /],
  [{ classes: { a: { durationSeconds: -3 } } }, /^classes\.a\.durationSeconds must be a number above 0 /],
  [{ classes: { a: { bytesPerSecond: "50m" as never } } }, /^classes\.a\.bytesPerSecond .* not "50m"$/],
  [
    { identities: [{ address: "::1", class: "b" }] },
    /^identities\[0\]\.class must be one of public, unlimited, not "b"$/,
  ],
  [{ defaultClass: "b" }, /^defaultClass must be one of public, unlimited, refuse, not "b"$/],
])("%j is refused", (options, message) => {
  expect(() => makePolicy(options)).toThrow(RperfError);
  expect(() => makePolicy(options)).toThrow(message);
});

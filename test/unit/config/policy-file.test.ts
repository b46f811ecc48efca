import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PUBLIC } from "../../../src/config/policy.ts";
import { parsePolicyFile } from "../../../src/config/policy-file.ts";
import { repeatedKey } from "../../../src/config/repeated-key.ts";
import { makePolicy } from "../../../src/config/server-config.ts";
import { RperfError } from "../../../src/errors.ts";

/** What is said of a file that is no policy. */
function refusalOf(text: string): string {
  try {
    parsePolicyFile("dir/p.yaml", text);
  } catch (error) {
    if (error instanceof RperfError && error.code === "usage") return error.message;
    throw error;
  }
  return "";
}

const WHOLE = `
# Who may do what.
client_limit: 40
queue: 8
auth: optional
key_file: keys.yaml
allow_low_ports: true
classes:
  staff: {streams: 64, bandwidth: 1g}
  "guests":
    clients: 10
    clients_per_address: 2
    duration: 30.5
    bandwidth: 12500
    bytes_per_day: 10G
    directions: [forward]
    families: [udp]
identities:
  - {address: 10.0.0.0/8, class: staff}
  - key: lab
    class: staff
  - address: 2001:db8::/32
    class: public
default: guests
`;

describe("parsePolicyFile", () => {
  test("reads all there is", () => {
    const { options, keyFile } = parsePolicyFile("p.yaml", WHOLE);
    expect(keyFile).toBe("keys.yaml");
    const policy = makePolicy({ ...options, keys: new Map([["lab", new Uint8Array(16)]]) });
    expect(policy).toMatchObject({ clientLimit: 40, queueLimit: 8, auth: "optional", allowsLowPorts: true });
    expect(policy.defaultClass).toBe("guests");
    expect(policy.classes.map(({ name }) => name)).toEqual(["staff", "guests", "public", "unlimited"]);
    const nothing = { clients: null, clientsPerAddress: null, durationSeconds: null, bytesPerDay: null };
    const all = { directions: ["forward", "reverse"], families: ["tcp", "udp"] };
    expect(policy.classes[0]).toEqual({
      ...nothing,
      ...all,
      name: "staff",
      streams: 64,
      bytesPerSecond: 125_000_000,
    } as never);
    expect(policy.classes[1]).toEqual({
      name: "guests",
      clients: 10,
      clientsPerAddress: 2,
      streams: null,
      durationSeconds: 30.5,
      bytesPerSecond: 12_500,
      bytesPerDay: 10e9,
      directions: ["forward"],
      families: ["udp"],
    });
    expect(policy.rules).toEqual([
      { network: "10.0.0.0/8", keyId: null, className: "staff" },
      { network: null, keyId: "lab", className: "staff" },
      { network: "2001:db8::/32", keyId: null, className: "public" },
    ]);
  });

  test.each(["", "# nothing\n", "{}"])("%j sets nothing", (text) => {
    expect(makePolicy(parsePolicyFile("p.yaml", text).options)).toEqual(makePolicy({}));
  });

  test("a class public of its own takes the place of the ready one", () => {
    const { options } = parsePolicyFile("p.yaml", "classes: {public: {streams: 2}}");
    const publics = makePolicy(options).classes.filter(({ name }) => name === "public");
    expect(publics).toMatchObject([{ streams: 2, durationSeconds: null }]);
    expect(makePolicy({}).classes).toContain(PUBLIC);
  });

  test("to refuse by default", () => {
    expect(makePolicy(parsePolicyFile("p.yaml", "default: refuse").options).defaultClass).toBeNull();
  });
});

test.each<[text: string, message: RegExp]>([
  ["a: [1", /^YAML Parse error/],
  ["- 1", /^the policy must be an object, not a list$/],
  ["just words", /^the policy must be an object, not "just words"$/],
  ["a: 1\n---\nb: 2", /^the policy must be an object, not a list$/],
  ["clientlimit: 3", /^the policy has no field "clientlimit"; its fields are client_limit, queue, /],
  ["__proto__: {streams: 3}", /^the policy has no field "__proto__"/],
  ["client_limit: -1", /^client_limit must be a whole number, at least 0, not "-1"$/],
  ["client_limit: many", /^client_limit .* not "many"$/],
  ["client_limit:", /^client_limit must be a whole number, at least 0, not null$/],
  ["queue: 1.5", /^queue must be a whole number/],
  ["auth: on", /^auth must be one of off, optional, required, not "on"$/],
  ["key_file: 7", /^key_file must be the path of a file, not "7"$/],
  ["allow_low_ports: yes", /^allow_low_ports must be true or false, not "yes"$/],
  ["default: nobody", /^default must be one of public, unlimited, refuse, not "nobody"$/],
  ["classes: 3", /^classes must be an object, not "3"$/],
  ["classes: {a: 3}", /^classes\.a must be an object, not "3"$/],
  ["classes: {a: {stream: 3}}", /^classes\.a has no field "stream"; its fields are clients, clients_per_address, /],
  ["classes: {a: {streams: 256}}", /^classes\.a\.streams must be a whole number from 1 to 255, not "256"$/],
  ["classes: {a: {streams: }}", /^classes\.a\.streams must be given a value, or left out for no limit, not null$/],
  ["classes: {a: {clients: 0}}", /^classes\.a\.clients must be a whole number, at least 1, not "0"$/],
  ["classes: {a: {clients: .inf}}", /^classes\.a\.clients /],
  ["classes: {a: {duration: 0}}", /^classes\.a\.duration must be a number above 0 and at most 2678400, not "0"$/],
  ["classes: {a: {duration: 60s}}", /^classes\.a\.duration .* not "60s"$/],
  ["classes: {a: {bandwidth: 50mb}}", /^classes\.a\.bandwidth must be a number of bytes\/s, .* not "50mb"$/],
  ["classes: {a: {bandwidth: 0}}", /^classes\.a\.bandwidth must be a whole number from 1 to/],
  ["classes: {a: {bandwidth: '0'}}", /^classes\.a\.bandwidth must be a whole number from 1 to/],
  ["classes: {a: {bytes_per_day: 10g}}", /^classes\.a\.bytes_per_day must be a number of bytes, .* not "10g"$/],
  ["classes: {a: {directions: forward}}", /^classes\.a\.directions must be a list of forward and reverse, or of one/],
  ["classes: {a: {directions: []}}", /^classes\.a\.directions .* not a list$/],
  ["classes: {a: {families: [tcp, sctp]}}", /^classes\.a\.families must be a list of tcp and udp, .* not "sctp"$/],
  ["classes: {a: {families: [tcp, tcp]}}", /^classes\.a\.families must be a list that names nothing twice/],
  ["classes: {unlimited: {}}", /^a name in classes must be none of unlimited, default, refuse, not "unlimited"$/],
  ["classes: {'a b': {}}", /^a name in classes must be 1 to 32 letters, .* not "a b"$/],
  ["identities: {}", /^identities must be a list, not an object$/],
  ["identities: [3]", /^identities\[0\] must be an object, not "3"$/],
  ["identities: [{class: public}]", /^identities\[0\] must be given either an address or a key, not an object$/],
  ["identities: [{address: ::1, key: a, class: public}]", /^identities\[0\] must be given either an address or a key/],
  [
    "identities: [{address: ::1, class: none}]",
    /^identities\[0\]\.class must be one of public, unlimited, not "none"$/,
  ],
  ["identities: [{address: ::1}]", /^identities\[0\]\.class must be one of .* not a value of type undefined$/],
  [
    "identities: [{key: 5, class: public}]",
    /^identities\[0\]\.key must be the id of a key, 1 to 64 characters, not "5"$/,
  ],
  ["identities: [{address: 10.0.0.0/33, class: public}]", /^identities\[0\]\.address must be an IP address or a netw/],
  ["identities: [{address: '::/129', class: public}]", /^identities\[0\]\.address .* not "::\/129"$/],
  ["identities: [{address: 10.0.0/8, class: public}]", /^identities\[0\]\.address /],
  ["identities: [{address: localhost, class: public}]", /^identities\[0\]\.address /],
  ["identities: [{address: 10.0.0.0/8/8, class: public}]", /^identities\[0\]\.address /],
  ["identities: [{address: 10.0.0.0/, class: public}]", /^identities\[0\]\.address /],
  ["queue: 1\nqueue: 1", /^queue is given twice$/],
  ["classes:\n  a: {streams: 1}\n  b: {}\n  a: {streams: 2}", /^classes\.a is given twice$/],
  ["identities: [{address: ::1, class: public, class: public}]", /^identities\[0\]\.class is given twice$/],
  ['classes: {"a": {"streams":1,"streams":2}}', /^classes\.a\.streams is given twice$/],
])("%j is refused", (text, message) => {
  const [, rest] = /^dir\/p\.yaml: ([^\n]+)$/.exec(refusalOf(text)) ?? [];
  expect(rest).toMatch(message);
});

describe("whatever the file holds", () => {
  const WORDS =
    `classes identities default auth streams bandwidth duration address class key public refuse 50m 10.0.0.0/8
    off { } [ ] " ' &a *a | > # ? << -1 3 ~ --- \uE000 \u0000 \\`.split(/\s+/);
  const SPACES = ["\n", "\n  ", "\n- ", ": ", ", ", " ", "\t"];
  const WORD = fc.constantFrom(...WORDS, ...SPACES);

  test("it is read, or refused in one line", () => {
    const texts = fc.oneof(
      fc.array(WORD, { maxLength: 40 }).map((words) => words.join("")),
      fc.string(),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          makePolicy(parsePolicyFile("p.yaml", text).options);
        } catch (error) {
          if (!(error instanceof RperfError) || error.code !== "usage") throw error;
          expect(error.message).toMatch(/^p\.yaml: [^\n]/);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("values of any type in any place are refused or taken", () => {
    const limits = fc.dictionary(
      fc.constantFrom("streams", "bandwidth", "bytes_per_day", "families", "x"),
      fc.jsonValue(),
    );
    const file = fc.record(
      {
        client_limit: fc.jsonValue(),
        auth: fc.jsonValue(),
        classes: fc.oneof(fc.dictionary(fc.string(), fc.oneof(limits, fc.jsonValue())), fc.jsonValue()),
        identities: fc.oneof(fc.array(fc.record({ address: fc.ipV4(), class: fc.jsonValue() })), fc.jsonValue()),
        default: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(file, (value) => {
        try {
          makePolicy(parsePolicyFile("p.yaml", JSON.stringify(value)).options);
        } catch (error) {
          if (!(error instanceof RperfError) || error.code !== "usage") throw error;
        }
      }),
      { numRuns: 200 },
    );
  });

  test("no key is taken for repeated that is not", () => {
    fc.assert(
      fc.property(fc.object({ key: fc.stringMatching(/^[a-z": ']{1,6}$/), maxDepth: 2 }), (value) => {
        expect(repeatedKey(JSON.stringify(value))).toBeNull();
        expect(repeatedKey(JSON.stringify(value, null, 2))).toBeNull();
        expect(repeatedKey(Bun.YAML.stringify(value, null, 2))).toBeNull();
      }),
    );
  });
});

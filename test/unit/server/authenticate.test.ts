import { expect, test } from "bun:test";
import { makePolicy } from "../../../src/config/server-config.ts";
import { Authenticator } from "../../../src/server/authenticate.ts";

const SECRET = new Uint8Array(32).fill(7);
const policyWith = (secret: Uint8Array, keyId = "probe") => makePolicy({ keys: new Map([[keyId, secret]]) });

test("who was let through is not any more once the key, or its secret, is another", () => {
  const derived = { testId: new Uint8Array(16), resumeToken: "" };
  const proven = { keyId: "probe", secret: SECRET, derived };
  const check = (policy: ReturnType<typeof makePolicy>) => new Authenticator().check(proven, policy);
  expect(() => check(policyWith(SECRET.slice()))).not.toThrow();
  for (const policy of [policyWith(SECRET.map((byte) => byte ^ 1)), policyWith(SECRET, "another")]) {
    expect(() => check(policy)).toThrow(/does not take this key/);
  }
});

import { expect, test } from "bun:test";
import { decodeClientMessage } from "../../../src/protocol/decode.ts";
import { grantOf } from "../../../src/server/grant.ts";
import { downloadConfiguration } from "../../support/raw-client.ts";

const OFFER = { version: 3, accounting: true, single_port: true, resume: { timeout: 5 } };

function granted(extensions: object, remoteAddress = "192.0.2.1") {
  const body = JSON.stringify(downloadConfiguration({ family: "udp", extensions }));
  const configuration = decodeClientMessage(new TextEncoder().encode(body));
  if (configuration.kind !== "configuration") throw new Error(`it is a ${configuration.kind}`);
  return grantOf(configuration, { remoteAddress, keyingMaterial: null });
}

test("nothing that waits for its end is granted to a test that has none", () => {
  expect(granted(OFFER)).toMatchObject({ accounting: false, resumeTimeoutSeconds: null });
  expect(granted({ ...OFFER, duration: 2 })).toMatchObject({ accounting: true, resumeTimeoutSeconds: 5 });
});

test("no socket of its own over a link-local address, whose interface nobody tells", () => {
  expect(granted(OFFER, "fe80::1").singlePort).toBe(false);
});

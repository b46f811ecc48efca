import { expect, test } from "bun:test";
import { decodeClientMessage } from "../../../src/protocol/decode.ts";
import { uploadConfiguration } from "../../support/raw-client.ts";

const decode = (congestion: unknown) => {
  const message = uploadConfiguration({ extensions: { version: 3, path: { congestion } } });
  return decodeClientMessage(new TextEncoder().encode(JSON.stringify(message)));
};

test.each(["", "x".repeat(16), "cubic\u009b31m", "../bbr", "a\0b"])("no name of a congestion control: %j", (name) => {
  expect(() => decode(name)).toThrow("extensions.path.congestion");
});

test("a name is taken", () => {
  expect(decode("bbr")).toMatchObject({ extensions: { path: { congestion: "bbr" } } });
});

import { expect, test } from "bun:test";
import { escapeControls, safeJson } from "../../src/safe-text.ts";

test.each([
  ["plain – text", "plain – text"],
  ["\x1b[31mred\x07", "\\x1b[31mred\\x07"],
  ["a\r\nb\tc", "a\\x0d\\x0ab\\x09c"],
  ["\x7f\x9b", "\\x7f\\x9b"],
  ["\u2028\u202e", "\\u2028\\u202e"],
])("escapeControls(%j)", (text, escaped) => {
  expect(escapeControls(text)).toBe(escaped);
});

test.each([0, 2])("safeJson, indented by %d, has nothing that a terminal acts on, and loses nothing", (indent) => {
  const value = { text: "a\x1b[2J\x7f\x9b2J\u2028\u202eb – ü" };
  const json = safeJson(value, indent);
  // Its own line ends apart.
  expect(escapeControls(json.replaceAll("\n", ""))).toBe(json.replaceAll("\n", ""));
  expect(JSON.parse(json)).toEqual(value);
});

import { expect, test } from "bun:test";

import { runOnTerminal, startOnTerminal } from "../../support/pty.ts";

test("a program on a terminal sees its size", async () => {
  const code =
    "const { isTTY, columns, rows } = process.stdout; console.log(`${isTTY} ${columns} ${rows}`); process.exit(4)";
  const result = await runOnTerminal([process.execPath, "-e", code], { columns: 100, rows: 30 });
  expect(result).toEqual({ code: 4, output: "true 100 30\r\n" });
});

test("what is typed arrives, and Ctrl-C interrupts", async () => {
  // Not as the shell's child: between its fork and its exec a signal is caught there, and forgotten.
  const child = startOnTerminal(["sh", "-c", 'read line; echo "got $line"; exec sleep 60']);
  child.write("word\n");
  await child.waitForOutput(/got word/);
  child.write("\x03");
  expect(await child.exited).toBe(130);
});

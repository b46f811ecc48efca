import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { createOutput } from "../../../src/cli/output.ts";
import { ROOT, run } from "../../support/process.ts";

const SIZE = 3_000_000;

/** A program that writes a short and a very long line through `createOutput` and ends as rperf does. */
const WRITER = `
  import { createOutput } from ${JSON.stringify(`${ROOT}/src/cli/output.ts`)};
  const out = createOutput(process.stdout, false);
  out.write("first\\n");
  await Bun.sleep(50);
  out.write("x".repeat(${SIZE}) + "\\n");
  out.write("last\\n");
  await out.flush();
  console.error(String(out.failure), out.ended.aborted);
  process.exit(0);
`;

/** Runs the program with its stdout led as the shell text says. */
function piped(shell: string) {
  return run(["bash", "-c", `"$0" -e "$1" ${shell}; exit "\${PIPESTATUS[0]}"`, process.execPath, WRITER]);
}

test("a slow reader gets everything", async () => {
  const { code, stdout, stderr } = await piped("| (sleep 0.5; wc -c)");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "null false\n" });
  expect(Number(stdout)).toBe("first\n".length + SIZE + 1 + "last\n".length);
});

test("a reader that leaves is noticed and is no crash", async () => {
  const { code, stdout, stderr } = await piped("| head -n 1");
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "first\n", stderr: "EPIPE true\n" });
});

test.if(process.platform === "linux")("a full disk is noticed", async () => {
  const { code, stderr } = await piped(">/dev/full");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "ENOSPC true\n" });
});

test("a file is appended to without a hole", async () => {
  const file = `${tmpdir()}/rperf-output-${process.pid}`;
  await Bun.write(file, "before\n");
  await piped(`>>'${file}'`);
  const text = await Bun.file(file).text();
  await Bun.file(file).delete();
  expect(text.slice(0, 14)).toBe("before\nfirst\nx");
  expect(text.length).toBe("before\nfirst\n".length + SIZE + "\nlast\n".length);
});

test.each([
  [false, "ENOSPC", 1],
  [true, null, 2],
])("a write that fails is the last one, but of a log (%p)", (isLog, failure, written) => {
  const texts: string[] = [];
  const stream = {
    isTTY: false,
    columns: 0,
    on: () => process.stdout,
    write(text: string, done: (error?: Error | null) => void) {
      texts.push(text);
      done(texts.length === 1 ? Object.assign(new Error("full"), { code: "ENOSPC" }) : null);
      return true;
    },
  };
  const output = createOutput(stream, false, isLog);
  for (const text of ["one", "two"]) output.write(text);
  expect({ failure: output.failure, written: texts.length }).toEqual({ failure, written });
  expect(output.failedWrites).toBe(1);
  expect(output.ended.aborted).toBe(!isLog);
});

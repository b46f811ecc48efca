// What the README shows works as it stands there.
import { rmSync } from "node:fs";
import { expect, test } from "bun:test";
import { ROOT, rperf, run } from "../support/process.ts";

const readme = await Bun.file(`${ROOT}/README.md`).text();

test("the library example runs, importing rperf by its name", async () => {
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";
  expect(example).toContain('from "rperf"');
  // Inside the package, whose name then means itself.
  const path = `${ROOT}/dist/readme-example-${process.pid}.ts`;
  await Bun.write(path, example);
  try {
    const { code, stdout, stderr } = await run([process.execPath, path]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^stream 0: (send|receive)$/m);
    expect(stdout).toMatch(/^completed: (\d+) of \1 bytes received$/m);
  } finally {
    rmSync(path);
  }
});

test("every flag of the help has its place, and every flag there is in the help", async () => {
  const flagsIn = (text: string) => new Set([...text.matchAll(/--[a-z][a-z0-9-]+/g)].map(([flag]) => flag));
  const section = readme.slice(readme.indexOf("### Flags"), readme.indexOf("### Between two of ours"));
  const table = section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .join("\n");
  const { stdout } = await run(rperf("--help"));
  expect([...flagsIn(table)].toSorted()).toEqual([...flagsIn(stdout)].toSorted());
});

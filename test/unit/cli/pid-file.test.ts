import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

import { PidFile } from "../../../src/cli/pid-file.ts";
import { RperfError } from "../../../src/errors.ts";
import { startProcess } from "../../support/process.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(`${tmpdir()}/rperf-pid-`);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A process id that nobody has. */
async function deadPid(): Promise<number> {
  const child = Bun.spawn(["true"]);
  await child.exited;
  return child.pid;
}

describe("PidFile", () => {
  test("holds this process's id, whole, and goes with it", () => {
    const path = `${folder}/own`;
    const file = new PidFile(path);
    file.write();
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    expect(readdirSync(folder)).toEqual(["own"]);
    file.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ["of a process that is gone", deadPid],
    // As in a container, whose first process has the same number at each start.
    ["of an earlier process of this number", async () => process.pid],
    ["of a program that is no rperf", async () => startProcess(["sleep", "30"]).pid],
    ["that says nothing", async () => "rubbish"],
  ])("one %s is replaced", async (_what, content) => {
    const path = `${folder}/stale`;
    writeFileSync(path, `${await content()}\n`);
    new PidFile(path).write();
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
  });

  test("a link planted in the draft's place is not followed", () => {
    const path = `${folder}/linked`;
    const victim = `${folder}/victim`;
    writeFileSync(victim, "kept");
    symlinkSync(victim, `${path}.${process.pid}`);
    new PidFile(path).write();
    expect(readFileSync(victim, "utf8")).toBe("kept");
    expect(readFileSync(path, "utf8")).toBe(`${process.pid}\n`);
    expect(lstatSync(path).isFile()).toBe(true);
  });

  test("another server's is left alone", () => {
    const path = `${folder}/others`;
    const file = new PidFile(path);
    file.write();
    writeFileSync(path, "1\n");
    file.remove();
    expect(readFileSync(path, "utf8")).toBe("1\n");
  });

  test("a place where nothing can be written is said", () => {
    const write = () => new PidFile(`${folder}/none/pid`).write();
    expect(write).toThrow(RperfError);
    expect(write).toThrow(/^--pid-file .* cannot be written \(ENOENT\)$/);
  });
});

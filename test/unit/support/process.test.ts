import { expect, test } from "bun:test";

import { rperf, run, ROOT, startProcess, stopEverything } from "../../support/process.ts";

const script = (code: string) => [process.execPath, "-e", code];

test("run gives status, both outputs and passes input, environment and directory", async () => {
  const code = "console.log(await Bun.stdin.text(), process.env.X, process.cwd()); console.error('e'); process.exit(3)";
  const result = await run(script(code), { input: "in", env: { X: "y" }, cwd: "/" });
  expect(result).toEqual({ code: 3, stdout: "in y /\n", stderr: "e\n" });
});

test("run keeps outputs larger than a pipe", async () => {
  const result = await run(script("await Bun.write(Bun.stdout, 'x'.repeat(1_000_000))"));
  expect(result.stdout).toHaveLength(1_000_000);
});

test("run fails when the time is over", () => {
  expect(run(["sleep", "60"], { timeoutMs: 50 })).rejects.toThrow("had not ended after 50 ms");
});

test("waitForOutput sees both outputs, and rejects at the end or the limit", async () => {
  const child = startProcess(script("console.error('port 51'); setTimeout(() => console.log('later'), 50)"));
  expect((await child.waitForOutput(/port (\d+)/))[1]).toBe("51");
  expect((await child.waitForOutput(/later/))[0]).toBe("later");
  expect(child.waitForOutput(/never/)).rejects.toThrow("the process ended without /never/");
  expect(await child.exited).toBe(0);
  const sleeper = startProcess(["sleep", "60"]);
  expect(sleeper.waitForOutput(/never/, 20)).rejects.toThrow("20 ms passed");
  sleeper.kill("SIGINT");
  expect(await sleeper.exited).toBe(130);
});

test("stopEverything kills what still runs", async () => {
  const child = startProcess(["sleep", "60"]);
  await stopEverything();
  expect(await child.exited).toBe(137);
});

test("rperf names this checkout's entry", () => {
  expect(rperf("-c", "::1")).toEqual([process.execPath, `${ROOT}/src/main.ts`, "-c", "::1"]);
});

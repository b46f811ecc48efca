import { expect, test } from "bun:test";
import { ROOT, startProcess } from "../../support/process.ts";

/** A program that takes its time to end. */
const SLOW = `
  import { listenForInterrupts } from ${JSON.stringify(`${ROOT}/src/cli/interrupts.ts`)};
  listenForInterrupts().addEventListener("abort", () => console.log("ending"));
  setInterval(() => {}, 1000);
  console.log("ready");
`;

async function started() {
  const child = startProcess([process.execPath, "-e", SLOW]);
  await child.waitForOutput(/ready/);
  return child;
}

test.each(["SIGINT", "SIGTERM"] as const)("a SIGINT after %s ends the process at once with 3", async (first) => {
  const child = await started();
  child.kill(first);
  await child.waitForOutput(/ending/);
  child.kill("SIGINT");
  expect(await child.exited).toBe(3);
});

test("a second SIGTERM hurries nothing", async () => {
  const child = await started();
  child.kill("SIGTERM");
  await child.waitForOutput(/ending/);
  child.kill("SIGTERM");
  expect(await Promise.race([child.exited, Bun.sleep(300)])).toBeUndefined();
  child.kill("SIGINT");
  expect(await child.exited).toBe(3);
});

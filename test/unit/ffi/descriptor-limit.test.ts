import { closeSync, openSync } from "node:fs";
import { expect, test } from "bun:test";
import { descriptorLimit, openDescriptors } from "../../../ffi/descriptor-limit.ts";
import { platform } from "../../../ffi/platform.ts";
import { testsUnless } from "../../support/conditional.ts";
import { run } from "../../support/process.ts";

const LIMIT_URL = import.meta.resolve("../../../ffi/descriptor-limit.ts");
const onSystemsWithLimits = testsUnless(
  platform.openFilesLimit === null ? `no limit of descriptors on ${platform.name}` : null,
);

/** In a process of its own, whose limits are set by the shell: the tests' own are left as they are. */
async function under(limits: string, expression: string): Promise<unknown> {
  const script = `import * as limit from ${JSON.stringify(LIMIT_URL)}; console.log(JSON.stringify(${expression}))`;
  const { stdout } = await run(["sh", "-c", `${limits}; exec "$0" -e "$1"`, process.execPath, script]);
  return JSON.parse(stdout);
}

onSystemsWithLimits.describe("the limit of open descriptors", () => {
  test("is told", () => {
    const limit = descriptorLimit();
    if (!limit.ok) throw new Error(limit.message);
    expect(limit.value.soft).toBeGreaterThan(0);
    expect(limit.value.hard).toBeGreaterThanOrEqual(limit.value.soft);
  });

  test("is raised as far as it may be", async () => {
    const raised = { ok: true, value: { soft: 128, hard: 128 } };
    expect(await under("ulimit -Sn 100; ulimit -Hn 128", "limit.raiseDescriptorLimit()")).toEqual(raised);
    expect(await under("ulimit -n 128", "[limit.raiseDescriptorLimit(), limit.descriptorLimit()]")).toEqual([
      raised,
      raised,
    ]);
  });

  test("and what is open is counted", () => {
    const before = openDescriptors();
    const fd = openSync("/dev/null", "r");
    const after = openDescriptors();
    closeSync(fd);
    expect(before.ok && after.ok && after.value - before.value).toBe(1);
    expect(openDescriptors()).toEqual(before);
  });
});

import { expect, test } from "bun:test";
import { threadCpus } from "../../../ffi/affinity.ts";
import { platform } from "../../../ffi/platform.ts";
import { testsUnless } from "../../support/conditional.ts";

const onLinux = testsUnless(process.platform === "linux" ? null : `no thread affinity on ${platform.name}`);

const AFFINITY_URL = import.meta.resolve("../../../ffi/affinity.ts");

/**
 * The values of `expressions`, one after the other, in a thread of their own, so that the thread of the tests is never
 * bound. They may use `pinThread`, `threadCpus` and `probeCpu`.
 */
async function inWorker(expressions: readonly string[]): Promise<unknown[]> {
  const source = `
    import { pinThread, probeCpu, threadCpus } from ${JSON.stringify(AFFINITY_URL)};
    postMessage([${expressions.join(",")}]);
  `;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { smol: true });
  try {
    return await new Promise<unknown[]>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<unknown[]>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}

const before = threadCpus();
const cpus = before.ok ? before.value : [];
const DONE = { ok: true, value: null };

function refusedWith(text: string) {
  return expect.objectContaining({ ok: false, supported: true, message: expect.stringContaining(text) });
}

test("the thread's CPUs are told, or that they cannot be", () => {
  if (process.platform !== "linux") {
    expect(before).toMatchObject({ ok: false, supported: false });
    return;
  }
  expect(cpus.length).toBeGreaterThan(0);
  expect(cpus).toEqual([...new Set(cpus)].sort((a, b) => a - b));
});

onLinux.describe("in a thread of its own", () => {
  test("a new thread has the CPUs of the one that made it", async () => {
    expect(await inWorker(["threadCpus()"])).toEqual([before]);
  });

  test("pinThread binds to each CPU in turn, and the test's thread to none", async () => {
    const expressions = cpus.flatMap((cpu) => [`pinThread(${cpu})`, "threadCpus()"]);
    expect(await inWorker(expressions)).toEqual(cpus.flatMap((cpu) => [DONE, { ok: true, value: [cpu] }]));
    expect(threadCpus()).toEqual(before);
  });

  test("a CPU that does not exist is refused, and the binding stays (EINVAL)", async () => {
    const first = cpus[0] ?? 0;
    const answers = await inWorker([`pinThread(${first})`, "pinThread(1023)", "pinThread(1024)", "threadCpus()"]);
    expect(answers).toEqual([DONE, refusedWith("EINVAL"), refusedWith("1024"), { ok: true, value: [first] }]);
  });

  test("probeCpu tells which CPUs there are, and leaves the binding as it was", async () => {
    const first = cpus[0] ?? 0;
    const last = cpus.at(-1) ?? 0;
    const expressions = ["probeCpu(1023)", `probeCpu(${last})`, "threadCpus()"];
    expect(await inWorker(expressions)).toEqual([refusedWith("EINVAL"), DONE, before]);
    expect(await inWorker([`pinThread(${first})`, ...expressions])).toEqual([
      DONE,
      refusedWith("EINVAL"),
      DONE,
      { ok: true, value: [first] },
    ]);
  });
});

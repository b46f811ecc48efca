// Preloaded into a process of ours (`bun --preload`): from one moment on its wall clock, that of its Workers included, is
// another one, as after `date -s`. The monotonic clock goes on. Each thread says so on standard error.
//
// What the kernel puts on arriving packets cannot be had so without the machine's clock: see arrival-clock.test.ts.
import { writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const STDERR = 2;
const { STEP_AT_MS: atMs = "", STEP_BY_MS: byMs = "" } = process.env;
const stepAtMs = Number(atMs);
const stepByMs = Number(byMs);
if (!(stepAtMs > 0) || stepByMs === 0 || Number.isNaN(stepByMs))
  throw new Error("STEP_AT_MS and STEP_BY_MS are needed");

const RealDate = Date;
const realNow = Date.now;

function steppedNow(): number {
  const nowMs = realNow();
  return nowMs < stepAtMs ? nowMs : nowMs + stepByMs;
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [steppedNow()] : args, newTarget),
  apply: () => new RealDate(steppedNow()).toString(),
  get: (target, name) => (name === "now" ? steppedNow : Reflect.get(target, name)),
});

// Bun hands a preload down to no Worker by itself.
globalThis.Worker = new Proxy(Worker, {
  construct: (target, [script, options]: [string, WorkerOptions?]) =>
    new target(script, { ...options, preload: [import.meta.path] }),
});

const thread = isMainThread ? "main thread" : "Worker";
setTimeout(
  () => {
    const offMs = Date.now() - realNow();
    writeSync(STDERR, `stepped by ${Math.round(offMs / 1000)} s in a ${thread}\n`);
  },
  stepAtMs - realNow() + 1,
).unref();

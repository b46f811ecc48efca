import { afterEach, describe, expect, test } from "bun:test";
import { descriptorOf } from "../../../ffi/descriptor.ts";
import { systemClock } from "../../../src/clock.ts";
import { adoptDatagrams } from "../../../src/streams/adopt-datagrams.ts";
import { type LoopTask, type Readiness, StreamLoop } from "../../../src/streams/stream-loop.ts";
import { connectTcp } from "../ffi/sockets.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually, within } from "../../support/eventually.ts";
import { ROOT, run } from "../../support/process.ts";

const clock = systemClock();
const loop = new StreamLoop(clock);
const now = () => clock.monotonicSeconds();
const direct = testsUnless(loop.io === null ? "sockets cannot be read past Bun here" : null);

/** A task made of what the test gives; it ends with the test. */
class Probe implements LoopTask {
  dueSeconds: number;
  leadSeconds = 0;
  descriptor: number | null = null;
  readiness: Readiness = "readable";
  readonly runs: { readonly atSeconds: number; readonly nowSeconds: number; readonly isReady: boolean }[] = [];
  readonly failures: string[] = [];
  onRun: (isReady: boolean) => void = () => {};

  constructor(dueSeconds: number) {
    this.dueSeconds = dueSeconds;
  }

  run(nowSeconds: number, isReady: boolean): boolean {
    this.runs.push({ atSeconds: now(), nowSeconds, isReady });
    this.dueSeconds = Infinity;
    this.onRun(isReady);
    return true;
  }

  broken(message: string): void {
    this.failures.push(message);
  }

  async hasRun(times = 1): Promise<void> {
    await eventually(
      `${times} runs`,
      () => this.runs.length,
      (runs) => runs >= times,
    );
  }
}

const probes: Probe[] = [];

function probe(dueSeconds: number, onRun: (isReady: boolean) => void = () => {}): Probe {
  const made = new Probe(dueSeconds);
  made.onRun = onRun;
  probes.push(made);
  return made;
}

afterEach(() => {
  for (const one of probes.splice(0)) loop.remove(one);
});

describe("by time", () => {
  test("tasks run when they are due, not before, in the order of their times", async () => {
    const startSeconds = now();
    const delays = [0.04, 0.001, 0.25, 0, 0.1, 0.0135];
    const tasks = delays.map((delaySeconds) => {
      const dueSeconds = startSeconds + delaySeconds;
      const task = probe(dueSeconds);
      loop.add(task);
      return { task, dueSeconds };
    });
    for (const { task } of tasks) await task.hasRun();
    const runs = tasks
      .sort((a, b) => a.dueSeconds - b.dueSeconds)
      .map(({ task, dueSeconds }) => {
        expect(task.runs).toHaveLength(1);
        const [run] = task.runs;
        expect(run?.isReady).toBe(false);
        expect(run?.nowSeconds).toBeGreaterThanOrEqual(dueSeconds);
        expect(run?.atSeconds).toBeGreaterThanOrEqual(run?.nowSeconds ?? NaN);
        return run?.nowSeconds ?? NaN;
      });
    // Those that a stalled machine makes due together may run in any order.
    for (const [index, nowSeconds] of runs.entries()) expect(nowSeconds).toBeGreaterThanOrEqual(runs[index - 1] ?? 0);
  });

  test("what is due at the same time runs in the order in which it was added", async () => {
    const order: string[] = [];
    const dueSeconds = now() - 1;
    const tasks = ["first", "second", "third"].map((name) => probe(dueSeconds, () => order.push(name)));
    for (const task of tasks) loop.add(task);
    await tasks.at(-1)?.hasRun();
    expect(order).toEqual(["first", "second", "third"]);
  });

  test("a task that is due again and again has its turns, and those beside it too", async () => {
    const steps = [probe(now()), probe(now() + 0.0003)];
    for (const step of steps) {
      const stepSeconds = 0.0007;
      let nextSeconds = step.dueSeconds;
      step.onRun = () => {
        nextSeconds += stepSeconds;
        if (step.runs.length < 200) step.dueSeconds = nextSeconds;
      };
      loop.add(step);
    }
    for (const step of steps) await step.hasRun(200);
    for (const [index, { nowSeconds }] of (steps[0]?.runs ?? []).entries()) {
      expect(nowSeconds).toBeGreaterThanOrEqual((steps[0]?.runs[0]?.nowSeconds ?? NaN) - 0.02 + index * 0.0007);
    }
  });

  test("awake ahead of its time, a task still does not run before it", async () => {
    const dueSeconds = now() + 0.03;
    const task = probe(dueSeconds);
    task.leadSeconds = 0.01;
    loop.add(task);
    await task.hasRun();
    expect(task.runs).toHaveLength(1);
    expect(task.runs[0]?.nowSeconds).toBeGreaterThanOrEqual(dueSeconds);
  });

  test("a task whose time was moved is looked at anew when it is added again", async () => {
    const far = probe(now() + 3600);
    loop.add(far);
    await Bun.sleep(20);
    expect(far.runs).toEqual([]);
    far.dueSeconds = now();
    loop.add(far);
    await far.hasRun();
    const later = probe(now() + 0.005);
    loop.add(later);
    later.dueSeconds = now() + 3600;
    loop.add(later);
    await Bun.sleep(50);
    expect(later.runs).toEqual([]);
  });

  test("a task that was added twice runs once", async () => {
    const task = probe(now() + 0.005);
    loop.add(task);
    loop.add(task);
    await task.hasRun();
    await Bun.sleep(20);
    expect(task.runs).toHaveLength(1);
  });
});

describe("from within a run", () => {
  test("a task is added, and runs", async () => {
    const inner = probe(now());
    const late = probe(now() + 0.05);
    const outer = probe(now(), () => {
      loop.add(inner);
      loop.add(late);
    });
    loop.add(outer);
    await inner.hasRun();
    await late.hasRun();
    expect([outer, inner, late].map(({ runs }) => runs.length)).toEqual([1, 1, 1]);
  });

  test("a task takes itself away, and does not run again", async () => {
    const task = probe(now(), () => {
      task.dueSeconds = now();
      if (task.runs.length === 3) loop.remove(task);
    });
    loop.add(task);
    await task.hasRun(3);
    await Bun.sleep(20);
    expect(task.runs).toHaveLength(3);
  });

  test("a task that was taken away before its time does not run, and the others do", async () => {
    const gone = probe(now() + 0.02);
    const stays = probe(now() + 0.03);
    loop.add(gone);
    loop.add(stays);
    loop.add(probe(now(), () => loop.remove(gone)));
    await stays.hasRun();
    expect(gone.runs).toEqual([]);
  });

  test("one that throws is told so, does not run any more, and takes no other with it", async () => {
    const bad = probe(now(), () => {
      bad.dueSeconds = now();
      throw new Error("no luck");
    });
    const good = probe(now() + 0.02);
    loop.add(bad);
    loop.add(good);
    await good.hasRun();
    expect(bad.failures).toEqual(["no luck"]);
    expect(bad.runs).toHaveLength(1);
    expect(good.failures).toEqual([]);
  });
});

test("a reader may look again and again only while it is alone", () => {
  expect(loop.maySpin).toBe(false);
  const [one, other] = [probe(Infinity), probe(Infinity)];
  loop.add(one);
  expect(loop.maySpin).toBe(true);
  loop.add(other);
  expect(loop.maySpin).toBe(false);
  loop.remove(one);
  expect(loop.maySpin).toBe(true);
});

describe("beside Bun's own loop", () => {
  /** Busy for about a millisecond each time, and due again at once. */
  function busy(): Probe {
    const task = probe(now(), () => {
      const untilSeconds = now() + 0.001;
      while (now() < untilSeconds);
      task.dueSeconds = now();
    });
    return task;
  }

  test("timers, immediates, messages and sockets are served while a task is always due", async () => {
    const task = busy();
    loop.add(task);
    const { port1, port2 } = new MessageChannel();
    const message = new Promise((resolve) => {
      port1.onmessage = resolve;
    });
    const datagram = Promise.withResolvers<void>();
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => datagram.resolve() },
    });
    try {
      port2.postMessage("hello");
      socket.send("hello", socket.port, "127.0.0.1");
      const served = [message, datagram.promise, Bun.sleep(5), new Promise((resolve) => setImmediate(resolve))];
      await within("all of Bun's events", Promise.all(served));
      expect(task.runs.length).toBeGreaterThan(0);
      const runs = task.runs.length;
      await task.hasRun(runs + 5);
    } finally {
      socket.close();
      port1.close();
    }
  });

  test("what is far away waits in a timer, and the thread is free meanwhile", async () => {
    const order: string[] = [];
    const startSeconds = now();
    loop.add(probe(startSeconds + 0.2, () => order.push("the task at 200 ms")));
    const timers = [5, 50, 120, 400].map(async (ms) => {
      await Bun.sleep(ms);
      order.push(`${ms} ms`);
    });
    await within("the timers", Promise.all(timers));
    expect(order).toEqual(["5 ms", "50 ms", "120 ms", "the task at 200 ms", "400 ms"]);
  });

  test("turns are not taken while nothing is due: the thread sleeps in Bun's loop", async () => {
    loop.add(probe(now() + 3600));
    const before = process.cpuUsage();
    await Bun.sleep(300);
    const { user, system } = process.cpuUsage(before);
    // A loop that turned all the time would have taken all of it.
    expect((user + system) / 1e6).toBeLessThan(0.25);
  });
});

direct.describe("descriptors", () => {
  const close: (() => void)[] = [];

  afterEach(() => {
    for (const one of close.splice(0)) one();
  });

  /** A UDP socket that Bun does not read, and another that sends to it. */
  async function datagrams() {
    if (loop.io === null || loop.datagrams === null) throw new Error("no direct calls");
    const { io, datagrams: reader } = loop;
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const port = socket.port;
    const adopted = await adoptDatagrams(io, socket);
    const fd = adopted === null ? null : descriptorOf(adopted);
    if (fd === null) throw new Error("not adopted");
    const sender = await Bun.udpSocket({ hostname: "127.0.0.1", connect: { hostname: "127.0.0.1", port } });
    close.push(
      () => adopted?.close(),
      () => sender.close(),
    );
    return { fd, read: () => reader.read(fd), send: (text: string) => sender.send(text) };
  }

  test("a task runs when its socket is readable, whenever it is due", async () => {
    const { fd, read, send } = await datagrams();
    const sizes: number[] = [];
    const task = probe(Infinity, () => sizes.push(read()));
    task.descriptor = fd;
    loop.add(task);
    await Bun.sleep(30);
    expect(task.runs).toEqual([]);
    send("abc");
    await task.hasRun();
    send("defgh");
    await task.hasRun(2);
    expect(task.runs.map(({ isReady }) => isReady)).toEqual([true, true]);
    expect(sizes).toEqual([3, 5]);
  });

  test("the right one of several runs", async () => {
    const sockets = [await datagrams(), await datagrams(), await datagrams()];
    const tasks = sockets.map(({ fd, read }) => {
      const task = probe(Infinity, () => void read());
      task.descriptor = fd;
      loop.add(task);
      return task;
    });
    for (const index of [1, 2, 0]) {
      sockets[index]?.send("x");
      await tasks[index]?.hasRun();
    }
    expect(tasks.map(({ runs }) => runs.length)).toEqual([1, 1, 1]);
  });

  test("a socket that is ready and a task by time do not wait for each other", async () => {
    const { fd, read, send } = await datagrams();
    const reader = probe(Infinity, () => void read());
    reader.descriptor = fd;
    const ticks = probe(now(), () => {
      if (ticks.runs.length === 20) return;
      ticks.dueSeconds = now() + 0.003;
      send("tick");
    });
    loop.add(reader);
    loop.add(ticks);
    await ticks.hasRun(20);
    await reader.hasRun(19);
    expect(reader.runs).toHaveLength(19);
    expect(reader.runs.every(({ isReady }) => isReady)).toBe(true);
  });

  test("a task that takes its descriptor back is not run by it", async () => {
    const { fd, read, send } = await datagrams();
    const task = probe(Infinity, () => {
      read();
      task.descriptor = null;
    });
    task.descriptor = fd;
    loop.add(task);
    send("one");
    await task.hasRun();
    send("two");
    await Bun.sleep(60);
    expect(task.runs).toHaveLength(1);
  });

  test("a full connection runs its task once it takes more", async () => {
    const { io } = loop;
    if (io === null) throw new Error("no direct calls");
    const connection = await connectTcp();
    close.push(() => connection.close());
    const fd = connection.nearFd;
    const buffer = new Uint8Array(1_000_000);
    while (io.send(fd, buffer, buffer.length) >= 0);
    const task = probe(Infinity, () => {
      task.descriptor = null;
    });
    task.descriptor = fd;
    task.readiness = "writable";
    loop.add(task);
    await Bun.sleep(60);
    expect(task.runs).toEqual([]);
    // The peer's buffer is emptied past Bun: it is paused.
    const peerFd = connection.farFd;
    await eventually(
      "room",
      () => {
        while (io.discard(peerFd) > 0);
        return task.runs.length;
      },
      (runs) => runs === 1,
    );
    expect(task.runs[0]?.isReady).toBe(true);
    expect(io.send(fd, buffer, 1)).toBe(1);
  });
});

describe("a process whose loop has nothing to do", () => {
  async function endsWith(script: string): Promise<void> {
    const source = `
      import { systemClock } from "${ROOT}/src/clock.ts";
      import { StreamLoop } from "${ROOT}/src/streams/stream-loop.ts";
      const clock = systemClock();
      const now = () => clock.monotonicSeconds();
      const loop = new StreamLoop(clock);
      const task = {
        dueSeconds: now(), leadSeconds: 0, descriptor: null, readiness: "readable",
        runs: 0, run() { this.runs++; this.onRun(); return true; }, onRun() {}, broken() {},
      };
      ${script}
    `;
    const { code, stdout, stderr } = await run([process.execPath, "-e", source], { timeoutMs: 5_000 });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "done\n", stderr: "" });
  }

  test("ends when no task was ever added", () => endsWith('console.log("done");'));

  test("ends when the last task is taken away", () =>
    endsWith(`
      task.onRun = () => {
        task.dueSeconds = now() + 0.001;
        if (task.runs < 50) return;
        loop.remove(task);
        console.log("done");
      };
      loop.add(task);
    `));

  test("ends when what is left is waited for by nobody", () =>
    endsWith(`
      task.dueSeconds = Infinity;
      loop.add(task);
      console.log("done");
    `));

  test("ends when a task that is due in an hour is taken away", () =>
    endsWith(`
      task.dueSeconds = now() + 3600;
      loop.add(task);
      setTimeout(() => { loop.remove(task); console.log("done"); }, 10);
    `));
});

import { type DirectIo, openDirectIo } from "../../ffi/direct-io.ts";
import { type DatagramReader, openDatagramReader } from "../../ffi/datagram-reader.ts";
import { openWaiter, READABLE, type Waiter, WRITABLE } from "../../ffi/wait.ts";
import type { Clock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { spareCompiler } from "./spare-compiler.ts";

/** How long the loop keeps its thread before Bun's own loop is let in: messages, timers, sockets. */
const TURN_SECONDS = 0.02;
/** From here on it lets Bun in early, when the next task is at least this far away. */
const EARLY_TURN_SECONDS = 0.01;
const EARLY_TURN_ROOM_SECONDS = 0.0003;
/** A timer of Bun's is this late at worst; what is farther away waits there, and does not block the thread. */
const TIMER_LATENESS_SECONDS = 0.0025;
/** Sleeping and waking takes longer than this: a wait that is shorter is spent awake. */
const SHORTEST_SLEEP_SECONDS = 20e-6;

export type Readiness = "readable" | "writable";

/** One stream's share of the loop. */
export interface LoopTask {
  /** When to run next, on the monotonic clock; a time that is past = at once, Infinity = not by time. */
  readonly dueSeconds: number;
  /** Awake for so long before it is due: what sleeping longer would cost in precision. */
  readonly leadSeconds: number;
  /** The descriptor that is waited for as well; null = none. Only where `StreamLoop.io` is there. */
  readonly descriptor: number | null;
  readonly readiness: Readiness;
  /** Does what is due, for about a millisecond at most; tells whether there was anything to do. */
  run(nowSeconds: number, isReady: boolean): boolean;
  /** It threw, and is not run any more. */
  broken(message: string): void;
}

/**
 * Runs the streams of one thread, each at its time and when its socket is ready. It sleeps more precisely than Bun's
 * timers do, by blocking the thread for at most `TURN_SECONDS`; without tasks it does nothing.
 */
export class StreamLoop {
  /** Direct calls on sockets; null where only Bun's own can be made. */
  readonly io: DirectIo | null = openDirectIo();
  /** One memory for all UDP receivers of the thread: what was read is counted at once. */
  readonly datagrams: DatagramReader | null = openDatagramReader();
  readonly #clock: Clock;
  readonly #waiter: Waiter | null = openWaiter();
  /** What a system without ppoll sleeps on. */
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));
  /** Never changed in place: a task may come or go while the others run. */
  #tasks: readonly LoopTask[] = [];
  /** In the waiter's order. */
  readonly #polled: LoopTask[] = [];
  /** Few at a time; a Set would leave its memory behind at each `clear`, up to megabytes a second. */
  readonly #ready: LoopTask[] = [];
  #pending: { readonly cancel: () => void } | null = null;
  #isRunning = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#turn, this.#runDue, this.#wakeSeconds, this.#isForBun]);
  }

  /** Whether a task that finds nothing may stay awake for more: no other of this thread waits for it. */
  get maySpin(): boolean {
    return this.#tasks.length === 1;
  }

  /** Runs the task from now on, or, when it runs already, looks anew at when it is due. */
  add(task: LoopTask): void {
    if (!this.#tasks.includes(task)) this.#tasks = [...this.#tasks, task];
    if (!this.#isRunning) this.#arm();
  }

  remove(task: LoopTask): void {
    this.#tasks = this.#tasks.filter((other) => other !== task);
    if (!this.#isRunning) this.#arm();
  }

  /** Runs tasks until Bun's own loop should be let in. */
  readonly #turn = (): void => {
    this.#pending = null;
    this.#isRunning = true;
    const startSeconds = this.#clock.monotonicSeconds();
    let nowSeconds = startSeconds;
    try {
      while (this.#tasks.length > 0) {
        const hasWorked = this.#runDue(nowSeconds);
        nowSeconds = this.#clock.monotonicSeconds();
        const aheadSeconds = this.#wakeSeconds() - nowSeconds;
        const turnSeconds = nowSeconds - startSeconds;
        if (turnSeconds >= TURN_SECONDS || this.#isForBun(aheadSeconds, turnSeconds)) break;
        const mayYield = !hasWorked && this.#isDue(nowSeconds);
        this.#wait(Math.min(aheadSeconds, TURN_SECONDS - turnSeconds), mayYield);
        nowSeconds = this.#clock.monotonicSeconds();
      }
    } finally {
      this.#ready.length = 0;
      this.#isRunning = false;
      this.#arm();
    }
  };

  /** Whether the time until the next task is better spent in Bun's loop. */
  #isForBun(aheadSeconds: number, turnSeconds: number): boolean {
    if (turnSeconds >= EARLY_TURN_SECONDS && aheadSeconds >= EARLY_TURN_ROOM_SECONDS) return true;
    return aheadSeconds >= 2 * TIMER_LATENESS_SECONDS && !this.#hasDescriptors();
  }

  /** Runs every task that is due or whose descriptor was found ready; tells whether any had work. */
  #runDue(nowSeconds: number): boolean {
    let hasWorked = false;
    for (const task of this.#tasks) {
      const isReady = this.#ready.includes(task);
      if (task.dueSeconds > nowSeconds && !isReady) continue;
      if (this.#run(task, nowSeconds, isReady)) hasWorked = true;
    }
    this.#ready.length = 0;
    return hasWorked;
  }

  /** What goes wrong in one stream must not end the others of its thread. */
  #run(task: LoopTask, nowSeconds: number, isReady: boolean): boolean {
    try {
      return task.run(nowSeconds, isReady);
    } catch (error) {
      this.remove(task);
      task.broken(messageOf(error));
      return true;
    }
  }

  /** When to be awake for the next task. */
  #wakeSeconds(): number {
    let soonestSeconds = Infinity;
    for (const task of this.#tasks) soonestSeconds = Math.min(soonestSeconds, task.dueSeconds - task.leadSeconds);
    return soonestSeconds;
  }

  #isDue(nowSeconds: number): boolean {
    for (const task of this.#tasks) if (task.dueSeconds <= nowSeconds) return true;
    return false;
  }

  #hasDescriptors(): boolean {
    for (const task of this.#tasks) if (task.descriptor !== null) return true;
    return false;
  }

  #wait(seconds: number, mayYield: boolean): void {
    const isAwake = seconds < SHORTEST_SLEEP_SECONDS;
    // Awake for nothing: others may want this CPU more. One that waits for its very moment keeps it.
    if (isAwake && mayYield) this.io?.yieldCpu();
    if (this.#waiter === null) {
      if (!isAwake) Atomics.wait(this.#sleeper, 0, 0, seconds * 1000);
      return;
    }
    // A task that is alone and awake looks for itself.
    if (isAwake && this.#tasks.length === 1) return;
    this.#poll(this.#waiter, isAwake ? 0 : seconds);
  }

  #poll(waiter: Waiter, seconds: number): void {
    waiter.clear();
    this.#polled.length = 0;
    for (const task of this.#tasks) {
      if (task.descriptor === null) continue;
      waiter.add(task.descriptor, task.readiness === "readable" ? READABLE : WRITABLE);
      this.#polled.push(task);
    }
    if (waiter.wait(seconds) === 0) return;
    let index = 0;
    for (const task of this.#polled) if (waiter.isReady(index++)) this.#ready.push(task);
  }

  /** Has the next turn begin when there is something to do, and no sooner. */
  #arm(): void {
    this.#pending?.cancel();
    this.#pending = null;
    if (this.#tasks.length === 0) return;
    const aheadSeconds = this.#wakeSeconds() - this.#clock.monotonicSeconds();
    if (this.#hasDescriptors() || aheadSeconds < 2 * TIMER_LATENESS_SECONDS) {
      const immediate = setImmediate(this.#turn);
      this.#pending = { cancel: () => clearImmediate(immediate) };
    } else if (aheadSeconds < Infinity) {
      const timer = setTimeout(this.#turn, (aheadSeconds - TIMER_LATENESS_SECONDS) * 1000);
      this.#pending = { cancel: () => clearTimeout(timer) };
    }
  }
}

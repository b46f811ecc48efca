import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { unlessAborted, WorkerTurns } from "../../../src/workers/worker-turns.ts";
import { failureOf } from "./streams.ts";

const HERE = new AbortController().signal;
const STOPPED = { name: "RperfError", code: "stopped" };

/** Which of the promises have had their turn, by name, as it happens. */
function teller() {
  const told: string[] = [];
  const tell = (name: string, promise: Promise<void>): void => {
    promise.then(
      () => void told.push(name),
      () => void told.push(`${name} went`),
    );
  };
  const soon = async (): Promise<string[]> => {
    await Bun.sleep(0);
    return told.splice(0);
  };
  return { tell, soon };
}

describe("a test's Workers", () => {
  test("are promised together, in the order of coming", async () => {
    const turns = new WorkerTurns({ workers: 4, starting: 1, ending: 1 });
    const { tell, soon } = teller();
    tell("three", turns.promise(3, HERE));
    tell("two", turns.promise(2, HERE));
    tell("one", turns.promise(1, HERE));
    expect(await soon()).toEqual(["three"]);
    turns.giveBack(1);
    expect(await soon()).toEqual(["two"]);
    turns.ending();
    turns.ended();
    expect(await soon()).toEqual(["one"]);
  });

  test("start one each in turn, so many at once", async () => {
    const turns = new WorkerTurns({ workers: 9, starting: 2, ending: 9 });
    const { tell, soon } = teller();
    const startAll = async (name: string, workers: number): Promise<void> => {
      await turns.promise(workers, HERE);
      for (let index = 0; index < workers; index++) {
        const turn = turns.turn(HERE);
        tell(name, turn);
        await turn;
      }
    };
    const all = Promise.all([startAll("many", 5), startAll("one", 1), startAll("other", 1)]);
    expect(await soon()).toEqual(["many", "one"]);
    const order: string[] = [];
    for (let index = 0; index < 5; index++) {
      turns.started();
      order.push(...(await soon()));
    }
    expect(order).toEqual(["other", "many", "many", "many", "many"]);
    await all;
  });

  test("start only where not too many end", async () => {
    const turns = new WorkerTurns({ workers: 9, starting: 9, ending: 2 });
    const { tell, soon } = teller();
    await turns.promise(9, HERE);
    turns.ending();
    tell("first", turns.turn(HERE));
    turns.ending();
    tell("second", turns.turn(HERE));
    expect(await soon()).toEqual(["first"]);
    turns.ended();
    expect(await soon()).toEqual(["second"]);
  });
});

describe("whoever has gone", () => {
  test("does not wait, and holds up nobody", async () => {
    const turns = new WorkerTurns({ workers: 2, starting: 1, ending: 1 });
    const { tell, soon } = teller();
    const [big, next] = [new AbortController(), new AbortController()];
    await turns.promise(1, HERE);
    tell("big", turns.promise(2, big.signal));
    tell("small", turns.promise(1, HERE));
    big.abort();
    expect((await soon()).sort()).toEqual(["big went", "small"]);
    await turns.turn(HERE);
    tell("next", turns.turn(next.signal));
    tell("last", turns.turn(HERE));
    next.abort();
    expect(await soon()).toEqual(["next went"]);
    turns.started();
    expect(await soon()).toEqual(["last"]);
  });

  test("before it came is not let wait", async () => {
    const turns = new WorkerTurns({ workers: 1, starting: 1, ending: 1 });
    expect(await failureOf(turns.promise(1, AbortSignal.abort()))).toMatchObject(STOPPED);
    expect(await failureOf(unlessAborted(Promise.resolve(), AbortSignal.abort()))).toMatchObject(STOPPED);
    await turns.promise(1, HERE);
  });

  test("behind its turn has it, and gives it back", async () => {
    const turns = new WorkerTurns({ workers: 1, starting: 1, ending: 1 });
    const gone = new AbortController();
    const promised = turns.promise(1, gone.signal);
    gone.abort();
    await promised;
    turns.giveBack(1);
    await turns.promise(1, HERE);
  });
});

test("however tests come and go, everybody has a turn or has gone, and all Workers are free in the end", async () => {
  const tests = fc.array(fc.record({ workers: fc.integer({ min: 0, max: 5 }), goesAfter: fc.nat(12) }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(tests, async (all) => {
      const turns = new WorkerTurns({ workers: 5, starting: 2, ending: 2 });
      let [live, starting, ending] = [0, 0, 0];
      const check = (): void => {
        expect(live).toBeLessThanOrEqual(5);
        expect(starting).toBeLessThanOrEqual(2);
      };
      const pause = async (ticks: number): Promise<void> => {
        for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      };
      const end = async (): Promise<void> => {
        turns.ending();
        ending++;
        await pause(4);
        turns.ended();
        ending--;
        live--;
      };
      const run = async ({ workers, goesAfter }: { readonly workers: number; readonly goesAfter: number }) => {
        const gone = new AbortController();
        void pause(goesAfter * 3).then(() => gone.abort());
        let mine = 0;
        try {
          await turns.promise(workers, gone.signal);
        } catch {
          return;
        }
        try {
          for (; mine < workers; mine++) {
            await turns.turn(gone.signal);
            live++;
            starting++;
            check();
            void pause(3).then(() => {
              starting--;
              turns.started();
            });
          }
        } catch {
          // It gives back the rest.
        }
        turns.giveBack(workers - mine);
        await pause(goesAfter);
        await Promise.all(Array.from({ length: mine }, end));
      };
      await Promise.all(all.map(run));
      await turns.promise(5, HERE);
      expect([live, ending]).toEqual([0, 0]);
    }),
    { numRuns: 200 },
  );
});

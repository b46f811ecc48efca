import { describe, expect, test } from "bun:test";

import { RperfError } from "../../../src/errors.ts";
import type { ServerEvent } from "../../../src/server/events.ts";
import { Guard } from "../../../src/server/guard.ts";

const CLIENT = "192.0.2.1:5000";
const OURS = "internal error of the server";

function watched() {
  const events: ServerEvent[] = [];
  const refusals: string[] = [];
  const guard = new Guard((event) => void events.push(event));
  return { events, refusals, guard, guarded: guard.of(CLIENT, { refuse: (message) => void refusals.push(message) }) };
}

function broken(): never {
  throw new TypeError("a defect");
}

describe("what a handler throws", () => {
  test("a defect is told of, and ends its client with no word of what it was", () => {
    const { events, refusals, guarded } = watched();
    guarded.run(broken);
    expect(events).toEqual([{ type: "internal-error", client: CLIENT, message: "a defect" }]);
    expect(refusals).toEqual([OURS]);
  });

  test("what a client did wrong is its refusal, and no defect", () => {
    const { events, refusals, guarded } = watched();
    guarded.run(() => {
      throw new RperfError("peer-protocol", "no such kind");
    });
    expect({ events, refusals }).toEqual({ events: [], refusals: ["no such kind"] });
  });

  test("a refusal that throws too is told of, and nothing escapes", () => {
    const { events, guard } = watched();
    const refuse = (): never => {
      throw new Error("no refusal either");
    };
    guard.of(CLIENT, { refuse }).run(broken);
    expect(events.map((event) => "message" in event && event.message)).toEqual(["a defect", "no refusal either"]);
  });

  test("a step of an end is told of, and refuses nobody", () => {
    const { events, refusals, guarded } = watched();
    guarded.step(broken);
    expect({ events: events.length, refusals }).toEqual({ events: 1, refusals: [] });
  });

  test("of nobody in particular: told of, whatever it is", () => {
    const { events, guard } = watched();
    const nobody = guard.ofNobody();
    nobody.run(broken);
    nobody.run(() => {
      throw new RperfError("bind-failed", "no port");
    });
    expect(events).toEqual([
      { type: "internal-error", client: null, message: "a defect" },
      { type: "internal-error", client: null, message: "no port" },
    ]);
  });
});

describe("a listener that throws", () => {
  test("hears of it, and goes on hearing", () => {
    const heard: string[] = [];
    const guard = new Guard((event) => {
      heard.push(event.type);
      if (event.type === "test-started") throw new Error("the listener's own");
    });
    guard.emit({ type: "test-started", client: CLIENT });
    guard.emit({ type: "client-resumed", client: CLIENT });
    expect(heard).toEqual(["test-started", "internal-error", "client-resumed"]);
  });

  test("that throws at everything harms nobody", () => {
    new Guard(broken).emit({ type: "test-started", client: CLIENT });
    const refusals: string[] = [];
    new Guard(broken).of(CLIENT, { refuse: (message) => void refusals.push(message) }).run(broken);
    expect(refusals).toEqual([OURS]);
  });
});

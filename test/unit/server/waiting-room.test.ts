import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ClassLimits, UNLIMITED } from "../../../src/config/policy.ts";
import { expiryOf, type Guest } from "../../../src/server/occupancy.ts";
import { type RoomLimits, WaitingRoom } from "../../../src/server/waiting-room.ts";

const T0_SECONDS = 1000;

function classOf(name: string, clients: number | null, clientsPerAddress: number | null = null): ClassLimits {
  return { ...UNLIMITED, name, clients, clientsPerAddress };
}

function guestOf(place = "192.0.2.1", plannedSeconds: number | null = 10, limits = UNLIMITED): Guest {
  return { place, plannedSeconds, limits };
}

/** A room of one place that is taken, and its guest. */
function fullRoom(queueLimit: number, plannedSeconds: number | null = 10) {
  const room = new WaitingRoom({ clientLimit: 1, queueLimit });
  const inside = guestOf("192.0.2.99", plannedSeconds);
  room.enter(inside, false, T0_SECONDS);
  return { room, inside };
}

describe("a full server", () => {
  test("refuses whoever would not wait, and everybody without a queue", () => {
    const message = "the server has as many clients as it may have; try again later";
    expect(fullRoom(5).room.enter(guestOf(), false, T0_SECONDS)).toEqual({ type: "refused", why: message });
    expect(fullRoom(0).room.enter(guestOf(), true, T0_SECONDS)).toEqual({ type: "refused", why: message });
  });

  test("lets one address have half of its queue", () => {
    const { room } = fullRoom(5);
    const enter = (address: string) => room.enter(guestOf(address), true, T0_SECONDS);
    expect([enter("a"), enter("a")]).toEqual([{ type: "waiting" }, { type: "waiting" }]);
    expect(enter("a")).toMatchObject({ type: "refused", why: expect.stringContaining("waits as often as it may (2)") });
    expect([enter("b"), enter("c"), enter("d")].map(({ type }) => type)).toEqual(["waiting", "waiting", "waiting"]);
    expect(enter("e")).toMatchObject({ type: "refused", why: expect.stringContaining("so many wait already (5)") });
  });

  test("of one place in the queue, one address may have it", () => {
    expect(fullRoom(1).room.enter(guestOf(), true, T0_SECONDS)).toEqual({ type: "waiting" });
  });

  test("lets those who wait in when its limit rises, in order, and sends nobody away when it falls", () => {
    const { room, inside } = fullRoom(9);
    const guests = ["a", "b", "c", "d"].map((address) => guestOf(address));
    for (const guest of guests) room.enter(guest, true, T0_SECONDS);
    expect(room.change({ clientLimit: 3, queueLimit: 0 }, T0_SECONDS)).toEqual(guests.slice(0, 2));
    expect(room.change({ clientLimit: 1, queueLimit: 0 }, T0_SECONDS)).toEqual([]);
    expect([room.inside, room.waiting]).toEqual([3, 2]);
    expect(room.leave(inside, T0_SECONDS)).toEqual([]);
    expect(room.change({ clientLimit: 0, queueLimit: 0 }, T0_SECONDS)).toEqual(guests.slice(2));
  });
});

describe("a full class", () => {
  const guests = classOf("guests", 1);
  const friends = classOf("friends", 4, 1);

  test("is named, and stops nobody of another", () => {
    const room = new WaitingRoom({ clientLimit: 2, queueLimit: 10 });
    const first = guestOf("a", 10, guests);
    const second = guestOf("b", 10, guests);
    const friend = guestOf("a", 10, friends);
    expect(room.enter(first, true, T0_SECONDS).type).toBe("inside");
    expect(room.enter(second, true, T0_SECONDS).type).toBe("waiting");
    expect(room.enter(friend, true, T0_SECONDS).type).toBe("inside");
    expect(room.enter(guestOf("a", 10, friends), false, T0_SECONDS)).toMatchObject({ type: "refused" });
    // The place that a friend leaves suits no guest; the one that a guest leaves does.
    expect(room.leave(friend, T0_SECONDS)).toEqual([]);
    expect(room.leave(first, T0_SECONDS)).toEqual([second]);
  });

  test("says what it is full of", () => {
    const room = new WaitingRoom({ clientLimit: 0, queueLimit: 0 });
    room.enter(guestOf("a", 10, guests), true, T0_SECONDS);
    room.enter(guestOf("a", 10, friends), true, T0_SECONDS);
    const whyOf = (limits: ClassLimits) => room.enter(guestOf("a", 10, limits), true, T0_SECONDS);
    expect(whyOf(guests)).toEqual({
      type: "refused",
      why: "this server allows class guests at most 1 test at a time; try again later",
    });
    expect(whyOf(friends)).toEqual({
      type: "refused",
      why: "this server allows class friends at most 1 test at a time from one address; try again later",
    });
    expect(room.enter(guestOf("b", 10, friends), true, T0_SECONDS).type).toBe("inside");
  });

  test("is told of to whom has waited in vain", () => {
    const address = { className: "friends", limit: 1 } as const;
    expect(expiryOf({ of: "server" }, 60)).toBe("the server was full for 60 s");
    expect(expiryOf({ of: "class", ...address }, 1.5)).toBe("class friends was full for 1.5 s (clients: 1)");
    expect(expiryOf({ of: "address", ...address }, 5)).toBe(
      "class friends was full for this address for 5 s (clients: 1)",
    );
  });
});

describe("news", () => {
  test("come at once to who is new, and then for each change of the place, once a second at the most", () => {
    const { room } = fullRoom(20);
    const [one, two, three] = [guestOf("a"), guestOf("b"), guestOf("c")];
    for (const guest of [one, two, three]) room.enter(guest, true, T0_SECONDS);
    // 10 s and a second's allowance for each of those before.
    expect(room.news(T0_SECONDS)).toEqual({
      news: [
        { guest: one, place: 1, waitSeconds: 11 },
        { guest: two, place: 2, waitSeconds: 22 },
        { guest: three, place: 3, waitSeconds: 33 },
      ],
      nextSeconds: null,
    });
    room.leave(one, T0_SECONDS + 0.25);
    expect(room.news(T0_SECONDS + 0.25)).toEqual({ news: [], nextSeconds: 0.75 });
    room.leave(two, T0_SECONDS + 0.5);
    expect(room.news(T0_SECONDS + 1)).toEqual({
      news: [{ guest: three, place: 1, waitSeconds: 10 }],
      nextSeconds: null,
    });
    expect(room.news(T0_SECONDS + 9)).toEqual({ news: [], nextSeconds: null });
  });

  test("tell of no wait where the test before has no known end, or the test's other direction has none", () => {
    const waitOf = (room: WaitingRoom) => {
      room.enter(guestOf("a"), true, T0_SECONDS);
      return room.news(T0_SECONDS).news[0]?.waitSeconds;
    };
    expect(waitOf(fullRoom(1, null).room)).toBeNull();
    const { room, inside } = fullRoom(1);
    room.prolong(inside, null, T0_SECONDS);
    expect(waitOf(room)).toBeNull();
    const longer = fullRoom(1);
    longer.room.prolong(longer.inside, 20, T0_SECONDS);
    expect(waitOf(longer.room)).toBe(21);
    const overdue = fullRoom(1, 0.5);
    overdue.room.enter(guestOf("a"), true, T0_SECONDS + 99);
    expect(overdue.room.news(T0_SECONDS + 99).news[0]?.waitSeconds).toBe(0);
  });
});

const CLASSES = [UNLIMITED, classOf("guests", 2), classOf("friends", null, 1), classOf("few", 3, 2)];
const guests = fc.record({
  place: fc.constantFrom("a", "b", "c"),
  limits: fc.constantFrom(...CLASSES),
  plannedSeconds: fc.constantFrom(1, 5, 20),
});
const limits = fc.record({ clientLimit: fc.constantFrom(0, 1, 2, 3, 5), queueLimit: fc.constantFrom(0, 1, 2, 5, 9) });
const steps = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("enter" as const), guest: guests, mayWait: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("change" as const), limits }) },
);

/** The rules once more, slowly: whoever may come in is found by counting. */
class Model {
  limits: RoomLimits;
  inside: Guest[] = [];
  queue: Guest[] = [];

  constructor(limits: RoomLimits) {
    this.limits = limits;
  }

  mayEnter({ place, limits: { name, clients, clientsPerAddress } }: Guest): boolean {
    const ofClass = this.inside.filter((guest) => guest.limits.name === name);
    const ofPlace = ofClass.filter((guest) => guest.place === place);
    const { clientLimit } = this.limits;
    return (
      (clientLimit === 0 || this.inside.length < clientLimit) &&
      (clients === null || ofClass.length < clients) &&
      (clientsPerAddress === null || ofPlace.length < clientsPerAddress)
    );
  }

  enter(guest: Guest, mayWait: boolean): "inside" | "waiting" | "refused" {
    if (this.mayEnter(guest)) {
      this.inside.push(guest);
      return "inside";
    }
    const { queueLimit } = this.limits;
    const own = this.queue.filter(({ place }) => place === guest.place).length;
    if (!mayWait || this.queue.length >= queueLimit || own >= Math.max(1, Math.floor(queueLimit / 2))) return "refused";
    this.queue.push(guest);
    return "waiting";
  }

  fill(): Guest[] {
    const letIn: Guest[] = [];
    for (const guest of this.queue) {
      if (!this.mayEnter(guest)) continue;
      this.queue = this.queue.filter((other) => other !== guest);
      this.inside.push(guest);
      letIn.push(guest);
    }
    return letIn;
  }

  leave(guest: Guest): Guest[] {
    this.inside = this.inside.filter((other) => other !== guest);
    this.queue = this.queue.filter((other) => other !== guest);
    return this.fill();
  }
}

test("no place is given twice or lost, and the order stands, whoever comes and goes", () => {
  fc.assert(
    fc.property(limits, fc.array(steps, { maxLength: 60 }), (first, sequence) => {
      const room = new WaitingRoom(first);
      const model = new Model(first);
      for (const [index, step] of sequence.entries()) {
        const nowSeconds = T0_SECONDS + index;
        if (step.do === "enter") {
          const guest = { ...step.guest };
          expect(room.enter(guest, step.mayWait, nowSeconds).type).toBe(model.enter(guest, step.mayWait));
        } else if (step.do === "change") {
          model.limits = step.limits;
          expect(room.change(step.limits, nowSeconds)).toEqual(model.fill());
        } else {
          const there = [...model.inside, ...model.queue];
          const guest = there[step.which % Math.max(1, there.length)];
          if (guest === undefined) continue;
          const letIn = room.leave(guest, nowSeconds);
          const expected = model.leave(guest);
          expect(letIn).toHaveLength(expected.length);
          for (const [at, one] of expected.entries()) expect(letIn[at]).toBe(one);
        }
        expect([room.inside, room.waiting]).toEqual([model.inside.length, model.queue.length]);
        const { news, nextSeconds } = room.news(nowSeconds);
        expect(nextSeconds).toBeNull();
        for (const { guest, place } of news) expect(model.queue[place - 1]).toBe(guest);
      }
    }),
  );
});

test("the wait that is told is the wait that comes, where all goes as planned", () => {
  fc.assert(
    fc.property(limits, fc.array(guests, { minLength: 1, maxLength: 25 }), ({ clientLimit }, arrivals) => {
      const room = new WaitingRoom({ clientLimit, queueLimit: 50 });
      const inside: { guest: Guest; endSeconds: number }[] = [];
      const letIn = (guest: Guest, atSeconds: number) =>
        inside.push({ guest, endSeconds: atSeconds + (guest.plannedSeconds ?? 0) + 1 });
      for (const arrival of arrivals) {
        const guest = { ...arrival };
        if (room.enter(guest, true, T0_SECONDS).type === "inside") letIn(guest, T0_SECONDS);
      }
      const told = new Map(room.news(T0_SECONDS).news.map(({ guest, waitSeconds }) => [guest, waitSeconds]));
      const waited = new Map<Guest, number | null>();
      while (inside.length > 0) {
        inside.sort((one, other) => one.endSeconds - other.endSeconds);
        const ended = inside.shift();
        if (ended === undefined) break;
        for (const guest of room.leave(ended.guest, ended.endSeconds)) {
          waited.set(guest, ended.endSeconds - T0_SECONDS);
          letIn(guest, ended.endSeconds);
        }
      }
      expect(waited).toEqual(told);
      expect(room.waiting).toBe(0);
    }),
  );
});

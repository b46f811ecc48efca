import { expect, test } from "bun:test";
import fc from "fast-check";
import { LifeSigns } from "../../../src/server/silence-watch.ts";

test("4.5 s behind the last sign of life it is silent, and no longer than that", () => {
  const signs = new LifeSigns(100);
  expect([signs.look(100), signs.look(104.4), signs.isHeld]).toEqual([null, null, false]);
  signs.heard(101);
  expect([signs.look(105.4), signs.look(105.5), signs.isHeld]).toEqual([null, "silent", true]);
  expect([signs.look(105.75), signs.look(500)]).toEqual([null, null]);
  signs.heard(506);
  expect([signs.look(506.5), signs.isHeld, signs.look(506.75)]).toEqual([401, false, null]);
});

test("what is older than the last sign of life is no news", () => {
  const signs = new LifeSigns(100);
  signs.heard(103);
  signs.heard(99);
  expect([signs.look(107.4), signs.look(107.5)]).toEqual([null, "silent"]);
  signs.heard(100);
  expect(signs.look(108)).toBeNull();
});

test("it is held at each look exactly when nothing was heard for 4.5 s", () => {
  const steps = fc.array(
    fc.record({ afterSeconds: fc.double({ min: 0, max: 8, noNaN: true }), isHeard: fc.boolean() }),
  );
  fc.assert(
    fc.property(steps, (all) => {
      const signs = new LifeSigns(0);
      let now = 0;
      let last = 0;
      let heldSince: number | null = null;
      for (const { afterSeconds, isHeard } of all) {
        now += afterSeconds;
        if (isHeard) signs.heard((last = now));
        const change = signs.look(now);
        const isSilent = now - last >= 4.5;
        expect(signs.isHeld).toBe(isSilent);
        if (isSilent && heldSince === null) expect(change).toBe("silent");
        else if (!isSilent && heldSince !== null) expect(change).toBe(now - heldSince);
        else expect(change).toBeNull();
        heldSince = isSilent ? (heldSince ?? now) : null;
      }
    }),
  );
});

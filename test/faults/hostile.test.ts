// A few hundred hostile sessions of every kind: good tests pass meanwhile and afterwards, and nothing is left. Many more, and
// what a good client measures meanwhile: `bun run hostile`.
import { expect, setDefaultTimeout, test } from "bun:test";

import { runAttack } from "../soak/hostile.ts";

setDefaultTimeout(120_000);

const SESSIONS = 400;
const AT_ONCE = 60;

test(`${SESSIONS} hostile sessions leave a server as it was`, async () => {
  expect(await runAttack({ sessions: SESSIONS, atOnce: AT_ONCE, patienceMs: 2_000 }, false)).toEqual([]);
});

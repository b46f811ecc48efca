import { expect, test } from "bun:test";
import { makePolicy } from "../../../src/config/server-config.ts";
import { messageOf } from "../../../src/errors.ts";
import type { Configuration } from "../../../src/protocol/messages.ts";
import { DescriptorBudget } from "../../../src/server/descriptor-budget.ts";
import { Gate } from "../../../src/server/gate.ts";
import { Guard } from "../../../src/server/guard.ts";
import { bytesOf, MemoryBudget } from "../../../src/server/memory-budget.ts";
import { eventually } from "../../support/eventually.ts";
import { failureOf } from "../workers/streams.ts";
import { applicant } from "./applicants.ts";
import { forward, reverse } from "./configurations.ts";

/** With memory for the streams of `configuration` alone, and a class that may have 20,000 bytes a day: two times `forward()`. */
function narrowGate(configuration: Configuration): Gate {
  const policy = makePolicy({ classes: { few: { bytesPerDay: 20_000 } }, defaultClass: "few" });
  return new Gate(policy, {
    descriptors: new DescriptorBudget(Infinity, 0),
    memory: new MemoryBudget(2 * bytesOf(configuration, 0), 0),
    cpus: 0,
    guarded: new Guard(() => {}).ofNobody(),
  });
}

test.each(["before", "behind"] as const)(
  "a client that asks for more than there is room for and goes %s the answer leaves its day as it was",
  async (when) => {
    const gate = narrowGate(forward());
    const client = new AbortController();
    const lease = await gate.pass(applicant(forward(), null, client.signal));
    const second = failureOf(gate.pass(applicant(reverse(), lease, client.signal)));
    if (when === "behind") await second;
    client.abort();
    lease.release(Promise.resolve());
    const failure = await second;
    // Its memory is free a moment later.
    const wholeDay = forward({}, { durationSeconds: 20 });
    const next = () => gate.pass(applicant(wholeDay));
    const found = await eventually(
      "room",
      () => next().catch(messageOf),
      (answer) => typeof answer !== "string" || !answer.includes("memory"),
    );
    expect(found).toMatchObject({ identity: "192.0.2.1" });
    expect(failure).toMatchObject({ code: when === "before" ? "stopped" : "peer-protocol" });
  },
);

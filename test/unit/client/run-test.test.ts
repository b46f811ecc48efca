import { expect, test } from "bun:test";
import type { ClientEvent } from "../../../src/client/events.ts";
import { runTest } from "../../../src/client/run-test.ts";
import { systemClock } from "../../../src/clock.ts";
import { makeTestConfig } from "../../../src/config/test-config.ts";
import { answerConfiguration, startFakeServer } from "../../support/fake-server.ts";
import { type Script, scriptedPool } from "../../support/scripted-worker.ts";

/** Runs a test of two streams, which follow the script, against a server that answers and says no more. */
async function runScripted(script: Script) {
  const server = await startFakeServer((message, session) => {
    if (message["kind"] === "configuration") answerConfiguration(message, session);
    if (message["kind"] === "end") session.socket.end();
  });
  const events: ClientEvent[] = [];
  const { config } = makeTestConfig({ host: "127.0.0.1", port: server.port, family: "udp", parallel: 2 });
  const pool = scriptedPool(script);
  const emit = (event: ClientEvent) => void events.push(event);
  try {
    return { result: await runTest(config, { clock: systemClock(), pool, emit, signal: AbortSignal.any([]) }), events };
  } finally {
    server.stop();
  }
}

const PREPARED = { type: "prepared", port: null } as const;

test("what a stream tells for those who look closely is a debug event that names it", async () => {
  const { events } = await runScripted({
    prepare: [{ type: "debug", message: "no offload here" }, PREPARED],
    start: [{ type: "failed", code: "stream-failed", message: "enough", report: null }],
  });
  for (const streamIndex of [0, 1]) {
    expect(events).toContainEqual({ type: "debug", message: `stream ${streamIndex}: no offload here` });
  }
});

test.each(["offload-refused", "stream-failed"] as const)(
  "when every stream of this side fails, the test fails as the first did: %s",
  async (code) => {
    const failed = { type: "failed", code, message: "the system says no", report: null } as const;
    const { result } = await runScripted({ prepare: [PREPARED], start: [failed] });
    expect(result).toMatchObject({ success: false, outcome: "failed" });
    expect(result.reason).toEqual({ code, message: "stream 0: the system says no" });
    expect(result.streams.map(({ sender }) => sender.reason?.code)).toEqual([code, code]);
  },
);

// What a client tells over and over costs its Worker nothing.
import { expect, test } from "bun:test";
import { makeServerConfig } from "../../../src/config/server-config.ts";
import { NO_TOTALS } from "../../../src/results/types.ts";
import { listen } from "../../../src/server/start-server.ts";
import type { StreamEvent } from "../../../src/streams/spec.ts";
import { downloadConfiguration, RawClient } from "../../support/raw-client.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";

const INTERVAL: StreamEvent = {
  type: "interval",
  interval: { kind: "receive", family: "tcp", timestampSeconds: 0, durationSeconds: 1, bytesReceived: 7 },
};

const ENDED: StreamEvent = { type: "ended", report: { totals: NO_TOTALS, sent: null } };

test("only the first `sent` of each stream comes to it", async () => {
  const pool = scriptedPool({
    prepare: [{ type: "prepared", port: 4009 }],
    start: [],
    finish: [INTERVAL],
    stop: [ENDED],
  });
  const server = listen(makeServerConfig({ bindAddress: "127.0.0.1", port: 0 }), pool, () => {});
  try {
    const client = await RawClient.connect(server.port);
    const streams = 2;
    await client.configure(downloadConfiguration({ streams, extensions: { version: 3, resume: { timeout: 5 } } }));
    client.send({ kind: "begin" });
    const sent = { kind: "sent", packets: 0, omitted_packets: 0 };
    client.send(...Array.from({ length: 1000 }, (_, count) => ({ ...sent, stream_idx: count % streams })));
    // Behind all of them: messages are served in turn, and so are a Worker's.
    client.send({ kind: "end" });
    await client.closed();
    expect(client.messages.filter(({ kind }) => kind === "done")).toHaveLength(streams);
    const results = client.messages.filter(({ kind }) => kind === "receive");
    expect(results.map(({ stream_idx: index }) => Number(index)).sort((a, b) => a - b)).toEqual([0, 1]);
  } finally {
    await server.stop("the test ended");
  }
});

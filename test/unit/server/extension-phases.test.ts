// Messages of the extension that come when they have no place, or tell what cannot be.
import { afterEach, describe, expect, test } from "bun:test";
import { makeServerConfig } from "../../../src/config/server-config.ts";
import type { ServerEvent } from "../../../src/server/events.ts";
import { listen, type RperfServer } from "../../../src/server/start-server.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { downloadConfiguration, frameOf, newTestId, RawClient, uploadConfiguration } from "../../support/raw-client.ts";

const SENT = { kind: "sent", stream_idx: 0, packets: 3, omitted_packets: 0 };
const OFFER = { version: 3, accounting: true, duration: 1, resume: { timeout: 5 } };

interface Started {
  readonly server: RperfServer;
  readonly events: ServerEvent[];
}

const started: RperfServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop("the test ended");
});

function start(): Started {
  const events: ServerEvent[] = [];
  const config = makeServerConfig({ bindAddress: "127.0.0.1", port: 0 });
  const server = listen(config, new StreamWorkerPool(spawnWorker), (event) => events.push(event));
  started.push(server);
  return { server, events };
}

async function refusalOf(client: RawClient): Promise<unknown> {
  const { message } = await client.nextOf("error");
  await client.closed();
  return message;
}

describe("sent", () => {
  test("before the begin", async () => {
    const client = await RawClient.connect(start().server.port);
    await client.configure(downloadConfiguration({ family: "udp", extensions: OFFER }));
    client.send(SENT);
    expect(await refusalOf(client)).toContain("a sent has no place while ready");
  });

  test("of a stream that is not there", async () => {
    const client = await RawClient.connect(start().server.port);
    await client.configure(downloadConfiguration({ family: "udp", extensions: OFFER }));
    client.send({ kind: "begin" });
    client.send({ ...SENT, stream_idx: 1 });
    expect(await refusalOf(client)).toContain("stream_idx must be below 1");
  });

  test("to a sender", async () => {
    const client = await RawClient.connect(start().server.port);
    await client.configure(uploadConfiguration());
    client.send({ kind: "begin" });
    client.send(SENT);
    expect(await refusalOf(client)).toContain("without a receiver");
  });
});

describe("more than was sent", () => {
  test("is not acknowledged", async () => {
    const client = await RawClient.connect(start().server.port);
    await client.configure(downloadConfiguration({ extensions: OFFER }));
    client.send({ kind: "ack", have: 1 });
    expect(await refusalOf(client)).toContain("have must be at most 0");
  });

  test("is not resumed from, and the test goes on", async () => {
    const { server, events } = start();
    const client = await RawClient.connect(server.port);
    client.send(downloadConfiguration({ extensions: OFFER }));
    const { extensions } = await client.nextOf("connect");
    const { token } = Object(Object(extensions).resume);
    client.send({ kind: "begin" });
    const other = await RawClient.connect(server.port);
    other.send({ kind: "resume", token, have: 7 });
    expect(await refusalOf(other)).toContain("have must be at most 0");
    expect(client.isClosed).toBe(false);
    expect(events.some(({ type }) => type === "client-resumed")).toBe(false);
    client.end();
  });
});

test("the test id of other streams is refused where it must tell them apart", async () => {
  const { server } = start();
  const extensions = { ...OFFER, single_port: true };
  const configuration = downloadConfiguration({ extensions });
  const client = await RawClient.connect(server.port);
  client.send(configuration);
  const { extensions: granted } = await client.nextOf("connect");
  if (Object(granted).single_port !== true) return;
  const other = await RawClient.connect(server.port);
  other.send({ ...configuration });
  expect(await refusalOf(other)).toContain("test_id");
  client.send(uploadConfiguration({ test_id: configuration.test_id, extensions }));
  expect(await refusalOf(client)).toContain("test_id");
});

test("nothing begins behind an end that waited for the streams", async () => {
  const { server, events } = start();
  const client = await RawClient.connect(server.port);
  const messages = [downloadConfiguration({ test_id: newTestId() }), { kind: "end" }, { kind: "begin" }];
  client.sendBytes(Buffer.concat(messages.map((message) => frameOf(JSON.stringify(message)))));
  await client.closed();
  expect(events.map(({ type }) => type)).not.toContain("test-started");
});

// How a client takes what a server says to a resumption.
import { expect, test } from "bun:test";
import { once } from "node:events";
import { ServerLink } from "../../../src/client/server-link.ts";
import { configurationOf } from "../../../src/client/configuration.ts";
import { makeTestConfig } from "../../../src/config/test-config.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeServer, type FakeSession, startFakeServer } from "../../support/fake-server.ts";

const EVENTS = { onMessage: () => {}, onLost: () => {} };
const DONE = { kind: "done", origin: "server", stream_idx: 0, role: "download" };

/** A link that has two numbered messages, of a server that answers a resumption by `answer`. */
async function linkTo(answer: (session: FakeSession) => void): Promise<{ link: ServerLink; server: FakeServer }> {
  const server = await startFakeServer((message, session) => {
    if (message["kind"] === "configuration") {
      const extensions = { version: 3, omit_seconds: 0, resume: { token: "abc" } };
      session.send({ kind: "connect", stream_ports: [session.dataPort], extensions });
    } else if (message["kind"] === "begin") for (let i = 0; i < 2; i++) session.send(DONE);
    else if (message["kind"] === "resume") answer(session);
  });
  const { config } = makeTestConfig({ host: "127.0.0.1", port: server.port });
  const link = await ServerLink.open(config);
  await link.configure(configurationOf(config, new Uint8Array(16), []), () => {});
  link.begin(EVENTS);
  const acks = () => server.messages.filter(({ kind }) => kind === "ack");
  await eventually("two acks", acks, ({ length }) => length === 2);
  return { link, server };
}

async function failureOf(link: ServerLink): Promise<unknown> {
  return link.resume(EVENTS).catch((error: unknown) => error);
}

test("one that would tell again what came is refused, and the connection reset, not closed as if the test were over", async () => {
  let closing: Promise<unknown> = Promise.resolve();
  const { link, server } = await linkTo(({ socket, send }) => {
    closing = once(socket, "error");
    send({ kind: "resumed", phase: "running", first: 1 });
  });
  expect(await failureOf(link)).toMatchObject({ code: "peer-protocol" });
  expect(await closing).toMatchObject([{ code: "ECONNRESET" }]);
  server.stop();
});

test("one that is answered behind the test's end leaves no connection", async () => {
  let closing: Promise<unknown> = Promise.resolve();
  const { link, server } = await linkTo(({ socket, send }) => {
    closing = once(socket, "end");
    link.close();
    send({ kind: "resumed", phase: "running", first: 2 });
  });
  expect(await failureOf(link)).toMatchObject({ code: "stopped" });
  await closing;
  server.stop();
});

// Whoever is not the client of a test gets nothing of it: not by asking for it at any port, with or without the test's id.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";

import { testsUnless } from "../support/conditional.ts";
import { within } from "../support/eventually.ts";
import { type DataPorts, helloPacket, MODES, runByHand } from "../support/clients-by-hand.ts";
import { udpPacket } from "../support/raw-client.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

const linux = testsUnless(process.platform === "linux" ? null : "only Linux has all of 127.0.0.0/8");
/** Another of this machine's own addresses. */
const OTHER_ADDRESS = "127.0.0.2";
const HOST = "127.0.0.1";
const SECONDS = 1;
const ASK_MS = 25;

let server: WatchedServer;
let idle: Holdings;

beforeAll(async () => {
  server = await WatchedServer.start();
  idle = server.holdings;
});

afterAll(() => server.kill());

/** Somebody at another address, with the very ports that the client has, who asks at all of the server's. */
async function startBystander(ports: DataPorts, family: "tcp" | "udp", mayTakePart: boolean) {
  const heard: string[] = [];
  const udp = createSocket("udp4");
  udp.on("error", () => {});
  udp.on("message", (datagram) => heard.push(`a datagram of ${datagram.length} bytes`));
  const udpPort = family === "udp" ? (ports.client ?? 0) : 0;
  await within("its UDP port", new Promise<void>((resolve) => void udp.bind(udpPort, OTHER_ADDRESS, resolve)));
  const listener = createServer((socket) => {
    heard.push("a connection");
    socket.destroy();
  });
  const tcpPort = family === "tcp" ? (ports.client ?? 0) : 0;
  await within("its TCP port", new Promise<void>((resolve) => void listener.listen(tcpPort, OTHER_ADDRESS, resolve)));
  const sockets = new Set<Socket>();
  const targets = [server.port, ...(ports.server === null ? [] : [ports.server])];
  // Of a receiver of 0.1.8 whoever has the id may be the sender, from wherever it comes: it gets nothing for it either.
  const said = mayTakePart
    ? [Buffer.from("1234"), helloPacket(ports.testId), udpPacket(ports.testId, 0), Buffer.from(ports.testId)]
    : [Buffer.from("1234"), helloPacket(ports.testId)];
  const timer = setInterval(() => {
    for (const target of targets) {
      for (const datagram of said) udp.send(datagram, target, HOST);
      if (family === "udp" || target === server.port) continue;
      const socket = connect({ port: target, host: HOST, localAddress: OTHER_ADDRESS });
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("data", (chunk) => heard.push(`${chunk.length} bytes of a connection`));
      socket.write(mayTakePart ? Buffer.from(ports.testId) : "1234");
    }
  }, ASK_MS);
  return {
    heard,
    stop: () => {
      clearInterval(timer);
      udp.close();
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

linux.test("in no way in which data find their streams does a bystander hear anything", async () => {
  const heard = await Promise.all(
    MODES.map(async (mode) => {
      const client = await server.connect();
      const bystanders: Awaited<ReturnType<typeof startBystander>>[] = [];
      const running = await runByHand(client, server.port, mode, {
        seconds: SECONDS,
        onPorts: async (ports) => {
          bystanders.push(await startBystander(ports, mode.family, mode.direction === "reverse"));
          // It asks first.
          await Bun.sleep(4 * ASK_MS);
        },
      });
      await client.nextOf(running.resultKind);
      running.finish();
      await client.nextOf("done");
      client.send({ kind: "end" });
      await client.closed();
      for (const { stop } of bystanders) stop();
      running.close();
      return [mode, bystanders.map((bystander) => bystander.heard)];
    }),
  );
  expect(heard).toEqual(MODES.map((mode) => [mode, [[]]]));
  await server.isBackTo(idle);
});

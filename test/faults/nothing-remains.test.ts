// Whatever way a test ends, all that the server had for it is back at once: descriptors, ports, Workers, its place among the
// clients. Clients that vanish without a packet are in silent-client.test.ts, programs that are killed in vanished-peer.test.ts.
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { eventually } from "../support/eventually.ts";
import { MODES, runByHand, type Running } from "../support/clients-by-hand.ts";
import { frameOf } from "../support/raw-client.ts";
import { expectServes } from "../support/good-test.ts";
import { socketsOf } from "../support/sockets-of.ts";
import { printFigures } from "../support/udp-test.ts";
import { WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(80_000);

const CLEAN_SECONDS = 2;
/** A reset may be one of the way's: a client that can come back has 5 s for it, and its streams 2 s to end. */
const RESET_SECONDS = 5 + CLEAN_SECONDS;
/** From the stall on: its streams go on until their time is over, and are waited for. */
const STALL_SECONDS = 35;
const LONG_SECONDS = 60;
/** All of these run at once, each with a server of its own: how late a busy machine may be to see what is back. */
const MARGIN_SECONDS = 1;

interface End {
  readonly name: string;
  readonly withinSeconds: number;
  /** Planned. */
  readonly testSeconds: number;
  readonly end: (one: Running) => Promise<void>;
}

const ENDS: readonly End[] = [
  {
    name: "done, and the client says end",
    withinSeconds: CLEAN_SECONDS,
    testSeconds: 1,
    end: async ({ client, finish }) => {
      finish();
      await client.nextOf("done");
      client.send({ kind: "end" });
      await client.closed();
    },
  },
  {
    name: "done, and the client closes",
    withinSeconds: CLEAN_SECONDS,
    testSeconds: 1,
    end: async ({ client, finish }) => {
      finish();
      await client.nextOf("done");
      client.end();
    },
  },
  {
    name: "the client says end in mid-test",
    withinSeconds: CLEAN_SECONDS,
    testSeconds: LONG_SECONDS,
    end: async ({ client }) => {
      client.send({ kind: "end" });
      await client.closed();
    },
  },
  {
    name: "FIN",
    withinSeconds: CLEAN_SECONDS,
    testSeconds: LONG_SECONDS,
    end: async ({ client }) => {
      client.end();
    },
  },
  {
    name: "half a close, of a client that reads nothing any more",
    withinSeconds: CLEAN_SECONDS,
    testSeconds: LONG_SECONDS,
    end: async ({ client }) => {
      client.pause();
      client.end();
    },
  },
  {
    name: "RST",
    withinSeconds: RESET_SECONDS,
    testSeconds: LONG_SECONDS,
    end: async ({ client }) => {
      client.reset();
    },
  },
  {
    name: "a message that is none",
    withinSeconds: CLEAN_SECONDS,
    testSeconds: LONG_SECONDS,
    end: async ({ client }) => {
      client.sendBytes(frameOf("!"));
    },
  },
  {
    name: "a stall: the client reads nothing, says nothing and sends nothing",
    withinSeconds: STALL_SECONDS,
    testSeconds: 3,
    end: async ({ client, stall }) => {
      client.pause();
      stall();
    },
  },
];

describe("nothing of a test remains behind", () => {
  for (const { name, withinSeconds, testSeconds, end } of ENDS) {
    test.concurrent(name, async () => {
      const server = await WatchedServer.start();
      for (let turn = 0; turn < 4; turn += 1) await expectServes(server.port);
      await eventually(
        "the end of the first tests",
        () => server.holdings,
        ({ clients, workers }) => clients === 0 && workers === 0,
      );
      const idle = server.holdings;
      const idleSockets = socketsOf(server.pid).length;
      const running = await Promise.all(
        MODES.map(async (mode) => runByHand(await server.connect(), server.port, mode, { seconds: testSeconds })),
      );
      await Promise.all(running.map(({ client, resultKind }) => client.nextOf(resultKind)));
      expect(server.holdings.clients).toBe(idle.clients + MODES.length);
      expect(server.holdings.workers).toBeGreaterThan(idle.workers);
      expect(socketsOf(server.pid).length).toBeGreaterThan(idleSockets + MODES.length);
      await Promise.all(running.map(end));
      const endedAtMs = performance.now();
      await server.isBackTo(idle, (withinSeconds + MARGIN_SECONDS) * 1000);
      const freed = (performance.now() - endedAtMs) / 1000;
      // The other ends of all connections are still open, but for those that ended the test.
      expect(socketsOf(server.pid)).toHaveLength(idleSockets);
      for (const one of running) one.close();
      printFigures(name, { tests: running.length, freed });
      await expectServes(server.port);
      await server.isBackTo(idle);
      expect(server.stderr).toBe("");
      server.kill();
    });
  }
});

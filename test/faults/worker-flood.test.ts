// Clients that ask for all the Workers that a test can have, and go before they have them.
import { afterEach, expect, test } from "bun:test";
import { testsUnless } from "../support/conditional.ts";
import { expectServes } from "../support/good-test.ts";
import { downloadConfiguration, RawClient } from "../support/raw-client.ts";
import { WatchedServer } from "../support/watched-server.ts";

const FLOOD_MS = 3000;
const LANES = 6;
const STREAMS = 32;
const STAY_MS = 150;

const onLinux = testsUnless(process.platform === "linux" ? null : "Workers are counted in /proc");

let server: WatchedServer | null = null;
afterEach(() => server?.kill());

onLinux.describe("a flood of tests whose clients leave at once", () => {
  test("keeps nobody from being served, and leaves no Worker", async () => {
    server = await WatchedServer.start();
    const { port } = server;
    const before = server.holdings;
    const endMs = performance.now() + FLOOD_MS;
    let configurations = 0;
    let mostWorkers = 0;
    const lane = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const client = await RawClient.connect(port);
        client.send(downloadConfiguration({ streams: STREAMS }));
        await Bun.sleep(STAY_MS);
        client.end();
        configurations++;
        mostWorkers = Math.max(mostWorkers, server?.holdings.workers ?? 0);
      }
    };
    const flood = Promise.all(Array.from({ length: LANES }, lane));
    await Bun.sleep(FLOOD_MS / 2);
    // Its Workers have their turns between those of the flood.
    await expectServes(port, { family: "tcp", reverse: false });
    await flood;
    await expectServes(port, { family: "udp", reverse: true });
    expect(configurations).toBeGreaterThan(LANES);
    expect(mostWorkers).toBeLessThanOrEqual(LANES * STREAMS);
    await server.isBackTo(before);
    expect(server.events.filter(({ type }) => type === "client-refused" || type === "internal-error")).toEqual([]);
    expect(server.stderr).toBe("");
  }, 60_000);
});

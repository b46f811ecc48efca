import { expect, setDefaultTimeout, test } from "bun:test";

import { withNat } from "../../support/nat.ts";
import { describeWithNamespaces, type Namespace, withNamespaces } from "../../support/netns.ts";

setDefaultTimeout(30_000);

/** Answers each datagram and each connection with the peer's address; prints "ready". */
async function startEcho(at: Namespace, port: number): Promise<void> {
  const echo = `
    Bun.listen({ hostname: "::", port: ${port}, socket: { open(s) { s.end(s.remoteAddress); }, data() {} } });
    await Bun.udpSocket({ hostname: "::", port: ${port}, socket: { data(s, d, p, a) { s.send(a, p, a); } } });
    console.log("ready");`;
  await at.start([process.execPath, "-e", echo]).waitForOutput(/ready/);
}

/** The address that the echo saw, by TCP and by UDP; "none" where nothing comes back within a second. */
async function seenFrom(at: Namespace, host: string, port: number): Promise<{ tcp: string; udp: string }> {
  const tcp = `require("node:net").connect(${port}, "${host}").on("error", () => {}).on("data", say);`;
  const udp = `const socket = await Bun.udpSocket({ hostname: "::", connect: { hostname: "${host}", port: ${port} },
    socket: { data(s, answer) { say(answer); }, error() {} } });
    socket.send("x");`;
  const [overTcp, overUdp] = await Promise.all(
    [tcp, udp].map(async (talk) => {
      const script = `setTimeout(() => process.exit(1), 1_000);
        const say = (answer) => { console.log(answer.toString()); process.exit(0); };
        ${talk}`;
      const { code, stdout } = await at.run([process.execPath, "-e", script]);
      return code === 0 ? stdout.trim().replace("::ffff:", "") : "none";
    }),
  );
  return { tcp: overTcp ?? "", udp: overUdp ?? "" };
}

async function startSink(at: Namespace, port: number): Promise<void> {
  const sink = `await Bun.udpSocket({ hostname: "::", port: ${port}, socket: { data() {} } }); console.log("ready");`;
  await at.start([process.execPath, "-e", sink]).waitForOutput(/ready/);
}

/** Sends so many packets of that payload. */
const sender = (host: string, port: number, count: number, bytes: number) => [
  process.execPath,
  "-e",
  `const socket = await Bun.udpSocket({
    hostname: "::", connect: { hostname: "${host}", port: ${port} }, socket: { error() {} } });
  for (let i = 0; i < ${count}; i += 1) {
    socket.send(Buffer.alloc(${bytes}));
    if (i % 50 === 49) await Bun.sleep(1);
  }
  process.exit(0);`,
];

const both = (answer: string) => ({ tcp: answer, udp: answer });

describeWithNamespaces("behind a router", () => {
  test.concurrent("the client gets out by the router's address, and nobody gets in", async () => {
    await withNat(async ({ client, router, server }) => {
      await startEcho(server, 5199);
      await startEcho(client, 5199);
      for (const version of ["ipv4", "ipv6"] as const) {
        expect(await seenFrom(client, server[version], 5199)).toEqual(both(router[version]));
        expect(await seenFrom(server, client[version], 5199)).toEqual(both("none"));
        expect(await seenFrom(server, router[version], 5199)).toEqual(both("none"));
      }
      // It is the rules that keep the server out.
      router.loadRules("");
      expect(await seenFrom(server, client.ipv4, 5199)).toEqual(both(server.ipv4));
    });
  });

  test.concurrent("the server's firewall lets in what is for its port, and answers", async () => {
    await withNat(async ({ client, router, server }) => {
      server.firewall([5199]);
      for (const port of [5199, 5200]) await startEcho(server, port);
      await startEcho(router, 5199);
      expect(await seenFrom(client, server.ipv4, 5199)).toEqual(both(router.ipv4));
      expect(await seenFrom(client, server.ipv4, 5200)).toEqual(both("none"));
      expect(await seenFrom(server, router.ipv6, 5199)).toEqual(both(server.ipv6));
      server.firewall([]);
      expect(await seenFrom(client, server.ipv4, 5199)).toEqual(both("none"));
    });
  });

  test.concurrent("loss on the way, beside the rules of the router", async () => {
    await withNat(async ({ client, router, server }) => {
      router.dropData(100);
      await startSink(server, 5199);
      await client.run(sender(server.ipv4, 5199, 1000, 100));
      const { dropped = 0, passed = 0 } = router.counters();
      expect(dropped).toBeWithin(60, 140);
      expect(dropped + passed).toBe(1000);
      expect(await seenFrom(server, client.ipv4, 5199)).toEqual(both("none"));
    });
  });
});

describeWithNamespaces("loss of data packets", () => {
  test("spares small packets and other ports, and counts exactly", async () => {
    await withNamespaces(async ({ left, right }) => {
      for (const port of [5000, 5001]) await startSink(right, port);
      right.dropData(1000, { port: 5000 });
      await left.run(sender(right.ipv4, 5000, 10, 35));
      await left.run(sender(right.ipv4, 5001, 20, 36));
      expect(right.counters()).toEqual({ dropped: 0, passed: 0 });
      await left.run(sender(right.ipv4, 5000, 30, 36));
      expect(right.counters()).toEqual({ dropped: 30, passed: 0 });
      right.dropData(0, { minPayloadBytes: 100, maxPayloadBytes: 101 });
      for (const bytes of [99, 100, 101, 102]) await left.run(sender(right.ipv6, 5001, bytes, bytes));
      expect(right.counters()).toEqual({ dropped: 0, passed: 201 });
      right.dropData(500, { port: 5000 });
      await left.run(sender(right.ipv4, 5000, 1000, 1000));
      const { dropped = 0, passed = 0 } = right.counters();
      expect(dropped).toBeWithin(430, 570);
      expect(dropped + passed).toBe(1000);
    });
  });
});

import { expect } from "bun:test";

import { testWithNamespaces, withNamespaces, canUseNamespaces } from "../../support/netns.ts";
import { run } from "../../support/process.ts";

/** Answers each datagram and each connection with the peer's address; prints "ready". */
const ECHO = `
  Bun.listen({ hostname: "::", port: 5000, socket: { open(s) { s.end(s.remoteAddress); }, data() {} } });
  await Bun.udpSocket({ hostname: "::", port: 5000, socket: { data(s, d, p, a) { s.send(d, p, a); } } });
  console.log("ready");`;

const connect = (address: string) => [
  process.execPath,
  "-e",
  `await Bun.connect({ hostname: "${address}", port: 5000, socket: {
    data(s, d) { console.log(d.toString()); }, close() { process.exit(0); } } });`,
];

const send = (address: string, count: number) => [
  process.execPath,
  "-e",
  `let back = 0;
  const s = await Bun.udpSocket({ connect: { hostname: "${address}", port: 5000 }, socket: { data() { back += 1; } } });
  for (let i = 0; i < ${count}; i += 1) { s.send("x"); if (i % 50 === 49) await Bun.sleep(1); }
  await Bun.sleep(200);
  console.log(back);
  process.exit(0);`,
];

testWithNamespaces("the ends reach each other over IPv4 and IPv6, through a link taken down and up", async () => {
  expect(canUseNamespaces()).toBe(true);
  const names = await withNamespaces(async ({ left, right }) => {
    const server = left.start([process.execPath, "-e", ECHO]);
    await server.waitForOutput(/ready/);
    for (let round = 0; round < 2; round += 1) {
      for (const [address, own] of [
        [left.ipv4, right.ipv4],
        [left.ipv6, right.ipv6],
      ] as const) {
        expect((await right.run(connect(address))).stdout).toContain(own);
      }
      right.setLink("down");
      expect((await right.run(connect(left.ipv4))).code).not.toBe(0);
      right.setLink("up");
    }
    server.kill();
    await server.exited;
    return [left.name, right.name];
  });
  const { stdout } = await run(["ip", "netns", "list"]);
  for (const name of names) expect(stdout).not.toContain(name);
});

testWithNamespaces("rules lose packets at random, and their counters tell how many", async () => {
  await withNamespaces(async ({ left, right }) => {
    const server = left.start([process.execPath, "-e", ECHO]);
    await server.waitForOutput(/ready/);
    left.dropArriving(250);
    const back = Number((await right.run(send(left.ipv4, 1000))).stdout);
    expect(back).toBeWithin(650, 850);
    expect(left.countedPackets()).toBe(1000 - back);
    left.loadRules("");
    expect(Number((await right.run(send(left.ipv4, 100))).stdout)).toBe(100);
  });
});

testWithNamespaces("the rate is limited", async () => {
  await withNamespaces(async ({ left, right }) => {
    const sink = `let bytes = 0, first = 0;
      Bun.listen({ hostname: "::", port: 5000, socket: {
        data(s, d) { first ||= performance.now(); bytes += d.length; },
        close() { console.log("Mb/s", (bytes * 8) / 1e3 / (performance.now() - first)); process.exit(0); } } });
      console.log("ready");`;
    const source = `require("node:net").connect(5000, "${left.ipv4}").end(Buffer.alloc(4e6))`;
    const server = left.start([process.execPath, "-e", sink]);
    await server.waitForOutput(/ready/);
    right.setRate(40_000_000);
    await right.run([process.execPath, "-e", source]);
    const [, rate] = await server.waitForOutput(/Mb\/s ([\d.]+)/);
    expect(Number(rate)).toBeWithin(25, 50);
    right.setRate(null);
  });
});

// Packets that one of both hosts does not take or keep: whose they are, and that none of them is taken for the network's.
import { describe, expect, test } from "bun:test";

import { lossTruthOf, loseArriving } from "../support/counted-loss.ts";
import { downloadConfiguration, openDatagrams, udpPacket } from "../support/raw-client.ts";
import { describeWithNamespaces, execute, type Namespace, withNamespaces } from "../support/netns.ts";
import { expectBalanced, figuresOf, printFigures, runTest, startServer, stopServer } from "../support/udp-test.ts";
import { WatchedServer } from "../support/watched-server.ts";

const DIRECTIONS = [false, true] as const;
const nameOf = (reverse: boolean) => (reverse ? "reverse" : "forward");

describeWithNamespaces("a receiver whose buffer is too small for its sender's bursts", () => {
  for (const reverse of DIRECTIONS) {
    for (const percent of [0, 10]) {
      test(`${nameOf(reverse)}, and ${percent} % loss on the way`, () =>
        withNamespaces(async ({ left, right }) => {
          const server = await startServer(right);
          const receiver = reverse ? left : right;
          loseArriving(receiver, percent * 10);
          // Slices of half a second come as one burst of 600 packets: of offloaded ones the system would not tell how many.
          const slices = ["--send-interval", "0.5", "--offload", "off", "--receive-buffer", "4096"];
          const flags = ["-u", "-b", "10m", ...slices, ...(reverse ? ["-R"] : [])];
          const run = await runTest(left, right.ipv4, 2, flags);
          expect({ code: run.code, outcome: run.document.outcome }).toEqual({ code: 0, outcome: "completed" });
          const { data } = lossTruthOf(receiver);
          const figures = figuresOf(run);
          printFigures(`${nameOf(reverse)}, small buffer, ${percent} %`, {
            sent: figures.packets_sent,
            "dropped on the way": data.lost,
            lost: figures.packets_lost,
            "in the buffer": figures.packets_lost_receive_buffer,
            network: figures.packets_lost_network,
            overrun: run.overrunSeconds,
          });
          expect(figures.packets_sent).toBe(data.lost + data.passed);
          expect(figures.packets_lost_receive_buffer).toBeGreaterThan(0);
          expect(figures.packets_lost_network).toBe(data.lost);
          expectBalanced(run);
          await stopServer(server);
        }));
    }
  }
});

/** As a firewall of its own: the system answers EPERM. */
function refuseLeaving(end: Namespace): void {
  end.loadRules(`table inet refusal {
    counter refused {}
    chain leaving {
      type filter hook output priority filter
      udp length 44-65535 counter name refused drop
    }
  }`);
}

describeWithNamespaces("a sender whose own system refuses packets for a while", () => {
  for (const reverse of DIRECTIONS) {
    for (const percent of [0, 10]) {
      test(`${nameOf(reverse)}, and ${percent} % loss on the way`, () =>
        withNamespaces(async ({ left, right }) => {
          const server = await startServer(right);
          const [sender, receiver] = reverse ? [right, left] : [left, right];
          loseArriving(receiver, percent * 10);
          const running = runTest(left, right.ipv4, 2, ["-u", "-b", "4m", ...(reverse ? ["-R"] : [])]);
          await server.waitForOutput(/test started/);
          await Bun.sleep(600);
          refuseLeaving(sender);
          await Bun.sleep(500);
          // First the rule goes, and then what it counted is read: a refused sender tries again every millisecond.
          execute(sender.command(["nft", "flush", "chain", "inet", "refusal", "leaving"]));
          const { refused = 0 } = sender.counters();
          const run = await running;
          expect({ code: run.code, outcome: run.document.outcome }).toEqual({ code: 0, outcome: "completed" });
          const { data } = lossTruthOf(receiver);
          const figures = figuresOf(run);
          printFigures(`${nameOf(reverse)}, refusals, ${percent} %`, {
            refused,
            "sends refused": figures.sends_refused,
            sent: figures.packets_sent,
            dropped: data.lost,
            lost: figures.packets_lost,
            overrun: run.overrunSeconds,
          });
          expect(refused).toBeGreaterThan(0);
          expect(figures.sends_refused).toBe(refused);
          expect(figures.packets_sent).toBe(data.lost + data.passed);
          expect(figures.packets_lost).toBe(data.lost);
          expect(figures.packets_lost_receive_buffer).toBe(0);
          expectBalanced(run);
          await stopServer(server);
        }));
    }
  }
});

describe("a packet that is overtaken by the end markers", () => {
  const PACKETS = 10;

  // The markers come within the first interval of a second, the packet within the second.
  for (const [name, markersAtMs] of [
    ["and by the end of an interval", 600],
    ["alone", 1_050],
  ] as const) {
    test(name, async () => {
      const server = await WatchedServer.start();
      const client = await server.connect();
      const extensions = { version: 3, omit_seconds: 0, offload: "off", interval: 1, duration: 2, accounting: true };
      const configuration = downloadConfiguration({ family: "udp", extensions });
      const [port = 0] = await client.configure(configuration);
      client.send({ kind: "begin" });
      const socket = await openDatagrams();
      for (let id = 0; id < PACKETS - 1; id += 1) socket.send(udpPacket(configuration.test_id, id), port);
      await Bun.sleep(markersAtMs);
      socket.send(Buffer.from(configuration.test_id), port);
      await Bun.sleep(1_250 - markersAtMs);
      socket.send(udpPacket(configuration.test_id, PACKETS - 1), port);
      client.send({ kind: "sent", stream_idx: 0, packets: PACKETS, omitted_packets: 0 });
      const { totals } = await client.nextOf("done");
      const received = client.messages.flatMap(({ kind, packets_received: packets }) =>
        kind === "receive" ? [Number(packets)] : [],
      );
      printFigures(`overtaken, ${name}`, { sent: PACKETS, "by interval": received.join("+") });
      expect(totals).toMatchObject({ books: { sent: PACKETS, unique: PACKETS, lost: 0 } });
      expect(received.reduce((sum, packets) => sum + packets, 0)).toBe(PACKETS);
      client.send({ kind: "end" });
      await client.closed();
      socket.close();
      server.kill();
    });
  }
});

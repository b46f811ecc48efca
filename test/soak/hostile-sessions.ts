// What somebody does who means no good, one connection at a time: every kind of session there is, each with a random share.
// No session lasts longer than a server has reason to bear it.
import type { Random } from "../support/random.ts";
import {
  downloadConfiguration,
  frameOf,
  newTestId,
  openDatagrams,
  type RawMessage,
  uploadConfiguration,
} from "../support/raw-client.ts";
import { open, type Origin, type Session } from "./hostile-connection.ts";

/** Where the server is, and how such a session may come to it. */
export interface Target extends Origin {
  /** How long a session waits, of those that see the server's deadlines through; above the longest of these unless told. */
  readonly patienceMs?: number;
  /** UDP ports of the server that others use: they get junk. */
  readonly udpPorts?: readonly number[];
}

/** `refused`: told why. `closed`: without a word. `left`: by the session's own choice. */
export type SessionEnd = "refused" | "closed" | "left" | "not connected";

/** The server closes whoever is silent: this is above the longest of its deadlines, that of an end behind the streams. */
const MOST_PATIENCE_MS = 13_000;
interface Kind {
  readonly name: string;
  /** Behind it the session is closed, if it is not yet. */
  readonly act: (session: Session, random: Random, target: Target) => Promise<void> | void;
}

const configuration = (random: Random, changes: RawMessage = {}) => {
  const make = random.oneIn(2) ? downloadConfiguration : uploadConfiguration;
  return make({ family: random.pick(["tcp", "udp"]), ...changes });
};

const WRONG_TYPES: readonly unknown[] = [
  null,
  true,
  "1",
  "",
  [],
  {},
  [1],
  { a: 1 },
  "\u001b[2J",
  -1,
  0.5,
  "x".repeat(9_000),
];
const WRONG_SIZES: readonly unknown[] = [
  0,
  -1,
  0.5,
  2 ** 31,
  2 ** 40,
  2 ** 45,
  2 ** 53,
  1e300,
  -(2 ** 63),
  256,
  65_536,
];
const SIZED = ["streams", "length", "receive_buffer", "send_buffer", "bandwidth", "duration", "send_interval"] as const;
const BANNERS: readonly (string | Uint8Array)[] = [
  "GET / HTTP/1.1\r\nHost: example\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "SSH-2.0-OpenSSH_9.6\r\n",
  "EHLO example\r\n",
  "\0\0\0\0",
  // The beginning of a TLS 1.3 ClientHello.
  Buffer.from("16030100f8010000f40303", "hex"),
];

/** The server's one port of a stream that it listens at; null where there is none. */
async function dataPort(session: Session, changes: RawMessage): Promise<number | null> {
  session.send(downloadConfiguration(changes));
  const [port] = ((await session.answer("connect"))?.["stream_ports"] ?? []) as number[];
  return port ?? null;
}

async function sendJunk(random: Random, host: string, port: number, packets: number): Promise<void> {
  const socket = await openDatagrams();
  for (let count = 0; count < packets; count += 1) {
    socket.send(random.bytes(random.pick([0, 1, 4, 16, 24, 36, 1_000])), port, host);
    if (count % 50 === 49) await Bun.sleep(1);
  }
  socket.close();
}

/** At full speed until the other side has enough, or the socket's buffers have. */
async function flood(session: Session, chunk: Uint8Array, times: number): Promise<void> {
  for (let count = 0; count < times && !session.isClosed; count += 1) {
    if (!session.write(chunk)) await session.closed(5);
  }
  await session.closed(1_000);
}

function repeated(message: object, times: number): Buffer {
  return Buffer.concat(Array<Buffer>(times).fill(frameOf(JSON.stringify(message))));
}

const KINDS: readonly Kind[] = [
  { name: "connect and close", act: (session) => session.end() },
  { name: "connect and reset", act: (session) => session.reset() },
  {
    name: "silence",
    act: (session, random, { patienceMs = MOST_PATIENCE_MS }) =>
      session.closed(random.oneIn(10) ? patienceMs : random.below(1_500)),
  },
  {
    name: "half-open",
    act: async (session, random) => {
      session.send(configuration(random));
      session.end();
      await session.closed(2_000);
    },
  },
  {
    name: "wrong type",
    act: async (session, random) => {
      const field = random.pick([
        ...SIZED,
        "kind",
        "family",
        "role",
        "test_id",
        "stream_ports",
        "no_delay",
        "extensions",
      ]);
      session.send(configuration(random, { [field]: random.pick(WRONG_TYPES) }));
      await session.closed(2_000);
    },
  },
  {
    name: "wrong size",
    act: async (session, random) => {
      session.send(configuration(random, { [random.pick(SIZED)]: random.pick(WRONG_SIZES) }));
      await session.closed(1_000);
    },
  },
  {
    name: "numbers that are none",
    act: async (session, random) => {
      const text = JSON.stringify(configuration(random, { length: "@", bandwidth: "@" }));
      session.write(frameOf(text.replaceAll('"@"', random.pick(["NaN", "Infinity", "1e999", "-0", "0x400", "00"]))));
      await session.closed(2_000);
    },
  },
  {
    name: "wrong frame",
    act: async (session, random) => {
      const bodies = [
        "",
        "{}",
        "[]",
        "null",
        "nonsense",
        "[".repeat(65_535),
        `{"kind":${"[".repeat(32_000)}${"]".repeat(32_000)}}`,
        `{"kind":"begin","x":"${"y".repeat(60_000)}"}`,
      ];
      session.write(frameOf(random.pick(bodies)));
      await session.closed(2_000);
    },
  },
  {
    name: "a frame that never ends",
    act: async (session, random, { patienceMs = MOST_PATIENCE_MS }) => {
      session.write(Uint8Array.of(0xff, 0xff, 0x7b));
      await session.closed(random.oneIn(8) ? patienceMs : random.below(1_000));
    },
  },
  {
    name: "random bytes",
    act: async (session, random, { patienceMs = MOST_PATIENCE_MS }) => {
      session.write(random.bytes(random.between(1, 3_000)));
      await session.closed(random.oneIn(20) ? patienceMs : random.below(500));
    },
  },
  {
    name: "another protocol",
    act: async (session, random, { patienceMs = MOST_PATIENCE_MS }) => {
      session.write(random.pick(BANNERS));
      await session.closed(random.oneIn(20) ? patienceMs : random.below(500));
    },
  },
  {
    name: "dribble",
    act: async (session, random) => {
      const isLong = random.oneIn(10);
      for (const byte of frameOf(JSON.stringify(configuration(random)))) {
        if (!session.write(Uint8Array.of(byte)) || (!isLong && random.oneIn(60))) return;
        await session.closed(isLong ? 200 : random.below(60));
      }
    },
  },
  {
    name: "wrong order",
    act: async (session, random) => {
      const first = [
        { kind: "begin" },
        { kind: "sent", stream_idx: 0, packets: 1, omitted_packets: 0 },
        { kind: "ack", have: 1 },
        { kind: "proof", mac: "A".repeat(43) + "=" },
        { kind: "done", origin: "server", stream_idx: 0 },
        { kind: "receive", family: "tcp", stream_idx: 0, timestamp: 1, duration: 1, bytes_received: 1 },
        { kind: "connect", stream_ports: [1] },
      ];
      session.send(random.pick(first));
      await session.closed(2_000);
    },
  },
  {
    name: "second configuration",
    act: async (session, random) => {
      const one = configuration(random);
      session.send(one);
      if (random.oneIn(2)) await session.answer(one.role === "download" ? "connect" : "connect-ready");
      if (random.oneIn(2)) session.send({ kind: "begin" });
      session.send(one);
      await session.closed(2_000);
    },
  },
  {
    name: "a test without an end",
    act: async (session, random, { patienceMs = MOST_PATIENCE_MS }) => {
      session.send(
        configuration(random, random.oneIn(2) ? {} : { duration: 1_000, extensions: { version: 1, dial: "client" } }),
      );
      await session.answer(random.oneIn(2) ? "connect" : "connect-ready", 200);
      session.send({ kind: "begin" });
      if (random.oneIn(4)) session.send({ kind: "begin" });
      await session.closed(random.oneIn(10) ? patienceMs : random.below(1_000));
    },
  },
  {
    name: "results unread",
    act: async (session, random) => {
      session.pause();
      session.send(uploadConfiguration({ family: "udp", duration: 2, extensions: { version: 1, interval: 0.1 } }));
      session.send({ kind: "begin" });
      await session.closed(random.below(2_000));
      if (random.oneIn(2)) session.reset();
    },
  },
  {
    name: "flood of messages",
    act: (session, random) =>
      flood(session, repeated(random.pick([configuration(random), { kind: "begin" }, { kind: "end" }, {}]), 20), 50),
  },
  {
    name: "flood of acks",
    act: async (session, random) => {
      const extensions = { version: 1, duration: 10, resume: { timeout: random.below(3) } };
      session.send(downloadConfiguration({ family: random.pick(["tcp", "udp"]), extensions }));
      await session.answer("connect");
      await flood(session, repeated({ kind: "ack", have: 0 }, 100), 50);
      session.send({ kind: "ack", have: 2 ** 40 });
      await session.closed(1_000);
    },
  },
  {
    name: "guessed token",
    act: async (session, random) => {
      const token = random.pick([
        newTestId()
          .map((byte) => byte.toString(16))
          .join(""),
        "",
        "__proto__",
        "a".repeat(60_000),
      ]);
      session.send({ kind: "resume", token, have: random.below(5) });
      await session.closed(2_000);
    },
  },
  {
    name: "data of no test",
    act: async (session, random) => {
      session.send({ kind: "data", test_id: newTestId(), stream_idx: random.below(255) });
      session.write(random.bytes(2_000));
      await session.closed(2_000);
    },
  },
  {
    name: "strangers at a data port",
    act: async (session, random, target) => {
      const port = await dataPort(session, { family: "tcp" });
      if (port === null) return;
      if (random.oneIn(2)) session.send({ kind: "begin" });
      const strangers = await Promise.all([1, 2, 3, 4].map(() => open({ ...target, port })));
      for (const stranger of strangers) stranger?.write(random.bytes(random.below(40)));
      await session.closed(random.below(300));
      for (const stranger of strangers) stranger?.reset();
    },
  },
  {
    name: "junk at a data port",
    act: async (session, random, target) => {
      const port = await dataPort(session, { family: "udp" });
      if (random.oneIn(2)) session.send({ kind: "begin" });
      if (port !== null) await sendJunk(random, target.host, port, 200);
      await session.closed(random.below(100));
    },
  },
  {
    name: "junk at others' data ports",
    act: async (session, random, target) => {
      const ports = [target.port, ...(target.udpPorts ?? [])];
      await sendJunk(random, target.host, random.pick(ports), 100);
      await session.closed(10);
    },
  },
];

/** One session of any kind, to its end. */
export async function runHostile(
  target: Target,
  random: Random,
): Promise<{ readonly name: string; readonly end: SessionEnd }> {
  const { name, act } = random.pick(KINDS);
  const session = await open(target);
  if (session === null) return { name, end: "not connected" };
  await act(session, random, target);
  const end = session.wasRefused ? "refused" : session.isClosed ? "closed" : "left";
  if (random.oneIn(2)) session.reset();
  else {
    session.end();
    await session.closed(2_000);
    session.reset();
  }
  return { name, end };
}

// What a server does with a peer that breaks the rules: it says why, forgets that peer, and serves everyone else.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";

import { runClient, type TestOptions } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { expectMatched, expectServes } from "../support/good-test.ts";
import { freePort } from "../support/ports.ts";
import { rperf, startProcess } from "../support/process.ts";
import {
  connectTcp,
  downloadConfiguration,
  frameOf,
  newTestId,
  openDatagrams,
  RawClient,
  type RawMessage,
  tcpBuffer,
  udpPacket,
  uploadConfiguration,
} from "../support/raw-client.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

/** How long one of the well-behaved tests in the background runs; the next begins when it is over. */
const BACKGROUND_SECONDS = 12;
/** Of the two tests in the background, at most: their connections, and on the server 1 and 2 Workers with their sockets. */
const BACKGROUND: Holdings = { descriptors: 40, workers: 3, clients: 2 };

let server: WatchedServer;
let idle: Holdings;
const backgroundOver = new AbortController();
let background: Promise<number>;

/** Tests of other clients, one after the other until everything hostile has been tried; gives how many there were. */
async function runInBackground(options: Partial<TestOptions>): Promise<number> {
  let count = 0;
  while (!backgroundOver.signal.aborted) {
    const durationSeconds = BACKGROUND_SECONDS;
    expectMatched(await runClient({ host: "127.0.0.1", port: server.port, durationSeconds, ...options }));
    count += 1;
  }
  return count;
}

/** Clients of the hostile cases hold nothing any more: what is left is that of the tests in the background. */
async function expectFreed(timeoutMs?: number): Promise<void> {
  const background: Holdings = {
    descriptors: idle.descriptors + BACKGROUND.descriptors,
    workers: idle.workers + BACKGROUND.workers,
    clients: idle.clients + BACKGROUND.clients,
  };
  await server.isBackTo(background, timeoutMs);
}

async function expectUnharmed(): Promise<void> {
  await expectFreed();
  await expectServes(server.port);
  expect(server.stderr).toBe("");
}

/** The rest of a refusal: an error message that matches, the close, one event of the same words. */
async function expectRefused(client: RawClient, reason: RegExp, timeoutMs = 8_000): Promise<void> {
  const error = await client.nextOf("error", timeoutMs);
  expect(error["message"]).toMatch(reason);
  await client.closed();
  const refusals = await eventually(
    "an event of the refusal",
    () => server.refusalsOf(client),
    (found) => found.length > 0,
  );
  expect(refusals).toEqual([String(error["message"])]);
  // One line for each client: none but the refusal tells of its end.
  expect(server.eventsOf(client).filter(({ type }) => type === "client-ended")).toEqual([]);
  expect(String(error["message"])).not.toContain("\n");
}

async function refuse(bytes: Uint8Array, reason: RegExp): Promise<void> {
  const client = await server.connect();
  client.sendBytes(bytes);
  await expectRefused(client, reason);
}

/** JSON in which the strings "<number>" stand for numbers that JSON.stringify does not write. */
function jsonOf(message: RawMessage): string {
  return JSON.stringify(message).replaceAll(/"<([^>]+)>"/g, "$1");
}

beforeAll(async () => {
  server = await WatchedServer.start();
  await expectServes(server.port);
  await expectServes(server.port);
  await eventually(
    "the end of the first tests",
    () => server.holdings,
    ({ clients, workers }) => clients === 0 && workers === 0,
  );
  idle = server.holdings;
  background = Promise.all([
    runInBackground({ family: "tcp", parallel: 2, bandwidthBytesPerSecond: 2_000_000 }),
    runInBackground({ family: "udp", reverse: true, bandwidthBytesPerSecond: 500_000 }),
  ]).then(([first, second]) => first + second);
  // Looked at by the last test; until then a failure must not end the process.
  background.catch(() => {});
});

afterAll(() => server.kill());

describe("frames that hold no message", () => {
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["no JSON", frameOf("{kind: begin}"), /JSON/],
    ["an empty body", frameOf(""), /JSON/],
    ["half of a JSON text", frameOf('{"kind":"beg'), /JSON/],
    ["not UTF-8", frameOf(Uint8Array.of(0x22, 0xff, 0xfe, 0x22)), /JSON|UTF-8/],
    ["a list", frameOf('[{"kind":"begin"}]'), /object/],
    ["a number", frameOf("42"), /object/],
    ["a string", frameOf('"begin"'), /object/],
    ["null", frameOf("null"), /object/],
    ["deeply nested", frameOf("[".repeat(60_000)), /JSON|object/],
    ["the longest body", frameOf("x".repeat(65_535)), /JSON/],
    ["100,000 bytes of the same", Buffer.alloc(100_000, 0xa5), /JSON/],
    [
      "100,000 bytes at random",
      Buffer.concat([Uint8Array.of(0, 9), crypto.getRandomValues(new Uint8Array(65_000))]),
      /JSON/,
    ],
    ["an HTTP request", Buffer.concat([Buffer.from("GET / HTTP/1.1\r\n"), Buffer.alloc(30_000, 0x20)]), /JSON/],
  ];
  for (const [name, bytes, reason] of cases) {
    test(name, () => refuse(bytes, reason));
  }
  test("nothing is harmed", expectUnharmed);
});

describe("kinds", () => {
  const cases: readonly (readonly [string, RawMessage])[] = [
    ["no kind", {}],
    ["an unknown kind", { kind: "hello" }],
    ["a kind of the server's", { kind: "connect", stream_ports: [1] }],
    ["a kind that is a number", { kind: 1 }],
    ["a kind that is null", { kind: null }],
    ["a kind that is a list", { kind: ["begin"] }],
    ["a kind in capitals", { kind: "BEGIN" }],
    ["a name of every object's", { kind: "constructor", __proto__: null }],
  ];
  for (const [name, message] of cases) {
    test(name, () => refuse(frameOf(jsonOf(message)), /kind/));
  }
  test("nothing is harmed", expectUnharmed);
});

type Values = readonly (readonly [string, unknown])[];

const WRONG_TYPES: Values = [
  ["null", null],
  ["a list", [1]],
  ["an object", {}],
];
const NO_NUMBERS: Values = [...WRONG_TYPES, ["a string", "1"], ["true", true]];
const HUGE: Values = [
  ["2^53", 2 ** 53],
  ["1e999", "<1e999>"],
];
const NO_COUNTS: Values = [...NO_NUMBERS, ...HUGE, ["-1", -1], ["a fraction", 1.5]];
const NO_PORT: Values = [...NO_COUNTS, ["0", 0], ["65536", 65_536]];

/** Values that a field must not have, its absence apart. */
function wrongValues(field: string, family: "tcp" | "udp"): Values {
  switch (field) {
    case "family":
    case "role":
      return [...WRONG_TYPES, ["a number", 6], ["another name", "sctp"], ["an empty name", ""], ["capitals", "TCP"]];
    case "test_id":
      return [
        ["null", null],
        ["a string", "0123456789abcdef"],
        ["no items", []],
        ["15 items", newTestId().slice(1)],
        ["17 items", [...newTestId(), 1]],
        ...(
          [
            ["256", 256],
            ["-1", -1],
            ["a fraction", 0.5],
            ["null", null],
            ["a string", "1"],
            ["2^53", 2 ** 53],
            ["1e999", "<1e999>"],
          ] as const
        ).map(([name, item]) => [`an item that is ${name}`, [...newTestId().slice(1), item]] as const),
      ];
    case "streams":
      return [...NO_COUNTS, ["0", 0], ["256", 256], ["10^6", 1_000_000]];
    case "length":
      return family === "tcp"
        ? [...NO_COUNTS, ["0", 0], ["below the test id", 15], ["2^31", 2 ** 31]]
        : [...NO_COUNTS, ["0", 0], ["below the header", 35], ["above a datagram", 65_508], ["2^31", 2 ** 31]];
    case "receive_buffer":
    case "send_buffer":
      return [...NO_COUNTS, ["2^31", 2 ** 31]];
    case "bandwidth":
    case "duration":
      return [...NO_NUMBERS, ...HUGE, ["-1", -1], ["-0.5", -0.5]];
    case "send_interval":
      return [...NO_NUMBERS, ...HUGE, ["-1", -1], ["0", 0], ["above 1", 1.01]];
    case "no_delay":
      return [...WRONG_TYPES, ["a number", 1], ["a string", "true"]];
    case "stream_ports":
      return [
        ["null", null],
        ["a number", 5000],
        ["no ports", []],
        ["a port too many", [5000, 5001]],
        ...NO_PORT.map(([name, port]) => [`a port that is ${name}`, [port]] as const),
      ];
    default:
      return [];
  }
}

describe("configurations", () => {
  for (const family of ["tcp", "udp"] as const) {
    for (const make of [downloadConfiguration, uploadConfiguration]) {
      const role = make === downloadConfiguration ? "download" : "upload";
      const fields = Object.keys(make()).filter((field) => field !== "kind");
      for (const field of fields) {
        // The original's clients fill it in for UDP as well, where it means nothing.
        if (field === "no_delay" && family === "udp") continue;
        test(`${family} ${role}: ${field} wrong or missing`, async () => {
          for (const [name, value] of [["missing", undefined] as const, ...wrongValues(field, family)]) {
            const client = await server.connect();
            client.sendBytes(frameOf(jsonOf(make({ family, [field]: value }))));
            await expectRefused(client, new RegExp(field)).catch((cause: unknown) => {
              throw new Error(`${field} = ${name}`, { cause });
            });
          }
          await expectFreed();
        });
      }
      test(`${family} ${role}: nothing is harmed`, expectUnharmed);
    }
  }

  test("fields that nobody knows are ignored", async () => {
    const client = await server.connect();
    const ports = await client.configure(downloadConfiguration({ colour: "red", streams: 2, nested: { a: [null] } }));
    expect(ports).toHaveLength(2);
    client.end();
    await client.closed();
    expect(server.refusalsOf(client)).toEqual([]);
  });

  test("extensions of wrong types are refused by their names", async () => {
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [1, /extensions/],
      [[], /extensions/],
      [{}, /version/],
      [{ version: "1" }, /version/],
      [{ version: -1 }, /version/],
      [{ version: 2 ** 53 }, /version/],
      [{ version: 1, omit_seconds: -1 }, /omit_seconds/],
      [{ version: 1, omit_seconds: "<1e999>" }, /omit_seconds/],
      [{ version: 1, omit_seconds: null }, /omit_seconds/],
    ];
    for (const [extensions, reason] of cases) {
      await refuse(frameOf(jsonOf(downloadConfiguration({ extensions }))), reason);
    }
    await expectUnharmed();
  });

  test("as many ports as streams are asked for", async () => {
    const changes = { streams: 3, stream_ports: [5000, 5001] };
    await refuse(frameOf(jsonOf(uploadConfiguration(changes))), /stream_ports/);
    await refuse(frameOf(jsonOf(uploadConfiguration({ ...changes, family: "udp" }))), /stream_ports/);
    await expectUnharmed();
  });
});

describe("messages out of order", () => {
  test("a begin first", async () => {
    await refuse(frameOf('{"kind":"begin"}'), /begin/);
    await expectUnharmed();
  });

  test("a second begin", async () => {
    for (const family of ["tcp", "udp"]) {
      const client = await server.connect();
      await client.configure(downloadConfiguration({ family }));
      client.send({ kind: "begin" });
      client.send({ kind: "begin" });
      await expectRefused(client, /begin/);
    }
    await expectUnharmed();
  });

  test("a second configuration of the same role", async () => {
    for (const make of [downloadConfiguration, uploadConfiguration]) {
      const client = await server.connect();
      await client.configure(make());
      client.send(make());
      await expectRefused(client, /configuration/);
    }
    await expectUnharmed();
  });

  test("a configuration in mid-test", async () => {
    const client = await server.connect();
    await client.configure(downloadConfiguration());
    client.send({ kind: "begin" });
    client.send(uploadConfiguration());
    await expectRefused(client, /configuration/);
    await expectUnharmed();
  });

  test("a flood of 1,000 identical configurations, in one go and one by one", async () => {
    const frame = frameOf(JSON.stringify(downloadConfiguration({ streams: 2 })));
    const flood = Buffer.concat(Array.from({ length: 1_000 }, () => frame));
    const all = await server.connect();
    all.sendBytes(flood);
    await expectRefused(all, /configuration|messages/);
    const single = await server.connect();
    for (let count = 0; count < 1_000 && !single.isClosed; count += 1) {
      single.sendBytes(frame);
      if (count % 20 === 0) await Bun.sleep(1);
    }
    await expectRefused(single, /configuration|messages/);
    await expectUnharmed();
  });

  test("a flood of ends and begins behind a configuration", async () => {
    const client = await server.connect();
    client.send(downloadConfiguration());
    for (let count = 0; count < 1_000; count += 1) client.send({ kind: "begin" });
    await expectRefused(client, /begin|messages/);
    await expectUnharmed();
  });

  test("an error behind good messages of the same chunk is told too", async () => {
    const client = await server.connect();
    const good = frameOf(JSON.stringify(downloadConfiguration()));
    client.sendBytes(Buffer.concat([good, frameOf('{"kind":"begin"}'), frameOf("nonsense")]));
    await expectRefused(client, /JSON/);
    await expectUnharmed();
  });
});

describe("disconnects", () => {
  interface Step {
    readonly name: string;
    /** Brings a client to where it vanishes; gives what is to be torn down with it. */
    readonly reach: (client: RawClient) => Promise<readonly { destroy(): void }[] | undefined>;
  }

  /** A TCP receiver by hand: takes connections and reads them. */
  async function listenForData(): Promise<{
    readonly port: number;
    readonly server: Server;
    readonly first: Promise<Socket>;
  }> {
    const accepted = Promise.withResolvers<Socket>();
    const listener = createServer((socket) => {
      socket.on("error", () => {});
      socket.resume();
      accepted.resolve(socket);
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const address = listener.address();
    if (address === null || typeof address === "string") throw new Error("the listener has no port");
    return { port: address.port, server: listener, first: accepted.promise };
  }

  const steps: readonly Step[] = [
    { name: "after the connect", reach: async () => undefined },
    {
      name: "in the length of a frame",
      reach: async (client) => {
        client.sendBytes(Uint8Array.of(0));
        await Bun.sleep(20);
        return undefined;
      },
    },
    {
      name: "in mid-frame",
      reach: async (client) => {
        client.sendBytes(frameOf(JSON.stringify(downloadConfiguration())).subarray(0, 40));
        await Bun.sleep(20);
        return undefined;
      },
    },
    ...(["tcp", "udp"] as const).flatMap((family): Step[] => [
      {
        name: `after a ${family} download's configuration, before the answer`,
        reach: async (client) => {
          client.send(downloadConfiguration({ family, streams: 4 }));
          return undefined;
        },
      },
      {
        name: `after a ${family} upload's configuration, before the answer`,
        reach: async (client) => {
          client.send(uploadConfiguration({ family, streams: 2, stream_ports: [4009, 4009] }));
          return undefined;
        },
      },
      {
        name: `after the answer to a ${family} download`,
        reach: async (client) => {
          await client.configure(downloadConfiguration({ family, streams: 3 }));
          return undefined;
        },
      },
      {
        name: `after the answer to a ${family} upload`,
        reach: async (client) => {
          await client.configure(uploadConfiguration({ family }));
          return undefined;
        },
      },
      {
        name: `after the begin of a ${family} download`,
        reach: async (client) => {
          await client.configure(downloadConfiguration({ family }));
          client.send({ kind: "begin" });
          return undefined;
        },
      },
      {
        name: `after the begin of a ${family} upload that nobody receives`,
        reach: async (client) => {
          await client.configure(uploadConfiguration({ family, duration: 1_000 }));
          client.send({ kind: "begin" });
          return undefined;
        },
      },
    ]),
    {
      name: "in the middle of a tcp download",
      reach: async (client) => {
        const configuration = downloadConfiguration();
        const [port = 0] = await client.configure(configuration);
        client.send({ kind: "begin" });
        const data = await connectTcp(port);
        data.write(tcpBuffer(configuration.test_id));
        await client.nextOf("receive");
        return [data];
      },
    },
    {
      name: "in the middle of a tcp upload",
      reach: async (client) => {
        const receiver = await listenForData();
        await client.configure(uploadConfiguration({ duration: 1_000, stream_ports: [receiver.port] }));
        client.send({ kind: "begin" });
        const data = await receiver.first;
        await client.nextOf("send");
        return [data, { destroy: () => receiver.server.close() }];
      },
    },
    {
      name: "in the middle of a udp download",
      reach: async (client) => {
        const configuration = downloadConfiguration({ family: "udp" });
        const [port = 0] = await client.configure(configuration);
        client.send({ kind: "begin" });
        const socket = await openDatagrams();
        let sent = 0;
        const sending = setInterval(() => socket.send(udpPacket(configuration.test_id, sent++), port), 20);
        await client.nextOf("receive");
        return [
          {
            destroy: () => {
              clearInterval(sending);
              socket.close();
            },
          },
        ];
      },
    },
    {
      name: "in the middle of a udp upload",
      reach: async (client) => {
        const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
        const changes = { family: "udp", duration: 1_000, stream_ports: [socket.port] };
        await client.configure(uploadConfiguration(changes));
        client.send({ kind: "begin" });
        await client.nextOf("send");
        return [{ destroy: () => socket.close() }];
      },
    },
    {
      name: "after a bidirectional begin",
      reach: async (client) => {
        await client.configure(downloadConfiguration());
        await client.configure(uploadConfiguration({ duration: 1_000 }));
        client.send({ kind: "begin" });
        return undefined;
      },
    },
  ];

  for (const [how, leave] of [
    ["FIN", (client: RawClient) => client.end()],
    ["RST", (client: RawClient) => client.reset()],
  ] as const) {
    for (const step of steps) {
      test(`${step.name}, ${how}`, async () => {
        const client = await server.connect();
        const rest = await step.reach(client);
        leave(client);
        try {
          await client.closed();
          // To vanish is no breach of the rules.
          await expectFreed();
          expect(server.refusalsOf(client)).toEqual([]);
        } finally {
          for (const thing of rest ?? []) thing.destroy();
        }
      });
    }
    test(`nothing is harmed by ${how}`, expectUnharmed);
  }

  test("a connection that is reset before the server takes it is told of under a name, or under none", async () => {
    const before = server.events.length;
    for (let count = 0; count < 30; count += 1) {
      const client = await server.connect();
      client.send(downloadConfiguration());
      client.reset();
      await client.closed();
    }
    await expectFreed();
    const clients = server.events
      .slice(before)
      .flatMap((event) => ("client" in event ? [typeof event.client] : ["missing"]));
    expect(clients).not.toContain("missing");
    expect(clients).not.toContain("undefined");
    await expectUnharmed();
  });

  test("100 clients that vanish at the same time", async () => {
    const clients = await Promise.all(Array.from({ length: 100 }, () => server.connect()));
    for (const [index, client] of clients.entries()) {
      if (index % 2 === 0) client.send(downloadConfiguration());
    }
    for (const [index, client] of clients.entries()) {
      if (index % 3 === 0) client.reset();
      else client.end();
    }
    await Promise.all(clients.map((client) => client.closed()));
    await expectUnharmed();
  });
});

describe("silence", () => {
  const LIMIT_MS = 20_000;

  /** Sends a good configuration byte by byte, too slowly ever to end. */
  async function drip(client: RawClient): Promise<void> {
    for (const byte of frameOf(JSON.stringify(downloadConfiguration()))) {
      if (client.isClosed || client.messages.length > 0) return;
      client.sendBytes(Uint8Array.of(byte));
      await Bun.sleep(1_000);
    }
  }

  /** Each behaves as it does, then falls silent. */
  const cases: readonly (readonly [string, (client: RawClient) => Promise<void> | void, RegExp])[] = [
    ["nothing at all", () => {}, /configuration/],
    ["one byte", (client) => client.sendBytes(Uint8Array.of(0)), /message/],
    ["half a frame", (client) => client.sendBytes(frameOf('{"kind":"begin"}').subarray(0, 9)), /message/],
    ["a byte of a frame now and then", (client) => void drip(client), /message|configuration/],
    [
      "half a frame behind a good configuration",
      async (client) => {
        await client.configure(downloadConfiguration());
        client.sendBytes(Uint8Array.of(0, 16));
      },
      /message/,
    ],
    ["no begin", async (client) => void (await client.configure(downloadConfiguration({ family: "udp" }))), /begin/],
    [
      "no end behind the streams' end",
      async (client) => {
        await client.configure(uploadConfiguration({ family: "udp", duration: 0.1 }));
        client.send({ kind: "begin" });
      },
      /end/,
    ],
  ];

  test(
    "each silent client is given up for its own reason, and none holds up another",
    async () => {
      const clients = cases.map(async ([name, behave, reason]) => {
        const client = await server.connect();
        await behave(client);
        await expectRefused(client, reason, LIMIT_MS).catch((cause: unknown) => {
          throw new Error(name, { cause });
        });
      });
      const failures = (await Promise.allSettled(clients)).flatMap((end) =>
        end.status === "rejected" ? [end.reason] : [],
      );
      expect(failures).toEqual([]);
      await expectUnharmed();
    },
    3 * LIMIT_MS,
  );
});

describe("anything", () => {
  /** What a fuzzed client sends: bytes, frames of bytes, of JSON, and configurations with one field spoilt. */
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((body) => frameOf(body)),
    fc.json({ maxDepth: 3 }).map((text) => frameOf(text.slice(0, 60_000))),
    fc
      .record({
        make: fc.constantFrom(downloadConfiguration, uploadConfiguration),
        field: fc.constantFrom(...Object.keys(uploadConfiguration()), "receive_buffer", "extensions", "__proto__"),
        value: fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.integer(), fc.double()),
        behind: fc.constantFrom("", '{"kind":"begin"}', '{"kind":"end"}', "{}"),
      })
      // No wait for a long upload: whatever comes of it, the client leaves at once.
      .map(({ make, field, value, behind }) =>
        Buffer.concat([
          frameOf(JSON.stringify(make({ [field]: value }))),
          behind === "" ? Buffer.alloc(0) : frameOf(behind),
        ]),
      ),
  );

  test("200 connections of random content leave the server as it was", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { minLength: 1, maxLength: 4 }), fc.boolean(), async (chunks, isReset) => {
        const client = await server.connect();
        for (const chunk of chunks) client.sendBytes(chunk);
        await Bun.sleep(2);
        if (isReset) client.reset();
        else client.end();
        await client.closed();
        for (const message of client.messages) {
          if (message["kind"] === "error") expect(message["message"]).toBeString();
        }
        // At most one refusal each, whatever it sent.
        expect(server.refusalsOf(client).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 200 },
    );
    await expectUnharmed();
  }, 60_000);
});

test("the program logs one line for each, with the client and the field", async () => {
  const port = await freePort();
  const child = startProcess(rperf("-s", "-p", `${port}`));
  await child.waitForOutput(/listening/);
  const client = await RawClient.connect(port);
  client.send(downloadConfiguration({ streams: "\u001b[2J\n" }));
  await client.nextOf("error");
  await client.closed();
  await child.waitForOutput(/streams/);
  await expectServes(port);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  const lines = child.stderr.split("\n").filter((line) => line.includes(client.name));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/streams must be a whole number/);
  // A peer's words are no commands to a terminal.
  expect(child.stderr).not.toContain("\u001b");
  expect(child.stdout).toBe("");
});

describe("in the end", () => {
  test(
    "the tests of other clients in the background all completed with matching totals",
    async () => {
      backgroundOver.abort();
      expect(await background).toBeGreaterThanOrEqual(2);
    },
    (BACKGROUND_SECONDS + 10) * 1_000,
  );

  test("the server holds what it held at the beginning", async () => {
    await server.isBackTo(idle);
    await expectServes(server.port);
    await server.isBackTo(idle);
    expect(server.stderr).toBe("");
  });
});

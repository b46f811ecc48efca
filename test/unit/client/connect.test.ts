import { describe, expect, test } from "bun:test";
import { connectControl, type ControlPath, resolveHost } from "../../../src/client/connect.ts";
import { type ChannelEvents, channelSocketHandlers, ControlChannel } from "../../../src/control/channel.ts";
import { testsUnless } from "../../support/conditional.ts";
import { freePort } from "../../support/ports.ts";

const ANYWHERE: ControlPath = { localAddress: null, device: null, host: "127.0.0.1", tls: null };
const NO_EVENTS: ChannelEvents = { onBody: () => {}, onError: () => {}, onClosed: () => {} };

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

/** A server that sends each channel's message back. */
function echoServer(hostname: string, port: number) {
  return Bun.listen<ControlChannel>({
    hostname,
    port,
    socket: {
      ...channelSocketHandlers,
      open: (socket) => {
        const channel: ControlChannel = new ControlChannel(socket, {
          ...NO_EVENTS,
          onBody: (body) => channel.send(JSON.parse(new TextDecoder().decode(body)) as object),
        });
      },
    },
  });
}

describe("resolveHost", () => {
  test.each(["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%lo", "fe80::1%9"])(
    "the address %s is itself",
    async (address) => {
      expect(await resolveHost(address, false)).toEqual([address]);
    },
  );

  test("localhost is this machine, each address once", async () => {
    const addresses = await resolveHost("localhost", false);
    expect(addresses.length).toBeGreaterThan(0);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const address of addresses) expect(["127.0.0.1", "::1"]).toContain(address);
  });

  // RFC 6761, 6.4: names in .invalid never resolve.
  test.each(["rperf.invalid", "a.b.invalid"])("%s does not resolve, and the message names it", async (host) => {
    expect(await failureOf(resolveHost(host, false))).toMatchObject({
      name: "RperfError",
      code: "resolve-failed",
      message: expect.stringContaining(host),
    });
  });

  test("what looks like an address and is none does not resolve", async () => {
    expect(await failureOf(resolveHost("999.1.1.1", false))).toMatchObject({ code: "resolve-failed" });
  });
});

describe("connectControl", () => {
  test("gives a channel that talks, and the address", async () => {
    const server = echoServer("127.0.0.1", 0);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const closed = Promise.withResolvers<void>();
    const events = {
      ...NO_EVENTS,
      onBody: (body: Uint8Array) => resolve(JSON.parse(new TextDecoder().decode(body))),
      onClosed: () => closed.resolve(),
    };
    const { channel, address, inbox } = await connectControl(["127.0.0.1"], server.port, ANYWHERE, () => events);
    expect(inbox).toBe(events);
    expect(address).toBe("127.0.0.1");
    expect(channel.remotePort).toBe(server.port);
    channel.send({ kind: "begin" });
    expect(await promise).toEqual({ kind: "begin" });
    channel.close();
    await closed.promise;
    server.stop(true);
  });

  for (const [address, endpoint, reason] of [
    ["127.0.0.1", "127.0.0.1", null],
    ["::1", "[::1]", hasIpv6() ? null : "this machine has no ::1"],
  ] as const) {
    testsUnless(reason).test(`a closed port of ${address} is refused, and the message names it`, async () => {
      const port = await freePort();
      expect(await failureOf(connectControl([address], port, ANYWHERE, () => NO_EVENTS))).toMatchObject({
        name: "RperfError",
        code: "connect-refused",
        message: expect.stringContaining(`${endpoint}:${port}`),
        cause: expect.objectContaining({ code: "ECONNREFUSED" }),
      });
    });
  }

  test("no address at all", async () => {
    expect(await failureOf(connectControl([], 5199, ANYWHERE, () => NO_EVENTS))).toMatchObject({
      code: "connect-failed",
    });
  });

  const manyLoopbacks = testsUnless(process.platform === "linux" ? null : "only Linux has all of 127.0.0.0/8");
  manyLoopbacks.test("the next address is tried when one refuses", async () => {
    const server = echoServer("127.0.0.3", 0);
    const path = { ...ANYWHERE, localAddress: "127.0.0.9" };
    for (const from of [ANYWHERE, path]) {
      const addresses = ["127.0.0.2", "127.0.0.3"];
      const { channel, address } = await connectControl(addresses, server.port, from, () => NO_EVENTS);
      expect(address).toBe("127.0.0.3");
      if (from === path) expect(channel.localAddress).toBe("127.0.0.9");
      channel.close();
    }
    server.stop(true);
  });

  manyLoopbacks.test("when all refuse, the last is named", async () => {
    const port = await freePort();
    const failure = await failureOf(connectControl(["127.0.0.2", "127.0.0.3"], port, ANYWHERE, () => NO_EVENTS));
    expect(failure).toMatchObject({ code: "connect-refused", message: expect.stringContaining(`127.0.0.3:${port}`) });
  });
});

function hasIpv6(): boolean {
  try {
    Bun.listen({ hostname: "::1", port: 0, socket: { data: () => {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

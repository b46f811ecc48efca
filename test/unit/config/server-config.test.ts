import { expect, test } from "bun:test";
import { makePolicy, makeServerConfig, type ServerOptions } from "../../../src/config/server-config.ts";
import { RperfError } from "../../../src/errors.ts";

const KEYS = new Map([["probe", new Uint8Array(16)]]);
const DEFAULTS = {
  bindAddress: "0.0.0.0",
  port: 5199,
  policy: makePolicy({}),
  affinity: [],
  portPools: { tcp4: [], tcp6: [], udp4: [], udp6: [] },
  device: null,
  tls: null,
};

test.each<[ServerOptions, Partial<ReturnType<typeof makeServerConfig>>]>([
  [{}, {}],
  [{ ipv6: true }, { bindAddress: "::" }],
  [{ ipv6: false }, {}],
  [
    { bindAddress: "127.0.0.1", port: 0 },
    { bindAddress: "127.0.0.1", port: 0 },
  ],
  [{ bindAddress: "::1", ipv6: true }, { bindAddress: "::1" }],
  [{ bindAddress: "fe80::1%eth0" }, { bindAddress: "fe80::1%eth0" }],
  [{ clientLimit: 3, port: undefined }, { policy: { ...makePolicy({}), clientLimit: 3 } }],
  [{ queueLimit: 5 }, { policy: { ...makePolicy({}), queueLimit: 5 } }],
  [
    { queueLimit: 2, auth: "required", keys: KEYS, allowsLowPorts: true },
    { policy: { ...makePolicy({}), queueLimit: 2, auth: "required", keys: KEYS, allowsLowPorts: true } },
  ],
  [{ device: "eth0" }, { device: "eth0" }],
  [{ device: null }, {}],
])("%j", (options, changes) => {
  const config = makeServerConfig(options);
  expect(config).toEqual({ ...DEFAULTS, ...changes });
  expect(Object.isFrozen(config.portPools.tcp4)).toBe(true);
});

test.each<[unknown, RegExp]>([
  [{ port: -1 }, /^--port must be a whole number from 0 to 65535, not "-1"$/],
  [{ port: 65_536 }, /^--port /],
  [{ port: "1" }, /^--port /],
  [{ clientLimit: -1 }, /^--client-limit must be a whole number, at least 0, not "-1"$/],
  [{ clientLimit: 1.5 }, /^--client-limit /],
  [{ queueLimit: 257 }, /^--queue must be a whole number from 0 to 256, not "257"$/],
  [{ queueLimit: -1 }, /^--queue /],
  [{ auth: "on" }, /^--auth must be one of off, optional, required, not "on"$/],
  [{ allowsLowPorts: 1 }, /^--allow-low-ports must be true or false/],
  [{ ipv6: 6 }, /^--version6 must be true or false/],
  [{ bindAddress: "localhost" }, /^--bind must be an IP address, not "localhost"$/],
  [{ bindAddress: 7 }, /^--bind /],
  [{ bindAddress: "127.0.0.1%lo" }, /^--bind /],
  [{ bindAddress: "127.0.0.1", ipv6: true }, /^--bind with --version6 must be an IPv6 address, not "127.0.0.1"$/],
  [{ device: "a/b" }, /^--bind-dev must be an interface's name, at most 15 bytes /],
  [{ affinity: [0.5] }, /--affinity/],
  [{ portPools: { tcp4: [{ first: 0, last: 1 }] } }, /--tcp-port-pool/],
  [{ host: "h" }, /^options has no field "host"/],
  [7, /^options must be an object, not "7"$/],
])("refuses %j", (options, message) => {
  const make = () => makeServerConfig(options as ServerOptions);
  expect(make).toThrow(RperfError);
  expect(make).toThrow(message);
});

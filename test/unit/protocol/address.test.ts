import { expect, test } from "bun:test";
import {
  formatEndpoint,
  ipVersionOf,
  placeOf,
  receiverBindAddress,
  unmapAddress,
} from "../../../src/protocol/address.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:192.0.2.1", "192.0.2.1"],
  ["::1", "::1"],
  ["::", "::"],
  ["2001:db8::ffff:1", "2001:db8::ffff:1"],
  // Six groups and two more are an address of IPv6, not a mapped one.
  ["::ffff:1:2", "::ffff:1:2"],
  ["fe80::1%eth0", "fe80::1%eth0"],
])("unmapAddress(%s) is %s", (address, expected) => {
  expect(unmapAddress(address)).toBe(expected);
});

test.each([
  ["192.0.2.1", 4, "192.0.2.1:5199"],
  ["localhost", 4, "localhost:5199"],
  ["::1", 6, "[::1]:5199"],
  ["2001:db8::1", 6, "[2001:db8::1]:5199"],
  ["::ffff:192.0.2.1", 6, "[::ffff:192.0.2.1]:5199"],
] as const)("%s is of version %d and written %s", (address, version, endpoint) => {
  expect(ipVersionOf(address)).toBe(version);
  expect(formatEndpoint(address, 5199)).toBe(endpoint);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8::1", "2001:db8::1"],
  ["::1", "::1"],
  ["fe80::1", "::"],
  ["FE80::1", "::"],
  ["fe90::1", "::"],
  ["febf::1", "::"],
  ["fec0::1", "fec0::1"],
  ["fd00::1", "fd00::1"],
])("receivers of a connection to %s listen on %s", (localAddress, expected) => {
  expect(receiverBindAddress(localAddress)).toBe(expected);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8::1:2:3:4:5", "2001:db8:0:1::/64"],
  ["2001:db8:1:2:3:4:5::", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["", ""],
])("%p stands for %p", (address, place) => {
  expect(placeOf(address)).toBe(place);
});

import { describe, expect, test } from "bun:test";
import { decodeClientMessage } from "../../../src/protocol/decode.ts";
import type { Configuration } from "../../../src/protocol/messages.ts";
import { ClosingTally } from "../../../src/server/closing-tally.ts";
import { DescriptorBudget, descriptorsOf } from "../../../src/server/descriptor-budget.ts";
import { downloadConfiguration, uploadConfiguration } from "../../support/raw-client.ts";

function decoded(wire: object): Configuration {
  const message = decodeClientMessage(new TextEncoder().encode(JSON.stringify(wire)));
  if (message.kind !== "configuration") throw new Error(`not a configuration: ${message.kind}`);
  return message;
}

describe("what a process may have open", () => {
  test("is divided between connections that say nothing and tests, with a reserve", () => {
    const budget = new DescriptorBudget(64, 8);
    expect(budget.idle).toBe(10);
    expect(budget.reserve(31)).toBe(false);
    expect(budget.reserve(30)).toBe(true);
    expect(budget.reserve(1)).toBe(false);
    budget.release(30);
    expect(budget.reserve(30)).toBe(true);
  });

  test("leaves some for connections where there is next to nothing, and no test", () => {
    const budget = new DescriptorBudget(20, 10);
    expect(budget.idle).toBe(4);
    expect(budget.reserve(1)).toBe(false);
  });

  test("is had by clients that wait for a quarter of what tests may have, and by no more", () => {
    const budget = new DescriptorBudget(64, 8);
    expect(Array.from({ length: 9 }, () => budget.beginWait())).toEqual([...Array(7).fill(true), false, false]);
    expect(budget.reserve(24)).toBe(false);
    expect(budget.reserve(23)).toBe(true);
    budget.endWait();
    expect(budget.reserve(1)).toBe(true);
    expect(budget.beginWait()).toBe(false);
  });

  test("is no matter where there is no limit", () => {
    const budget = new DescriptorBudget(Infinity, 8);
    expect(budget.idle).toBe(256);
    expect([budget.reserve(1e9), budget.beginWait()]).toEqual([true, true]);
  });
});

test.each<[string, object, number, number]>([
  ["a port that listens, and a Worker", downloadConfiguration(), 0, 10 + 2 + 1],
  ["a connection that the server opens", uploadConfiguration(), 0, 2 + 2 + 1],
  ["a port at which the server is dialled", uploadConfiguration({ extensions: { version: 2, dial: "client" } }), 0, 13],
  ["UDP", downloadConfiguration({ family: "udp" }), 0, 2 + 2 + 1],
  ["data over the control port", downloadConfiguration({ extensions: { version: 2, single_port: true } }), 0, 5],
  ["streams that share their Workers", downloadConfiguration({ family: "udp", streams: 100 }), 0, 200 + 64 + 1],
  ["streams that are dealt CPUs", downloadConfiguration({ family: "udp", streams: 100 }), 3, 200 + 60 + 1],
])("%s", (_name, wire, cpus, count) => {
  expect(descriptorsOf(decoded(wire), cpus)).toBe(count);
});

test("a flood of closed connections is told of once in a while, with their number", () => {
  const tally = new ClosingTally(1);
  expect(tally.add(100)).toBe(0);
  expect(tally.take(100)).toBe(1);
  expect(tally.add(100.25)).toBe(0.75);
  expect([tally.add(100.5), tally.add(100.75)]).toEqual([null, null]);
  expect(tally.take(101)).toBe(3);
  expect(tally.add(300)).toBe(0);
});

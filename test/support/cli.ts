// What the program's runs have in common.
import { expect } from "bun:test";

import { documentOf, type TestDocument } from "./document.ts";
import type { RunResult } from "./process.ts";

export const EXIT_FORCED = 3;
export const EXIT_FAILED = 4;

/** A document of ours, with the keys that the original's lacks. */
export interface OurDocument extends TestDocument {
  readonly outcome: string;
  readonly reason: { readonly code: string; readonly message: string } | null;
  readonly streams: readonly (TestDocument["streams"][number] & {
    readonly sender: { readonly outcome: string };
    readonly receiver: { readonly outcome: string };
  })[];
}

export function ourDocumentOf(result: RunResult): OurDocument {
  return documentOf(result) as OurDocument;
}

export function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** The one line on standard error. */
export function complaintOf(result: RunResult): string {
  const lines = linesOf(result.stderr);
  expect(lines).toHaveLength(1);
  return lines[0] ?? "";
}

/** What a text report says of a test that did not complete; "" when it says nothing. */
export function incompleteLineOf(result: RunResult): string {
  return linesOf(result.stdout).find((line) => line.endsWith("(the result is incomplete)")) ?? "";
}

/** A document's bytes and packets sent are those received and lost, for each stream and in all. */
export function expectTotalsOf({ streams, summary }: TestDocument): void {
  for (const one of [...streams.map(({ intervals }) => intervals.summary), summary]) {
    const lostBytes = (one.packets_lost ?? 0) * (one.framed_packet_size ?? 0);
    expect(one.bytes_received + lostBytes).toBe(one.bytes_sent);
    expect((one.packets_received ?? 0) + (one.packets_lost ?? 0)).toBe(one.packets_sent ?? 0);
  }
}

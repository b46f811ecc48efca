// The document of a test of both directions, and of one, seen alike.
import { expect } from "bun:test";

import { expectTotalsOf, type OurDocument, ourDocumentOf } from "./cli.ts";
import type { RunResult } from "./process.ts";

export type Measured = Pick<OurDocument, "streams" | "summary">;

/** Forward first; one alone of any other test. */
export function measuredOf(document: OurDocument): readonly Measured[] {
  const { directions } = document as { directions?: Record<"forward" | "reverse", Measured> };
  return directions === undefined ? [document] : [directions.forward, directions.reverse];
}

/** Sent is received and lost, in each direction; something was sent. Gives the document. */
export function expectMeasured(document: OurDocument): OurDocument {
  for (const measured of measuredOf(document)) {
    expect(measured.summary.bytes_sent).toBeGreaterThan(0);
    expectTotalsOf({ ...document, ...measured });
  }
  return document;
}

/** It completed, without a word, and its totals match. Gives the document. */
export function expectCompleted(result: RunResult): OurDocument {
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
  const document = ourDocumentOf(result);
  expect({ outcome: document.outcome, reason: document.reason }).toEqual({ outcome: "completed", reason: null });
  return expectMeasured(document);
}

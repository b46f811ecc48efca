// Those who ask to be let in, as the server's logic gets them.
import type { Configuration } from "../../../src/protocol/messages.ts";
import type { Applicant, Lease } from "../../../src/server/gate.ts";

/** One without a key, of 192.0.2.1. */
export function applicant(
  configuration: Configuration,
  earlier: Lease | null = null,
  signal = new AbortController().signal,
): Applicant {
  return {
    remoteAddress: "192.0.2.1",
    configuration,
    body: new Uint8Array(0),
    keyingMaterial: null,
    earlier,
    signal,
    isCounted: () => {},
    tell: () => {},
    proof: () => Promise.reject(new Error("nobody asks")),
  };
}

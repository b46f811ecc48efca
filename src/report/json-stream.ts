import { SCHEMA_VERSION } from "../results/types.ts";
import { safeJson } from "../safe-text.ts";
import { configDocument, intervalDocument, toJsonDocument } from "./json.ts";
import type { Reporter } from "./reporter.ts";

interface JsonStreamOptions {
  /** Called with one whole line at a time. */
  readonly write: (text: string) => void;
  /** UNIX seconds now. */
  readonly wallSeconds: () => number;
}

/**
 * Writes one JSON object a line as things happen: `queued`, `start`, `interval` and `outage`, and in the end either `end` with
 * the whole document or `error`. `schema/stream.schema.json` describes a line.
 */
export function createJsonStreamReporter({ write, wallSeconds }: JsonStreamOptions): Reporter {
  function event(name: string, data: object, timestampSeconds = wallSeconds()): void {
    write(`${safeJson({ event: name, schema_version: SCHEMA_VERSION, timestamp: timestampSeconds, data })}\n`);
  }

  return {
    queued: (place, waitSeconds) => event("queued", { place, ...(waitSeconds === null ? {} : { wait: waitSeconds }) }),
    started({ config, address, port, ipVersion }) {
      event("start", {
        ...(config.title === null ? {} : { title: config.title }),
        server: { address, port },
        config: configDocument(config, ipVersion),
      });
    },
    interval(direction, streamIndex, interval) {
      const fields = intervalDocument(interval);
      event(
        "interval",
        { direction, stream_idx: streamIndex, side: interval.kind, ...fields },
        interval.timestampSeconds,
      );
    },
    sideEnded() {},
    outage: (message) => event("outage", { state: "lost", message }),
    resumed: (outageSeconds) => event("outage", { state: "resumed", duration: outageSeconds }),
    finished: (result) => event("end", toJsonDocument(result)),
    failed: ({ code, message }) => event("error", { code, message }),
  };
}

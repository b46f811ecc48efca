// The JSON document of a test, ours and the original's: what both have.
import type { RunResult } from "./process.ts";

export interface SummaryDocument {
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly duration_send: number;
  readonly duration_receive: number;
  readonly packets_sent?: number;
  readonly packets_received?: number;
  readonly packets_lost?: number;
  readonly packets_duplicated?: number;
  readonly framed_packet_size?: number;
}

export interface StreamDocument {
  readonly abandoned: boolean;
  readonly failed: boolean;
  readonly intervals: {
    readonly send: readonly Readonly<Record<string, number>>[];
    readonly receive: readonly Readonly<Record<string, number | null>>[];
    readonly summary: SummaryDocument;
  };
}

export interface TestDocument {
  readonly config: Readonly<Record<"upload" | "download" | "common" | "additional", Readonly<Record<string, unknown>>>>;
  readonly streams: readonly StreamDocument[];
  readonly summary: SummaryDocument;
  readonly success: boolean;
}

/** The one document on standard output; throws, quoting everything, when it is anything else. */
export function documentOf(result: RunResult): TestDocument {
  try {
    return JSON.parse(result.stdout) as TestDocument;
  } catch (cause) {
    const said = `exit ${result.code}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`;
    throw new Error(`standard output is not one JSON document\n${said}`, { cause });
  }
}

/** "a.b.c type" of everything in a document; the items of a list share one path. */
export function keyPaths(value: unknown, path = ""): Set<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...keyPaths(item, `${path}[]`)]));
  if (typeof value === "object" && value !== null) {
    return new Set(
      Object.entries(value).flatMap(([key, item]) => [...keyPaths(item, path === "" ? key : `${path}.${key}`)]),
    );
  }
  return new Set([`${path} ${typeof value}`]);
}

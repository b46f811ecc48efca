// Tests over a link that is cut for a while: what the files about outages have in common.
import { expect } from "bun:test";

import { EXIT_FAILED } from "./cli.ts";
import type { TestDocument } from "./document.ts";
import type { Namespace, NamespacePair } from "./netns.ts";
import { rperf, type RunResult, type RunningProcess } from "./process.ts";
import { documentFaults } from "./schemas.ts";

export const CONTROL_PORT = 5199;

export interface Mode {
  readonly family: "tcp" | "udp";
  readonly direction: "forward" | "reverse" | "bidir";
  readonly name: string;
}

export const MODES: readonly Mode[] = (["tcp", "udp"] as const).flatMap((family) =>
  (["forward", "reverse", "bidir"] as const).map((direction) => ({
    family,
    direction,
    name: `${family} ${direction}`,
  })),
);

type Reason = { readonly code: string; readonly message: string } | null;

interface SideDocument {
  readonly outcome: string;
  readonly reason: Reason;
}

export type DirectionDocument = Omit<TestDocument, "streams"> &
  SideDocument & {
    readonly streams: readonly (TestDocument["streams"][number] &
      SideDocument & { readonly sender: SideDocument; readonly receiver: SideDocument })[];
  };

export interface OutageDocument extends DirectionDocument {
  readonly started: number;
  readonly outages: readonly { readonly start: number; readonly duration: number }[];
  readonly directions?: Readonly<Record<"forward" | "reverse", DirectionDocument>>;
}

/** Of a client in one of these modes, slow enough for many at a time. */
export function flagsOf({ family, direction }: Mode, ...more: readonly string[]): string[] {
  const modeFlags = [...(family === "udp" ? ["-u"] : []), ...(direction === "forward" ? [] : [`--${direction}`])];
  return ["-p", `${CONTROL_PORT}`, "-b", "400k", ...modeFlags, ...more];
}

export function startClient({ left, right }: NamespacePair, mode: Mode, ...more: readonly string[]): RunningProcess {
  return left.start(rperf("-c", right.ipv4, ...flagsOf(mode, "-f", "json", ...more)));
}

export async function startServer(at: Namespace, ...more: readonly string[]): Promise<RunningProcess> {
  const server = at.start(rperf("-s", "-p", `${CONTROL_PORT}`, ...more));
  await server.waitForOutput(/listening/);
  return server;
}

export async function resultOf(client: RunningProcess): Promise<RunResult> {
  const code = await client.exited;
  return { code, stdout: client.stdout, stderr: client.stderr };
}

/** The one document that a client printed, as its schema has it; its exit status says whether it is whole. */
export function outageDocumentOf(result: RunResult): OutageDocument {
  let document: OutageDocument;
  try {
    document = JSON.parse(result.stdout) as OutageDocument;
  } catch (cause) {
    throw new Error(`not one document: exit ${result.code}\n${result.stdout}\n--\n${result.stderr}`, { cause });
  }
  expect(documentFaults(document)).toEqual([]);
  expect(result.code).toBe(document.success ? 0 : EXIT_FAILED);
  expect(document.success).toBe(document.outcome === "completed");
  if (!document.success) expect(document.reason?.message).toBeString();
  return document;
}

/** What was measured: once, or in both directions. */
export function directionsOf(document: OutageDocument): readonly DirectionDocument[] {
  return document.directions === undefined ? [document] : [document.directions.forward, document.directions.reverse];
}

/** Cuts the control connections alone: nothing of theirs arrives at either end. */
export function cutControl({ left, right }: NamespacePair): void {
  right.cut(`tcp dport ${CONTROL_PORT}`);
  left.cut(`tcp sport ${CONTROL_PORT}`);
}

/** Nothing arrives at either end. */
export function cutLink({ left, right }: NamespacePair): void {
  right.cut();
  left.cut();
}

export function mend({ left, right }: NamespacePair): void {
  left.mend();
  right.mend();
}

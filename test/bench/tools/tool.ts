// What the bench asks of a tool. One adapter each lies beside this file; none of them judges what it reads.
import type { Family } from "../../../src/config/types.ts";

export type ToolName = "rperf" | "original" | "iperf3" | "xfr" | "iperf2" | "nuttcp";

/** Where a test goes unless told. */
export const HOST = "127.0.0.1";

export interface TestRequest {
  readonly family: Family;
  readonly seconds: number;
  readonly streams: number;
  /** Of each stream; null = as fast as it goes. */
  readonly bitsPerSecond: number | null;
  /** Payload of a UDP packet, or a TCP write; null leaves it to the tool. */
  readonly lengthBytes: number | null;
  /** Where the server is; HOST unless told. */
  readonly host?: string;
}

/** What a tool told about a test, by its own definitions. */
export interface TestFigures {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly receivedSeconds: number;
  /** Received by each stream; null when the tool does not tell. */
  readonly streamBytes: readonly number[] | null;
  /** Null for TCP. */
  readonly udp: UdpFigures | null;
}

export interface UdpFigures {
  readonly sentPackets: number;
  /** Without duplicates. */
  readonly receivedPackets: number;
  readonly lostPackets: number;
  /** Null when the tool does not tell. */
  readonly jitterSeconds: number | null;
}

export interface Ports {
  /** The server's. */
  readonly control: number;
  /** For a tool whose client has to be told another for its data. */
  readonly data: number;
}

export interface Tool {
  readonly name: ToolName;
  readonly version: string;
  serverCommand(ports: Ports, family: Family): string[];
  /** The transport on which its server waits for clients. */
  listensOn(family: Family): Family;
  clientCommand(ports: Ports, request: TestRequest, flags: readonly string[]): string[];
  /** Reads what the client printed; throws when that is no complete test. */
  parse(stdout: string, request: TestRequest): TestFigures;
}

/** A command of several parts, some of them empty. */
export function commandOf(...parts: readonly (readonly string[])[]): string[] {
  return parts.flat();
}

/** The number that `pattern` captures; throws, quoting the text, without one. */
export function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no ${pattern} in:\n${text.slice(-2000)}`);
  return Number(found);
}

/** The JSON document that `stdout` is; throws, quoting it, when it is none. */
export function parseJson(stdout: string): unknown {
  try {
    return JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`no JSON: ${stdout.slice(0, 2000)}`, { cause });
  }
}

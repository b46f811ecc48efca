import type {
  SocketFacts,
  StreamResult,
  StreamSideResult,
  StreamSummary,
  TestResult,
  UdpSummary,
} from "../results/types.ts";
import { formatBytes, formatPercent, formatRate, type RateUnit } from "../units.ts";
import type { Paint } from "./paint.ts";
import { isLossKnown, rateOf, rowOfStream } from "./rows.ts";
import { createTable, NOTHING } from "./table.ts";

interface SummaryOptions {
  readonly format: RateUnit;
  readonly debug: boolean;
  readonly paint: Paint;
}

/** Of the longest name of a total, and a gap. */
const NAME_WIDTH = 12;

type Role = "sender" | "receiver";

/** How a text names who keeps the time. */
const PLACES = { kernel: "kernel", user: "user-space" } as const;

const ROLES: readonly Role[] = ["sender", "receiver"];

/** The end of a text report, line by line. */
export function renderSummary(result: TestResult, options: SummaryOptions): string[] {
  const { paint } = options;
  const several = result.streams.length > 1;
  return [
    paint("title", titleLine(result)),
    ...(several ? streamLines(result, options) : []),
    ...totalLines(result, options).map(([name, text, isNotable]) => {
      const line = `  ${name.padEnd(NAME_WIDTH)}${text}`;
      return isNotable ? paint("warning", line) : line;
    }),
    ...(options.debug ? socketLines(result).map((line) => paint("quiet", line)) : []),
    ...incompleteLines(result).map((line) => paint("bad", line)),
  ];
}

function titleLine({ config, streams }: TestResult): string {
  const streamCount = streams.length === 1 ? "1 stream" : `${streams.length} streams`;
  const omitted = config.omitSeconds === 0 ? "" : `, without the first ${config.omitSeconds} s`;
  return `total of ${streamCount}${omitted}`;
}

function streamLines(result: TestResult, { format, paint }: SummaryOptions): string[] {
  const table = createTable(result.config, format);
  return [paint("quiet", table.header), ...result.streams.map((stream) => table.line(rowOfStream(stream)))];
}

/** Name, text, and whether the line deserves attention. */
type TotalLine = readonly [name: string, text: string, isNotable: boolean];

function totalLines(result: TestResult, { format: unit, debug }: SummaryOptions): TotalLine[] {
  const { summary } = result;
  const hasSent = result.streams.some((stream) => hasReported(stream, "sender"));
  const hasReceived = result.streams.some((stream) => hasReported(stream, "receiver"));
  const sent = { bytes: summary.bytesSent, packets: summary.udp?.packetsSent ?? null };
  const received = { bytes: summary.bytesReceived, packets: summary.udp?.packetsReceived ?? null };
  return [
    ["sent", volumeText(result, "sender", sent, unit), !hasSent],
    ["received", volumeText(result, "receiver", received, unit), !hasReceived],
    ...(summary.udp === null ? [] : [lossLine(result.streams)]),
    ...(summary.udp === null || !hasReceived ? [] : orderLines(summary.udp, debug ? clockText(result.streams) : "")),
    ...(hasSent ? [blockedLine(summary)] : []),
  ];
}

/** What one side moved, over the time its longest stream took. */
function volumeText(
  { streams }: TestResult,
  role: Role,
  { bytes, packets }: { readonly bytes: number; readonly packets: number | null },
  unit: RateUnit,
): string {
  const silent = streams.filter((stream) => !hasReported(stream, role)).map((stream) => stream.streamIndex);
  if (silent.length === streams.length) return `the ${role} reported nothing`;
  const seconds = Math.max(...streams.map((stream) => secondsOf(stream.summary, role)));
  const rate = rateOf(bytes, seconds);
  return [
    formatBytes(bytes),
    ...(packets === null ? [] : [`${packets} packets`]),
    `${seconds.toFixed(2)} s`,
    rate === null ? NOTHING : formatRate(rate, unit),
    ...(silent.length === 0 ? [] : [`nothing reported for ${streamsText(silent)}`]),
  ].join(", ");
}

function lossLine(streams: readonly StreamResult[]): TotalLine {
  const known = streams.filter(isLossKnown);
  if (known.length === 0) return ["lost", "not known without all reports of both sides", true];
  const lost = known.reduce((total, { summary }) => total + (summary.udp?.packetsLost ?? 0), 0);
  const sent = known.reduce((total, { summary }) => total + (summary.udp?.packetsSent ?? 0), 0);
  const share = sent === 0 ? NOTHING : formatPercent(lost / sent);
  const unknown = streams.filter((stream) => !isLossKnown(stream)).map((stream) => stream.streamIndex);
  const scope = unknown.length === 0 ? "" : `, not known for ${streamsText(unknown)}`;
  return ["lost", `${lost} of ${sent} packets (${share})${scope}`, lost > 0];
}

function orderLines(udp: UdpSummary, clock: string): TotalLine[] {
  const { packetsOutOfOrder, packetsDuplicated, jitterAverageSeconds, jitterPacketsConsecutive } = udp;
  const jitter =
    jitterAverageSeconds === null
      ? "not measured: no two packets in order"
      : `${(jitterAverageSeconds * 1000).toFixed(3)} ms over ${jitterPacketsConsecutive} packets in order${clock}`;
  return [
    ["reordered", counted(packetsOutOfOrder, "packet"), packetsOutOfOrder > 0],
    ["duplicated", counted(packetsDuplicated, "packet"), packetsDuplicated > 0],
    ["jitter", jitter, false],
  ];
}

/** Whose clock the jitter was taken by, where a receiver told it. */
function clockText(streams: readonly StreamResult[]): string {
  const told = new Set(streams.flatMap(({ receiver }) => receiver.socket?.timestamps ?? []));
  const names = (["kernel", "user"] as const).filter((place) => told.has(place)).map((place) => PLACES[place]);
  return names.length === 0 ? "" : ` (${names.join(" and ")} times)`;
}

function blockedLine(summary: StreamSummary): TotalLine {
  return ["blocked", `${counted(summary.sendsBlocked, "time")} by a full send buffer`, false];
}

/** What is in force; sides that told nothing are left out. */
function socketLines({ config, streams }: TestResult): string[] {
  return streams.flatMap((stream) =>
    ROLES.flatMap((role) => {
      const { socket } = stream[role];
      if (socket === null) return [];
      return [`  stream ${stream.streamIndex}, ${roleText(role, config.reverse)}: ${factsText(socket)}`];
    }),
  );
}

function factsText({ offload, timestamps, pacing, writeBytes, ...socket }: SocketFacts): string {
  return [
    `send buffer ${sizeText(socket.sendBufferBytes)}`,
    `receive buffer ${sizeText(socket.receiveBufferBytes)}`,
    `CPU ${socket.affinityCpu ?? NOTHING}`,
    ...(writeBytes === null ? [] : [`up to ${writeBytes} B per write`]),
    ...(pacing === null ? [] : [`${PLACES[pacing]} pacing`]),
    ...(offload === null ? [] : [`offload ${offload ? "on" : "off"}`]),
    ...(timestamps === null ? [] : [`${PLACES[timestamps]} times`]),
  ].join(", ");
}

/** Why a result is not whole, then the sides concerned; sides with the same fate share a line. */
function incompleteLines({ success, outcome, reason, config, streams }: TestResult): string[] {
  if (success) return [];
  const streamsByFate = new Map<string, number[]>();
  for (const stream of streams) {
    for (const role of ROLES) {
      const side = stream[role];
      if (side.outcome === "completed") continue;
      const fate = `${roleText(role, config.reverse)} ${fateText(side)}`;
      streamsByFate.set(fate, [...(streamsByFate.get(fate) ?? []), stream.streamIndex]);
    }
  }
  const fates = [...streamsByFate].map(([fate, indices]) => `  ${streamsText(indices)}: ${fate}`);
  return [`incomplete: ${reason?.message ?? outcome}`, ...fates];
}

function fateText({ outcome, reason }: StreamSideResult): string {
  return reason === null ? outcome : `${outcome}: ${reason.message}`;
}

function roleText(role: Role, isReverse: boolean): string {
  return `${role} (${(role === "sender") === isReverse ? "server" : "client"})`;
}

/** "stream 3", "streams 0-3, 5"; indices ascend. */
function streamsText(indices: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const index of indices) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === index - 1) range[1] = index;
    else ranges.push([index, index]);
  }
  const text = ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(", ");
  return `${indices.length === 1 ? "stream" : "streams"} ${text}`;
}

function hasReported(stream: StreamResult, role: Role): boolean {
  return (role === "sender" ? stream.send : stream.receive).length > 0;
}

function secondsOf(summary: StreamSummary, role: Role): number {
  return role === "sender" ? summary.durationSendSeconds : summary.durationReceiveSeconds;
}

function sizeText(bytes: number | null): string {
  return bytes === null ? NOTHING : `${bytes} B`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

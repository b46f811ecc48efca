import type { DirectionResult, StreamResult, StreamSummary, UdpSummary } from "../results/types.ts";
import { formatBytes, formatPercent, formatRate, type RateUnit } from "../units.ts";
import { isLossKnown, rateOf } from "./rows.ts";
import { NOTHING } from "./table.ts";

export type Role = "sender" | "receiver";

/** How a text names who keeps the time. */
export const PLACES = { kernel: "kernel", user: "user-space" } as const;

interface TotalOptions {
  readonly format: RateUnit;
  readonly debug: boolean;
}

/** Name, text, and whether the line deserves attention. */
type TotalLine = readonly [name: string, text: string, isNotable: boolean];

/** The totals of one direction; a line without a name goes on with the one before. */
export function totalLines(result: DirectionResult, { format: unit, debug }: TotalOptions): TotalLine[] {
  const { summary, streams } = result;
  const { udp } = summary;
  const hasSent = streams.some((stream) => hasReported(stream, "sender"));
  const hasReceived = streams.some((stream) => hasReported(stream, "receiver"));
  const sent = { bytes: summary.bytesSent, packets: udp?.packetsSent ?? null };
  const received = { bytes: summary.bytesReceived, packets: udp?.packetsReceived ?? null };
  return [
    ["sent", volumeText(result, "sender", sent, unit), !hasSent],
    ["received", volumeText(result, "receiver", received, unit), !hasReceived],
    ...(udp === null ? [] : lossLines(streams, udp)),
    ...(udp === null || !hasReceived ? [] : orderLines(udp, debug ? clockText(streams) : "")),
    ...(hasSent ? [blockedLine(summary)] : []),
    ...undeliveredLines(summary),
    ...(udp === null ? [] : refusedLines(udp)),
  ];
}

/** What one side moved, over the time its longest stream took. */
function volumeText(
  { streams }: DirectionResult,
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

function lossLines(streams: readonly StreamResult[], udp: UdpSummary): TotalLine[] {
  const known = streams.filter(isLossKnown);
  if (known.length === 0) return [["lost", "not known without all reports of both sides", true]];
  const lost = known.reduce((total, { summary }) => total + (summary.udp?.packetsLost ?? 0), 0);
  const sent = known.reduce((total, { summary }) => total + (summary.udp?.packetsSent ?? 0), 0);
  const share = sent === 0 ? NOTHING : formatPercent(lost / sent);
  const unknown = streams.filter((stream) => !isLossKnown(stream)).map((stream) => stream.streamIndex);
  const scope = unknown.length === 0 ? "" : `, not known for ${streamsText(unknown)}`;
  const isLossy = lost > 0;
  const line: TotalLine = ["lost", `${lost} of ${sent} packets (${share})${scope}${burstsText(udp)}`, isLossy];
  const { packetsLostReceiveBuffer: inBuffer, packetsLostNetwork: inNetwork } = udp;
  if (!isLossy || inBuffer === null || inNetwork === null) return [line];
  return [line, ["", `of these ${inBuffer} in the receiver's buffer, ${inNetwork} in the network`, true]];
}

/** Empty without a loss, or where it is not told how they followed each other. */
function burstsText({ lossBursts, lossBurstLongest, lossBurstMean }: UdpSummary): string {
  if (lossBursts === null || lossBurstLongest === null || lossBurstMean === null) return "";
  return `, in ${counted(lossBursts, "burst")}, longest ${lossBurstLongest}, mean ${meanText(lossBurstMean)}`;
}

function orderLines(udp: UdpSummary, clock: string): TotalLine[] {
  const { packetsOutOfOrder, packetsDuplicated, jitterAverageSeconds, jitterPacketsConsecutive } = udp;
  const jitter =
    jitterAverageSeconds === null
      ? "not measured: no two packets in order"
      : `${(jitterAverageSeconds * 1000).toFixed(3)} ms over ${jitterPacketsConsecutive} packets in order${clock}`;
  const stray = udp.packetsStray ?? 0;
  return [
    ["reordered", `${counted(packetsOutOfOrder, "packet")}${extentText(udp)}`, packetsOutOfOrder > 0],
    ["duplicated", counted(packetsDuplicated, "packet"), packetsDuplicated > 0],
    ...(stray === 0
      ? []
      : [["stray", `${counted(stray, "datagram")} that no packet of this test can be`, true] as const]),
    ["jitter", jitter, false],
  ];
}

/** Empty where nothing was reordered, or its extent is not told. */
function extentText({ reorderExtentMax, reorderExtentMean }: UdpSummary): string {
  if (reorderExtentMax === null || reorderExtentMean === null) return "";
  return `, at most ${reorderExtentMax} late (mean ${meanText(reorderExtentMean)})`;
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

function undeliveredLines({ bytesUndelivered }: StreamSummary): TotalLine[] {
  const bytes = bytesUndelivered ?? 0;
  return bytes === 0 ? [] : [["undelivered", `${formatBytes(bytes)} more were handed to the sender's system`, true]];
}

function refusedLines({ sendsRefused }: UdpSummary): TotalLine[] {
  const refused = sendsRefused ?? 0;
  return refused === 0
    ? []
    : [["refused", `${counted(refused, "send")} by the sender's system, and tried again`, true]];
}

/** Two decimals at most: 1.5, 2, 1.33. */
function meanText(mean: number): string {
  return String(Number(mean.toFixed(2)));
}

/** "stream 3", "streams 0-3, 5"; indices ascend. */
export function streamsText(indices: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const index of indices) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === index - 1) range[1] = index;
    else ranges.push([index, index]);
  }
  const text = ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(", ");
  return `${indices.length === 1 ? "stream" : "streams"} ${text}`;
}

/** A receiver that keeps books tells of nothing too. */
function hasReported({ send, receive, summary }: StreamResult, role: Role): boolean {
  if (role === "sender") return send.length > 0;
  return receive.length > 0 || typeof summary.udp?.packetsStray === "number";
}

function secondsOf(summary: StreamSummary, role: Role): number {
  return role === "sender" ? summary.durationSendSeconds : summary.durationReceiveSeconds;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

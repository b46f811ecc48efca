import type { DirectionResult, Outage, SocketFacts, StreamSideResult, TestResult } from "../results/types.ts";
import { escapeControls } from "../safe-text.ts";
import { formatSeconds, type RateUnit } from "../units.ts";
import type { Paint } from "./paint.ts";
import { rowOfStream } from "./rows.ts";
import { createTable, NOTHING } from "./table.ts";
import { PLACES, type Role, streamsText, totalLines } from "./total-lines.ts";

interface SummaryOptions {
  readonly format: RateUnit;
  readonly debug: boolean;
  readonly paint: Paint;
}

/** Of the longest name of a total, and a gap. */
const NAME_WIDTH = 12;

const ROLES: readonly Role[] = ["sender", "receiver"];

/** The end of a text report, line by line; a result that is not whole says so in the last. */
export function renderSummary(result: TestResult, options: SummaryOptions): string[] {
  const { paint } = options;
  const { directions } = result;
  const ending = [
    ...result.outages.map((outage) => paint("warning", outageLine(outage, result.success))),
    ...(result.success ? [] : [paint("bad", outcomeLine(result))]),
  ];
  if (directions === null) return [...directionLines(result, "", options), ...ending];
  return [
    ...directionLines(directions.forward, "forward (client to server), ", options),
    "",
    ...directionLines(directions.reverse, "reverse (server to client), ", options),
    // What is true of both stands apart.
    ...(ending.length === 0 ? [] : ["", ...ending]),
  ];
}

function directionLines(result: DirectionResult, name: string, options: SummaryOptions): string[] {
  const { paint } = options;
  const several = result.streams.length > 1;
  return [
    paint("title", `${name}${titleOf(result)}`),
    ...(several ? streamLines(result, options) : []),
    ...totalLines(result, options).map(([total, text, isNotable]) => {
      const line = `  ${total.padEnd(NAME_WIDTH)}${text}`;
      return isNotable ? paint("warning", line) : line;
    }),
    ...(options.debug ? socketLines(result).map((line) => paint("quiet", line)) : []),
    ...fateLines(result).map((line) => paint("bad", line)),
  ];
}

function titleOf({ config, streams }: DirectionResult): string {
  const streamCount = streams.length === 1 ? "1 stream" : `${streams.length} streams`;
  const omitted = config.omitSeconds === 0 ? "" : `, without the first ${config.omitSeconds} s`;
  return `total of ${streamCount}${omitted}`;
}

function streamLines(result: DirectionResult, { format, paint }: SummaryOptions): string[] {
  const table = createTable(result.config, format);
  return [paint("quiet", table.header), ...result.streams.map((stream) => table.line(rowOfStream(stream)))];
}

/** What is in force; sides that told nothing are left out. */
function socketLines({ config, streams }: DirectionResult): string[] {
  return streams.flatMap((stream) =>
    ROLES.flatMap((role) => {
      const { socket } = stream[role];
      if (socket === null) return [];
      return [`  stream ${stream.streamIndex}, ${roleText(role, config.reverse)}: ${factsText(socket)}`];
    }),
  );
}

function factsText(facts: SocketFacts): string {
  const { writeBytes, pacing, offload, timestamps, congestion, maxSegmentBytes, dscp } = facts;
  return [
    `send buffer ${sizeText(facts.sendBufferBytes)}`,
    `receive buffer ${sizeText(facts.receiveBufferBytes)}`,
    `CPU ${facts.affinityCpu ?? NOTHING}`,
    ...(writeBytes === null ? [] : [`up to ${writeBytes} B per write`]),
    ...(pacing === null ? [] : [`${PLACES[pacing]} pacing`]),
    ...(offload === null ? [] : [`offload ${offload ? "on" : "off"}`]),
    ...(timestamps === null ? [] : [`${PLACES[timestamps]} times`]),
    ...(congestion === null ? [] : [`congestion ${escapeControls(congestion)}`]),
    ...(maxSegmentBytes === null ? [] : [`MSS ${maxSegmentBytes} B`]),
    ...(dscp === null ? [] : [`DSCP ${dscp}`]),
  ].join(", ");
}

/** The sides that did not complete; those with the same fate share a line. */
function fateLines({ config, streams }: DirectionResult): string[] {
  const streamsByFate = new Map<string, number[]>();
  for (const stream of streams) {
    for (const role of ROLES) {
      const side = stream[role];
      if (side.outcome === "completed") continue;
      const fate = `${roleText(role, config.reverse)} ${fateText(side)}`;
      streamsByFate.set(fate, [...(streamsByFate.get(fate) ?? []), stream.streamIndex]);
    }
  }
  return [...streamsByFate].map(([fate, indices]) => `  ${streamsText(indices)}: ${fate}`);
}

function outageLine({ startSeconds, durationSeconds }: Outage, isWhole: boolean): string {
  const missed = isWhole ? "; nothing was missed" : "";
  return `control connection lost for ${formatSeconds(durationSeconds)} at ${formatSeconds(startSeconds)}${missed}`;
}

function outcomeLine({ outcome, reason }: TestResult): string {
  return `${outcome}: ${reason === null ? "for no reason told" : escapeControls(reason.message)} (the result is incomplete)`;
}

function fateText({ outcome, reason }: StreamSideResult): string {
  return reason === null ? outcome : `${outcome}: ${escapeControls(reason.message)}`;
}

function roleText(role: Role, isReverse: boolean): string {
  return `${role} (${(role === "sender") === isReverse ? "server" : "client"})`;
}

function sizeText(bytes: number | null): string {
  return bytes === null ? NOTHING : `${bytes} B`;
}

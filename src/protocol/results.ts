import type { Interval, OmittedReceive, OmittedSend } from "../stats/interval.ts";
import type { Fields } from "./fields.ts";

const MOST = Number.MAX_SAFE_INTEGER;

/** One interval as a `results` message of the server; the spellings are the original's, `omitted` is ours. */
export function encodeInterval(streamIndex: number, interval: Interval): object {
  return {
    kind: interval.kind,
    family: interval.family,
    stream_idx: streamIndex,
    timestamp: interval.timestampSeconds,
    duration: interval.durationSeconds,
    ...encodeCounters(interval),
  };
}

function encodeCounters(interval: Interval): object {
  if (interval.kind === "send") {
    const common = { bytes_sent: interval.bytesSent, sends_blocked: interval.sendsBlocked };
    const packets = interval.family === "udp" ? { packets_sent: interval.packetsSent } : {};
    return { ...common, ...packets, ...(interval.omitted ? { omitted: encodeOmittedSend(interval.omitted) } : {}) };
  }
  if (interval.family === "tcp") return { bytes_received: interval.bytesReceived };
  return {
    bytes_received: interval.bytesReceived,
    packets_received: interval.packetsReceived,
    packets_lost: interval.packetsLost,
    packets_out_of_order: interval.packetsOutOfOrder,
    packets_duplicated: interval.packetsDuplicated,
    unbroken_sequence: interval.unbrokenSequence,
    jitter_seconds: interval.jitterSeconds,
    ...(interval.omitted ? { omitted: encodeOmittedReceive(interval.omitted) } : {}),
  };
}

function encodeOmittedSend(omitted: OmittedSend): object {
  return {
    duration: omitted.durationSeconds,
    bytes_sent: omitted.bytesSent,
    packets_sent: omitted.packetsSent,
    sends_blocked: omitted.sendsBlocked,
  };
}

function encodeOmittedReceive(omitted: OmittedReceive): object {
  return {
    duration: omitted.durationSeconds,
    bytes_received: omitted.bytesReceived,
    packets_received: omitted.packetsReceived,
    packets_out_of_order: omitted.packetsOutOfOrder,
    packets_duplicated: omitted.packetsDuplicated,
  };
}

/** The interval that a `results` message tells of; throws `peer-protocol` naming the field. */
export function decodeInterval(fields: Fields, kind: "send" | "receive"): Interval {
  const family = fields.choice("family", ["tcp", "udp"]);
  const common = {
    timestampSeconds: fields.number("timestamp", 0, MOST),
    durationSeconds: fields.number("duration", 0, MOST),
  };
  if (kind === "send") {
    const sent = { ...common, kind, bytesSent: count(fields, "bytes_sent"), sendsBlocked: blocked(fields) };
    const omitted = fields.has("omitted") ? { omitted: decodeOmittedSend(fields.object("omitted")) } : {};
    if (family === "tcp") return { ...sent, family, ...omitted };
    return { ...sent, family, packetsSent: count(fields, "packets_sent"), ...omitted };
  }
  if (family === "tcp") return { ...common, kind, family, bytesReceived: count(fields, "bytes_received") };
  return {
    ...common,
    kind,
    family,
    bytesReceived: count(fields, "bytes_received"),
    packetsReceived: count(fields, "packets_received"),
    packetsLost: lost(fields),
    packetsOutOfOrder: count(fields, "packets_out_of_order"),
    packetsDuplicated: count(fields, "packets_duplicated"),
    unbrokenSequence: count(fields, "unbroken_sequence"),
    jitterSeconds: jitter(fields),
    ...(fields.has("omitted") ? { omitted: decodeOmittedReceive(fields.object("omitted")) } : {}),
  };
}

function count(fields: Fields, name: string): number {
  return fields.integer(name, 0, MOST);
}

/** Absent from older peers. */
function blocked(fields: Fields): number {
  return fields.has("sends_blocked") ? count(fields, "sends_blocked") : 0;
}

/** The original goes below zero, or wraps around to 2^64, when duplicates outnumber what is missing. */
function lost(fields: Fields): number {
  const told = fields.integer("packets_lost", -(2 ** 64), 2 ** 64);
  return told < 0 || told > MOST ? 0 : told;
}

function jitter(fields: Fields): number | null {
  return fields.isNull("jitter_seconds") ? null : fields.number("jitter_seconds", 0, MOST);
}

function decodeOmittedSend(fields: Fields): OmittedSend {
  return {
    durationSeconds: fields.number("duration", 0, MOST),
    bytesSent: count(fields, "bytes_sent"),
    packetsSent: count(fields, "packets_sent"),
    sendsBlocked: count(fields, "sends_blocked"),
  };
}

function decodeOmittedReceive(fields: Fields): OmittedReceive {
  return {
    durationSeconds: fields.number("duration", 0, MOST),
    bytesReceived: count(fields, "bytes_received"),
    packetsReceived: count(fields, "packets_received"),
    packetsOutOfOrder: count(fields, "packets_out_of_order"),
    packetsDuplicated: count(fields, "packets_duplicated"),
  };
}

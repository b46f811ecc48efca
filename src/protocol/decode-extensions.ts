import { isCongestionName } from "../config/checks.ts";
import { OFFLOAD_MODES, PACINGS, WRITE_SIZES } from "../config/choices.ts";
import {
  MAX_BANDWIDTH_BYTES_PER_SECOND,
  MAX_DSCP,
  MAX_DURATION_SECONDS,
  MAX_INTERVAL_SECONDS,
  MAX_KEY_ID_CHARACTERS,
  MAX_OMIT_SECONDS,
  MAX_RESUME_TIMEOUT_SECONDS,
  MAX_SEGMENT_BYTES,
  MAX_WAIT_SECONDS,
  MIN_INTERVAL_SECONDS,
  MIN_SEGMENT_BYTES,
  REPORT_INTERVAL_SECONDS,
} from "../config/limits.ts";
import { RperfError } from "../errors.ts";
import type { Fields } from "./fields.ts";
import {
  type AuthOffer,
  type DownloadExtensions,
  type Extensions,
  NONCE_BYTES,
  type OfferedExtensions,
  type PathExtensions,
  type ResumeGrant,
  type UploadExtensions,
} from "./messages.ts";

const MAX_PORT = 65_535;
const MAX_TOKEN_CHARACTERS = 128;

/** Null from an original peer. */
export function decodeExtensions<Decoded>(fields: Fields, decode: (extensions: Fields) => Decoded): Decoded | null {
  return fields.has("extensions") ? decode(fields.object("extensions")) : null;
}

/** What a client offers in a configuration of role download. */
export function decodeDownloadExtensions(extensions: Fields): DownloadExtensions {
  return {
    ...decodeOffer(extensions),
    bandwidthBytesPerSecond: ifTold(extensions, "bandwidth", (name) =>
      extensions.number(name, 0, MAX_BANDWIDTH_BYTES_PER_SECOND),
    ),
    durationSeconds: ifTold(extensions, "duration", (name) => extensions.number(name, 0, MAX_DURATION_SECONDS)),
  };
}

/** The same of role upload. */
export function decodeUploadExtensions(extensions: Fields): UploadExtensions {
  return {
    ...decodeOffer(extensions),
    // An older client of ours knows of slices and of its length alone.
    pacing: extensions.has("pacing") ? extensions.choice("pacing", PACINGS) : "slices",
    writeSize: extensions.has("write_size") ? extensions.choice("write_size", WRITE_SIZES) : "length",
    clientDials: isClientDialling(extensions),
  };
}

/** What a server grants; `streams` is how many were asked for. */
export function decodeAnswered(extensions: Fields, streams: number): Extensions {
  return {
    version: extensions.integer("version", 1, Number.MAX_SAFE_INTEGER),
    omitSeconds: decodeOmit(extensions),
    accounting: isOn(extensions, "accounting"),
    singlePort: isOn(extensions, "single_port"),
    dialPorts: isClientDialling(extensions) ? extensions.integers("stream_ports", streams, 1, MAX_PORT) : null,
    resume: ifTold(extensions, "resume", (name) => decodeResume(extensions.object(name))),
    intervalSeconds: decodeInterval(extensions),
  };
}

function decodeResume(fields: Fields): ResumeGrant {
  const token = ifTold(fields, "token", (name) => fields.string(name));
  if (token === null || token.length <= MAX_TOKEN_CHARACTERS) return { token };
  throw new RperfError("peer-protocol", `token must have at most ${MAX_TOKEN_CHARACTERS} characters`);
}

function decodeOffer(extensions: Fields): OfferedExtensions {
  return {
    version: extensions.integer("version", 1, Number.MAX_SAFE_INTEGER),
    omitSeconds: decodeOmit(extensions),
    offload: extensions.has("offload") ? extensions.choice("offload", OFFLOAD_MODES) : "auto",
    accounting: isOn(extensions, "accounting"),
    singlePort: isOn(extensions, "single_port"),
    resumeTimeoutSeconds: ifTold(extensions, "resume", (name) =>
      extensions.object(name).number("timeout", 0, MAX_RESUME_TIMEOUT_SECONDS),
    ),
    intervalSeconds: decodeInterval(extensions),
    path: ifTold(extensions, "path", (name) => decodePath(extensions.object(name))) ?? NO_PATH,
    waitSeconds: ifTold(extensions, "wait", (name) => extensions.number(name, 0, MAX_WAIT_SECONDS)),
    auth: ifTold(extensions, "auth", (name) => decodeAuth(extensions.object(name))),
  };
}

/** A key id that cannot be is answered as an unknown one. */
function decodeAuth(auth: Fields): AuthOffer {
  const keyId = auth.string("key_id");
  if (keyId.length > MAX_KEY_ID_CHARACTERS) {
    const message = `extensions.auth.key_id must have at most ${MAX_KEY_ID_CHARACTERS} characters`;
    throw new RperfError("peer-protocol", message);
  }
  return { keyId, nonce: auth.bytes("nonce", NONCE_BYTES) };
}

const NO_PATH: PathExtensions = { congestion: null, dscp: null, maxSegmentBytes: null };

function decodePath(path: Fields): PathExtensions {
  return {
    congestion: ifTold(path, "congestion", (name) => decodeCongestion(path.string(name))),
    dscp: ifTold(path, "dscp", (name) => path.integer(name, 0, MAX_DSCP)),
    maxSegmentBytes: ifTold(path, "mss", (name) => path.integer(name, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)),
  };
}

/** The name is handed to the system, and told in messages. */
function decodeCongestion(name: string): string {
  if (isCongestionName(name)) return name;
  throw new RperfError("peer-protocol", "extensions.path.congestion must be the name of a congestion control");
}

function decodeOmit(extensions: Fields): number {
  return extensions.has("omit_seconds") ? extensions.integer("omit_seconds", 0, MAX_OMIT_SECONDS) : 0;
}

function decodeInterval(extensions: Fields): number {
  if (!extensions.has("interval")) return REPORT_INTERVAL_SECONDS;
  return extensions.number("interval", MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS);
}

/** The one way there is to dial otherwise than as in 0.1.8. */
function isClientDialling(extensions: Fields): boolean {
  return extensions.has("dial") && extensions.choice("dial", ["client", "server"]) === "client";
}

function isOn(extensions: Fields, name: string): boolean {
  return extensions.has(name) && extensions.boolean(name);
}

function ifTold<Value>(fields: Fields, name: string, read: (name: string) => Value): Value | null {
  return fields.has(name) ? read(name) : null;
}

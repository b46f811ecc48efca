import { notSupported, socketCalls } from "./libc.ts";
import { readInteger, setInteger, setOption, TCP_LEVEL } from "./option-calls.ts";
import { type Outcome, platform } from "./platform.ts";

/** Makes the calls of this file ready on the calling thread, which takes some milliseconds the first time. */
export function loadSocketCalls(): void {
  socketCalls();
}

export type BufferDirection = "send" | "receive";

/** Asks for SO_SNDBUF or SO_RCVBUF of an open socket; the system may grant less or more (read it back). */
export function setSocketBuffer(fd: number, direction: BufferDirection, bytes: number): Outcome<null> {
  return setInteger(fd, platform.socketLevel, bufferOption(direction), bytes, `setting the ${direction} buffer`);
}

/** SO_SNDBUF or SO_RCVBUF in force, in bytes; Linux tells twice the usable size (socket(7)). */
export function readSocketBuffer(fd: number, direction: BufferDirection): Outcome<number> {
  return readInteger(fd, platform.socketLevel, bufferOption(direction), `reading the ${direction} buffer`);
}

/**
 * Bounds how long a TCP connection outlives a peer that vanished without a packet: about `seconds`, whether data is
 * unacknowledged (TCP_USER_TIMEOUT, tcp(7)) or the connection is idle (keepalive must be on already).
 */
export function limitSilence(fd: number, seconds: number): Outcome<null> {
  const options = platform.keepalive;
  if (options === null) return notSupported("bounding a silent connection");
  const idleSeconds = Math.max(1, Math.floor(seconds / 2));
  const settings: readonly (readonly [number, number])[] = [
    [options.idleSeconds, idleSeconds],
    [options.intervalSeconds, 1],
    [options.probes, Math.max(1, seconds - idleSeconds)],
    [options.unacknowledged.option, seconds * options.unacknowledged.unitsPerSecond],
  ];
  for (const [option, value] of settings) {
    const outcome = setInteger(fd, TCP_LEVEL, option, value, "bounding a silent connection");
    if (!outcome.ok) return outcome;
  }
  return { ok: true, value: null };
}

/**
 * Bounds what a TCP socket takes before it is sent (TCP_NOTSENT_LOWAT, tcp(7)): a writer then runs ahead of the network
 * by no more than this, however large the send buffer grows.
 */
export function limitUnsent(fd: number, bytes: number): Outcome<null> {
  const option = platform.unsentLimitOption;
  if (option === null) return notSupported("bounding unsent data");
  return setInteger(fd, TCP_LEVEL, option, bytes, "bounding unsent data");
}

/** Splits what is sent at once into packets of `bytes` each (UDP_SEGMENT, udp(7)); 0 turns it off. */
export function setUdpSegmentation(fd: number, bytes: number): Outcome<null> {
  const what = "splitting UDP packets";
  const options = platform.directIo?.udp;
  return options === undefined ? notSupported(what) : setInteger(fd, options.level, options.segment, bytes, what);
}

/** Lets one read give many packets of a sender, one behind the other (UDP_GRO, udp(7)). */
export function enableUdpReceiveOffload(fd: number): Outcome<null> {
  const what = "gathering UDP packets";
  const options = platform.directIo?.udp;
  return options === undefined ? notSupported(what) : setInteger(fd, options.level, options.receiveOffload, 1, what);
}

/** Lets each read tell when the packet arrived (SO_TIMESTAMPNS, socket(7)). */
export function enableArrivalTimes(fd: number): Outcome<null> {
  const what = "telling arrival times";
  const option = platform.directIo?.arrivalTimes;
  return option === undefined ? notSupported(what) : setInteger(fd, platform.socketLevel, option, 1, what);
}

/** Has the kernel spread a TCP connection's segments at this rate (SO_MAX_PACING_RATE, socket(7)). */
export function limitPacingRate(fd: number, bytesPerSecond: number): Outcome<null> {
  const what = "pacing by the kernel";
  const option = platform.directIo?.pacingRate;
  if (option === undefined) return notSupported(what);
  // An unsigned long; little-endian, as every system with this call that Bun runs on.
  const rate = new Uint32Array([bytesPerSecond % 2 ** 32, Math.floor(bytesPerSecond / 2 ** 32)]);
  return setOption(fd, platform.socketLevel, option, rate, what);
}

function bufferOption(direction: BufferDirection): number {
  return direction === "send" ? platform.sendBufferOption : platform.receiveBufferOption;
}

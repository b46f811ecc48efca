import { pinThread, threadCpus } from "../../ffi/affinity.ts";
import { localEndpoint } from "../../ffi/open-socket.ts";
import { readCongestionControl, readDscp, readSegmentLimit } from "../../ffi/path-options.ts";
import type { Outcome } from "../../ffi/platform.ts";
import { type BufferDirection, readSocketBuffer, setSocketBuffer } from "../../ffi/sockopt.ts";
import { ipVersionOf, unmapAddress } from "../protocol/address.ts";
import type { SocketFacts } from "../results/types.ts";
import type { Emit, ReceiverSpec, SenderSpec, StreamSpec } from "./spec.ts";

/** Binds the stream's thread to the CPU of its spec; a refusal is a warning, the stream goes on. */
export function bindThread(spec: StreamSpec, emit: Emit): void {
  if (spec.affinityCpu === null) return;
  const outcome = pinThread(spec.affinityCpu);
  if (!outcome.ok) emit({ type: "warning", message: outcome.message });
}

/** Facts of a side that tells these alone. */
function factsOf(told: Partial<SocketFacts>): SocketFacts {
  return {
    sendBufferBytes: null,
    receiveBufferBytes: null,
    affinityCpu: null,
    offload: null,
    timestamps: null,
    pacing: null,
    writeBytes: null,
    congestion: null,
    dscp: null,
    maxSegmentBytes: null,
    ...told,
  };
}

/** Sets the send buffer if the spec asks for one, and tells what is in force. */
export function grantSendBuffer(fd: number | null, spec: SenderSpec, known: Partial<SocketFacts>, emit: Emit): void {
  setBuffer(fd, "send", spec.sendBufferBytes, emit);
  tell(fd, { ...known, sendBufferBytes: readBuffer(fd, "send") }, spec, emit);
}

/** Sets the receive buffer if the spec asks for one, and tells what is in force. */
export function grantReceiveBuffer(
  fd: number | null,
  spec: ReceiverSpec,
  known: Partial<SocketFacts>,
  emit: Emit,
): void {
  setBuffer(fd, "receive", spec.receiveBufferBytes, emit);
  tellReceiveBuffer(fd, spec, known, emit);
}

/** Tells of a receiver's buffer as it is now: an accepted socket's may differ from its listener's. */
export function tellReceiveBuffer(
  fd: number | null,
  spec: ReceiverSpec,
  known: Partial<SocketFacts>,
  emit: Emit,
): void {
  tell(fd, { ...known, receiveBufferBytes: readBuffer(fd, "receive") }, spec, emit);
}

function tell(fd: number | null, known: Partial<SocketFacts>, spec: StreamSpec, emit: Emit): void {
  const path = fd === null ? {} : pathFacts(fd, spec.family);
  emit({ type: "socket", facts: factsOf({ affinityCpu: boundCpu(spec), ...path, ...known }) });
}

/** How packets of this socket go their way, as read back. */
function pathFacts(fd: number, family: "tcp" | "udp"): Partial<SocketFacts> {
  const local = localEndpoint(fd);
  const ipVersion = local.ok && ipVersionOf(unmapAddress(local.value.address)) === 6 ? 6 : 4;
  const dscp = valueOf(readDscp(fd, ipVersion));
  if (family === "udp") return { dscp };
  return { dscp, congestion: valueOf(readCongestionControl(fd)), maxSegmentBytes: valueOf(readSegmentLimit(fd)) };
}

function valueOf<Value>(outcome: Outcome<Value>): Value | null {
  return outcome.ok ? outcome.value : null;
}

/** Raises the receive buffer to `bytes`, as far as the system allows; a larger one stays. */
export function raiseReceiveBuffer(fd: number | null, bytes: number, emit: Emit): void {
  const presentBytes = readBuffer(fd, "receive");
  if (presentBytes !== null && presentBytes < bytes) setBuffer(fd, "receive", bytes, emit);
}

function setBuffer(fd: number | null, direction: BufferDirection, askedBytes: number, emit: Emit): void {
  if (fd === null || askedBytes === 0) return;
  const outcome = setSocketBuffer(fd, direction, askedBytes);
  if (!outcome.ok) emit({ type: "warning", message: outcome.message });
}

/** What is in force, in bytes; null where the system does not tell. */
export function readBuffer(fd: number | null, direction: BufferDirection): number | null {
  if (fd === null) return null;
  const granted = readSocketBuffer(fd, direction);
  return granted.ok ? granted.value : null;
}

/** The one CPU that this thread may run on, as the system tells it; null when there are several, or it cannot tell. */
function boundCpu(spec: StreamSpec): number | null {
  if (spec.affinityCpu === null) return null;
  const cpus = threadCpus();
  return cpus.ok && cpus.value.length === 1 ? (cpus.value[0] ?? null) : null;
}

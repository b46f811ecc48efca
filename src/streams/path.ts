import { closeDescriptor, openSocket } from "../../ffi/open-socket.ts";
import type { Outcome } from "../../ffi/platform.ts";
import { bindToDevice, limitSegment, setCongestionControl, setDscp } from "../../ffi/path-options.ts";
import { RperfError } from "../errors.ts";
import { ipVersionOf, unmapAddress } from "../protocol/address.ts";
import type { HandedEndpoint, PathSpec, StreamSpec } from "./spec.ts";

const NOWHERE = { localAddress: null, localPort: 0, device: null } as const;

/** A socket at the control port, beside the main thread's. */
export function boundTo({ localAddress, localPort }: HandedEndpoint, path: PathSpec): PathSpec {
  return { ...path, localAddress, localPort };
}

/**
 * Asks a socket for nothing but that, so that a refusal comes before the test: a sender that connects does so when it
 * starts. Throws `bind-failed` or `option-refused`.
 */
export function checkPath({ path, family, endpoint }: StreamSpec): void {
  if (path.congestion === null && path.dscp === null && !hasOwnName(path)) return;
  const isBound = endpoint.type === "connect";
  const { localAddress, localPort, device } = isBound ? path : NOWHERE;
  const address = isBound ? endpoint.address : "0.0.0.0";
  const ipVersion = ipVersionOf(address);
  const probe = openSocket({ transport: family, ipVersion, localAddress, localPort, device, reusePort: false });
  if (!probe.ok) throw new RperfError("bind-failed", probe.message);
  try {
    applyPathBeforeConnect(probe.value, path);
    applyPath(probe.value, family, address, path);
  } finally {
    closeDescriptor(probe.value);
  }
}

/** Whether a socket must be bound, or told something, before it connects. */
export function hasOwnName({ localAddress, localPort, device, maxSegmentBytes }: PathSpec): boolean {
  return localAddress !== null || localPort !== 0 || device !== null || maxSegmentBytes !== null;
}

/** The segment size is told to the peer in the handshake. */
export function applyPathBeforeConnect(fd: number, { maxSegmentBytes }: PathSpec): void {
  if (maxSegmentBytes !== null) demand(limitSegment(fd, maxSegmentBytes));
}

/** What connections inherit from their listener. */
export function applyPathToListener(fd: number, path: PathSpec): void {
  if (path.device !== null) demand(bindToDevice(fd, path.device));
  applyPathBeforeConnect(fd, path);
}

/** What an open socket can be asked for. Throws `option-refused`. */
export function applyPath(fd: number, family: "tcp" | "udp", peerAddress: string, path: PathSpec): void {
  const { congestion, dscp } = path;
  if (congestion !== null && family === "tcp") demand(setCongestionControl(fd, congestion));
  if (dscp !== null) demand(setDscp(fd, ipVersionOf(unmapAddress(peerAddress)), dscp));
}

/** What was asked for must be had: a test under other conditions would be another test. */
function demand(outcome: Outcome<null>): void {
  if (!outcome.ok) throw new RperfError("option-refused", outcome.message);
}

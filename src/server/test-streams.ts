import { ipVersionOf, receiverBindAddress } from "../protocol/address.ts";
import type { Configuration } from "../protocol/messages.ts";
import type { Endpoint, StreamSpec } from "../streams/spec.ts";
import type { SessionContext } from "./context.ts";
import type { Grant } from "./grant.ts";
import { receiverSpec, senderSpec } from "./stream-specs.ts";

/** Where the ends of the control connection are. */
interface Ends {
  readonly localAddress: string;
  readonly remoteAddress: string;
}

type Dealers = Pick<SessionContext, "cpus" | "ports" | "device" | "controlPort">;

/** All streams of a configuration, in order, with CPUs and ports dealt. */
export function specsOf(configuration: Configuration, grant: Grant, ends: Ends, dealers: Dealers): StreamSpec[] {
  return Array.from({ length: configuration.streams }, (_, streamIndex) => {
    const affinityCpu = dealers.cpus.next();
    const endpoint = endpointOf(configuration, grant, streamIndex, ends, dealers);
    const place = { streamIndex, affinityCpu, endpoint, device: dealers.device, grant };
    return configuration.role === "upload" ? senderSpec(configuration, place) : receiverSpec(configuration, place);
  });
}

function endpointOf(
  configuration: Configuration,
  grant: Grant,
  streamIndex: number,
  { localAddress, remoteAddress }: Ends,
  { ports, controlPort }: Dealers,
): Endpoint {
  const bindAddress = receiverBindAddress(localAddress);
  if (grant.singlePort) return { type: "handed", localAddress: bindAddress, localPort: controlPort() };
  if (configuration.role === "upload" && !grant.clientDials) {
    return { type: "connect", address: remoteAddress, port: configuration.streamPorts[streamIndex] ?? 0 };
  }
  const choice = ports.next(configuration.family, ipVersionOf(bindAddress));
  // Data goes to the client alone, whoever knows the test id.
  const peerAddress = configuration.role === "upload" ? remoteAddress : null;
  return { type: "listen", bindAddress, ports: choice.ports, firstChoice: choice.firstChoice, peerAddress };
}

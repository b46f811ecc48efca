// Which ports a process has open, as ss(8) of iproute2 tells: everything but what waits after its close.
import { execute, type Namespace } from "./netns.ts";

export interface OpenSocket {
  readonly family: "tcp" | "udp";
  readonly localPort: number;
  /** 0 = of a listener, or of a UDP socket that is not connected. */
  readonly peerPort: number;
}

export function socketsOf(pid: number, namespace?: Namespace): readonly OpenSocket[] {
  const command = ["ss", "-tuanpH"];
  const listed = execute(namespace === undefined ? command : namespace.command(command));
  return listed.split("\n").flatMap((line) => {
    if (!line.includes(`pid=${pid},`)) return [];
    const [family, , , , local = "", peer = ""] = line.split(/\s+/);
    const portOf = (name: string) => Number(name.slice(name.lastIndexOf(":") + 1)) || 0;
    return [{ family: family === "udp" ? "udp" : "tcp", localPort: portOf(local), peerPort: portOf(peer) }];
  });
}

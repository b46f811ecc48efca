// What Linux tells of a process and of its ports (proc(5)).
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Family } from "../../src/config/types.ts";

/** The unit of the times in /proc/PID/stat; USER_HZ is 100 on every architecture that Bun runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time so far, of all its threads, ended ones too, and of the children that it has waited for. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field, the name in parentheses, may hold anything; the third follows its last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(14 - 3, 17 - 3 + 1).map(Number); // utime, stime, cutime, cstime: fields 14 to 17
  return ticks.reduce((sum, count) => sum + count, 0) / TICKS_PER_SECOND;
}

/** Resident memory, in megabytes of 10⁶ bytes; none once it has ended. */
export function residentMegabytesOf(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return (Number(kibibytes ?? 0) * 1024) / 1e6;
  } catch {
    return 0;
  }
}

/*
 * "sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …"; ports and state are
 * hexadecimal.
 */
const SOCKET_LINE =
  /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+) /gm;

interface SocketEntry {
  readonly port: number;
  readonly state: string;
  readonly inode: string;
}

/** The sockets of the system as that process sees it, of both IP versions. */
function socketsOf(family: Family, pid: number | "self" = "self"): SocketEntry[] {
  return [family, `${family}6`].flatMap((table) => {
    const file = `/proc/${pid}/net/${table}`;
    if (!existsSync(file)) return []; // no IPv6 here, or the process has ended
    return [...readFileSync(file, "utf8").matchAll(SOCKET_LINE)].map(([, port = "", state = "", inode = ""]) => ({
      port: Number.parseInt(port, 16),
      state,
      inode,
    }));
  });
}

/** include/net/tcp_states.h: a UDP socket without a peer shows as closed. */
const WAITING_STATE: Readonly<Record<Family, string>> = { tcp: "0A", udp: "07" };

/**
 * Whether some socket waits on the port; found out without disturbing it by a connection. A process in another network
 * namespace tells of that one's.
 */
export function isPortOpen(port: number, family: Family, pid?: number): boolean {
  return socketsOf(family, pid).some((socket) => socket.port === port && socket.state === WAITING_STATE[family]);
}

/** The local ports of the sockets that a process holds; none when it has ended. */
export function portsHeldBy(pid: number, family: Family): number[] {
  const inodes = new Set(socketInodesOf(pid));
  return socketsOf(family).flatMap(({ inode, port }) => (inodes.has(inode) ? [port] : []));
}

/** The inodes of a process's sockets. */
function socketInodesOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((descriptor) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${descriptor}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return []; // the process has ended
  }
}

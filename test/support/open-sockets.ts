import { readdirSync, readlinkSync } from "node:fs";

/** The sockets that this process holds, all its threads together; -1 where the system does not tell. */
export function openSockets(): number {
  if (process.platform !== "linux") return -1;
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // Closed meanwhile, such as the one that lists the folder.
      return false;
    }
  }).length;
}

import { platform } from "../../ffi/platform.ts";

/** Whether sockets can be made, handed over and read past Bun here; else tests run as in 0.1.8. */
export function hasOwnSockets(): boolean {
  return platform.rawSockets !== null && platform.directIo !== null;
}

import { closeDescriptor } from "../../ffi/open-socket.ts";
import type { Handed } from "./spec.ts";

/** Nobody takes what came to the control port: a connection's descriptor has no other owner. */
export function letGo(handed: Handed): void {
  if (handed.family === "tcp") closeDescriptor(handed.descriptor);
}

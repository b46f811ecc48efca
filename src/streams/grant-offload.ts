import type { Outcome } from "../../ffi/platform.ts";
import type { OffloadMode } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { Emit } from "./spec.ts";

/** Whether the system granted UDP offload. Throws `offload-refused` where it was to be on, else tells why it is not. */
export function grantOffload(granted: Outcome<null>, mode: OffloadMode, emit: Emit): boolean {
  if (granted.ok) return true;
  const message = `no UDP offload here: ${granted.message}`;
  if (mode === "on") throw new RperfError("offload-refused", message);
  emit({ type: "debug", message });
  return false;
}

import type { AuthMode, TestDirection } from "./policy.ts";
import type { DialMode, Family, OffloadMode, Pacing, WriteSize } from "./types.ts";

/** All the values of each type, as the command line and the wire spell them. */
export const OFFLOAD_MODES = ["auto", "on", "off"] as const satisfies readonly OffloadMode[];
export const DIAL_MODES = ["client", "legacy"] as const satisfies readonly DialMode[];
export const PACINGS = ["even", "slices"] as const satisfies readonly Pacing[];
export const WRITE_SIZES = ["auto", "length"] as const satisfies readonly WriteSize[];
export const AUTH_MODES = ["off", "optional", "required"] as const satisfies readonly AuthMode[];
export const TEST_DIRECTIONS = ["forward", "reverse"] as const satisfies readonly TestDirection[];
export const FAMILIES = ["tcp", "udp"] as const satisfies readonly Family[];

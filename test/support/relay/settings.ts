// What a relay is told and what it tells: shared by relay.ts and the process it starts, relay-child.ts.

/** Which packets; what is not named is not asked for. */
export interface Match {
  readonly protocol?: "udp" | "tcp";
  /** Of either end. */
  readonly port?: number;
  /** What UDP or TCP carries. Fragments behind the first belong to no port and carry nothing. */
  readonly minPayloadBytes?: number;
  readonly maxPayloadBytes?: number;
}

/** UDP data packets of rperf: test id, packet id and time take 36 bytes. Hello (24) and end marker (16) are smaller. */
export const DATA_PACKETS: Match = { protocol: "udp", minPayloadBytes: 36 };

/** What happens to the packets that match. Shares lie between 0 and 1. */
export interface Rule {
  /** The relay's data packets unless told. */
  readonly match?: Match;
  readonly dropShare?: number;
  /** Tail drop: every data packet whose rperf packet id is this or higher. */
  readonly dropFromId?: number;
  /** Tail drop for any tool: of each flow all data packets behind the first so many. */
  readonly dropBehind?: number;
  /** The copy follows at once; a packet that is dropped has none. */
  readonly duplicateShare?: number;
  /** Held back until `reorderBy` later packets of its flow passed it (3 unless told), `reorderWithinMs` (100) at most. */
  readonly reorderShare?: number;
  readonly reorderBy?: number;
  readonly reorderWithinMs?: number;
}

/** One direction. */
export interface LinkSettings {
  /** Of every packet. */
  readonly delayMs?: number;
  /** Added to each packet's delay, between 0 and this; packets stay in order all the same. */
  readonly jitterMs?: number;
  /** Times in which nothing passes, from when the settings arrive. */
  readonly blackHoles?: readonly { readonly afterMs: number; readonly forMs: number }[];
  /** The first one that matches a packet is what happens to it. */
  readonly rules?: readonly Rule[];
}

export type Side = "toRight" | "toLeft";
export const SIDES: readonly Side[] = ["toRight", "toLeft"];

export type RelaySettings = { readonly [side in Side]?: LinkSettings };

export type Command =
  | { readonly kind: "set"; readonly settings: RelaySettings }
  | { readonly kind: "black-hole"; readonly side: Side; readonly on: boolean }
  | { readonly kind: "truth" };

/** What became of the packets of one UDP flow that the relay's `data` matches. */
export interface FlowLog {
  /** "10.78.0.1:4000" and "[fd00:78::1]:4000"; the latter as written in full. */
  readonly from: string;
  readonly to: string;
  /** The rperf packet id of each packet, in the order in which they came to the relay. */
  readonly ids: number[];
  /** Positions in `ids` of what left the relay, copies included, in that order. */
  readonly passed: number[];
  /** Positions in `ids` of what was dropped, in a black hole or by a rule. */
  readonly dropped: number[];
  duplicated: number;
  held: number;
}

/** Packets of one direction, of any kind. */
export interface LinkLog {
  seen: number;
  /** Copies included. */
  passed: number;
  dropped: number;
  duplicated: number;
  held: number;
  /** Refused by the far side's device: the relay's own loss. */
  refused: number;
  readonly flows: FlowLog[];
}

export interface RelayLog {
  readonly toRight: LinkLog;
  readonly toLeft: LinkLog;
  /** Neither passed nor dropped so far. */
  readonly waiting: number;
}

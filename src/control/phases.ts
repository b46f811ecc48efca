import { RperfError } from "../errors.ts";

/** Where a server stands with one client; see the order of a test in the protocol's description. */
export type ServerPhase = "configuring" | "admission" | "preparing" | "ready" | "running" | "finished";

/** What moves it on: messages of the client, and the streams. */
export type ServerStep = "configuration" | "admitted" | "prepared" | "begin" | "streams-over";

const NEXT: Readonly<Record<ServerPhase, Partial<Readonly<Record<ServerStep, ServerPhase>>>>> = {
  configuring: { configuration: "admission" },
  admission: { admitted: "preparing" },
  preparing: { prepared: "ready" },
  // One forward and one reverse configuration may come before a begin.
  ready: { configuration: "admission", begin: "running" },
  running: { "streams-over": "finished" },
  finished: {},
};

/** The phase behind `step`; throws `peer-protocol` where the client may not take it. */
export function nextPhase(phase: ServerPhase, step: ServerStep): ServerPhase {
  const next = NEXT[phase][step];
  if (next === undefined) throw new RperfError("peer-protocol", `a ${step} has no place while ${phase}`);
  return next;
}

/** How long a server stays in a phase before it gives the client up; null = what it waits for has deadlines of its own. */
export function phaseDeadlineSeconds(phase: ServerPhase): number | null {
  switch (phase) {
    case "configuring":
    case "preparing":
    case "ready":
    case "finished":
      return 10;
    // What a client has to prove, or waits for, has deadlines of its own.
    case "admission":
    case "running":
      return null;
  }
}

/** How long a client may take from the first answer to its begin, also where it configures both directions. */
export const BEGIN_DEADLINE_SECONDS = 30;
/** Why it is given up then. */
export const NO_BEGIN = `no begin came for ${BEGIN_DEADLINE_SECONDS} s after the first answer`;

/** Why a client is given up at the end of that time. */
export function phaseDeadlineReason(phase: ServerPhase): string {
  switch (phase) {
    case "configuring":
      return "no configuration came for 10 s";
    case "admission":
    case "preparing":
      return "the streams were not ready within 10 s";
    case "ready":
      return "no begin came for 10 s";
    case "running":
    case "finished":
      return "no end came for 10 s after the streams' end";
  }
}

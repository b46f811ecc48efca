// One direction of a relay: what happens to each packet, and the log of it. Time comes from outside.
import { endsOf, flowKeyOf, matches, type Packet, packetIdOf, parsePacket } from "./packet.ts";
import type { FlowLog, LinkLog, LinkSettings, Match, Rule } from "./settings.ts";

const REORDER_BY = 3;
const REORDER_WITHIN_MS = 100;

/** A packet of a logged flow. */
interface Logged {
  readonly flow: FlowLog;
  readonly position: number;
}

/** A packet on its way; its bytes are its own. */
interface Delayed {
  readonly bytes: Uint8Array;
  readonly logged: Logged | null;
  readonly dueMs: number;
}

interface Held {
  readonly bytes: Uint8Array;
  readonly logged: Logged | null;
  readonly flowKey: string;
  readonly releaseMs: number;
  /** Packets that are still to pass it. */
  toPass: number;
}

export interface LinkParts {
  readonly data: Match;
  readonly random: () => number;
  /** Gives a packet to the far side; false when that refuses it. */
  readonly send: (bytes: Uint8Array) => boolean;
}

export class Link {
  readonly log: LinkLog = { seen: 0, passed: 0, dropped: 0, duplicated: 0, held: 0, refused: 0, flows: [] };
  readonly #parts: LinkParts;
  readonly #flows = new Map<string, FlowLog>();
  #settings: LinkSettings = {};
  #setMs = 0;
  #isBlack = false;
  /** In the order in which they leave. */
  #delayed: Delayed[] = [];
  /** How many of them have left. */
  #left = 0;
  #held: Held[] = [];

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** What is on its way stays as it was decided. */
  set(settings: LinkSettings, nowMs: number): void {
    this.#settings = settings;
    this.#setMs = nowMs;
  }

  blackHole(on: boolean): void {
    this.#isBlack = on;
  }

  get waiting(): number {
    return this.#delayed.length - this.#left + this.#held.length;
  }

  /** When `release` has something to do; infinite while there is nothing. */
  get nextMs(): number {
    const held = this.#held.reduce((soonest, { releaseMs }) => Math.min(soonest, releaseMs), Number.POSITIVE_INFINITY);
    return Math.min(held, this.#delayed[this.#left]?.dueMs ?? Number.POSITIVE_INFINITY);
  }

  /** Takes one packet, whose bytes are copied if they have to wait. */
  take(bytes: Buffer, nowMs: number): void {
    const { log } = this;
    const packet = parsePacket(bytes);
    const flowKey = flowKeyOf(packet);
    const logged = this.#enter(packet, flowKey);
    log.seen += 1;
    const rule = this.#ruleFor(packet);
    if (this.#isDark(nowMs) || (rule !== null && this.#isDropped(packet, rule, logged))) {
      log.dropped += 1;
      logged?.flow.dropped.push(logged.position);
      return;
    }
    const isCopied = this.#strikes(rule?.duplicateShare);
    if (isCopied) {
      log.duplicated += 1;
      if (logged !== null) logged.flow.duplicated += 1;
    }
    if (rule !== null && this.#strikes(rule.reorderShare)) {
      // The copy of a packet held back goes on at once: it is the original that comes late.
      if (isCopied) this.#pass(bytes, logged, flowKey, nowMs);
      this.#hold(bytes, logged, flowKey, rule, nowMs);
      return;
    }
    this.#pass(bytes, logged, flowKey, nowMs);
    if (isCopied) this.#delay(bytes, logged, nowMs);
  }

  /** Sends what is due. */
  release(nowMs: number): void {
    for (const held of this.#held) if (held.releaseMs <= nowMs) held.toPass = 0;
    this.#letGo(nowMs);
    for (;;) {
      const next = this.#delayed[this.#left];
      if (next === undefined || next.dueMs > nowMs) break;
      this.#left += 1;
      this.#send(next.bytes, next.logged);
    }
    if (this.#left > 1024 || this.#left === this.#delayed.length) {
      this.#delayed = this.#delayed.slice(this.#left);
      this.#left = 0;
    }
  }

  #enter(packet: Packet, flowKey: string): Logged | null {
    if (packet.protocol !== "udp" || !matches(packet, this.#parts.data)) return null;
    let flow = this.#flows.get(flowKey);
    if (flow === undefined) {
      flow = { ...endsOf(packet), ids: [], passed: [], dropped: [], duplicated: 0, held: 0 };
      this.#flows.set(flowKey, flow);
      this.log.flows.push(flow);
    }
    return { flow, position: flow.ids.push(packetIdOf(packet)) - 1 };
  }

  #ruleFor(packet: Packet): Rule | null {
    return this.#settings.rules?.find((rule) => matches(packet, rule.match ?? this.#parts.data)) ?? null;
  }

  #isDark(nowMs: number): boolean {
    const sinceMs = nowMs - this.#setMs;
    return (
      this.#isBlack ||
      (this.#settings.blackHoles?.some(({ afterMs, forMs }) => sinceMs >= afterMs && sinceMs < afterMs + forMs) ??
        false)
    );
  }

  #isDropped(packet: Packet, { dropFromId, dropBehind, dropShare }: Rule, logged: Logged | null): boolean {
    if (logged !== null) {
      if (dropFromId !== undefined && packetIdOf(packet) >= dropFromId) return true;
      if (dropBehind !== undefined && logged.position >= dropBehind) return true;
    }
    return this.#strikes(dropShare);
  }

  #strikes(share: number | undefined): boolean {
    return share !== undefined && share > 0 && this.#parts.random() < share;
  }

  #hold(bytes: Uint8Array, logged: Logged | null, flowKey: string, rule: Rule, nowMs: number): void {
    const { reorderBy: toPass = REORDER_BY, reorderWithinMs = REORDER_WITHIN_MS } = rule;
    this.log.held += 1;
    if (logged !== null) logged.flow.held += 1;
    this.#held.push({ bytes: new Uint8Array(bytes), logged, flowKey, releaseMs: nowMs + reorderWithinMs, toPass });
  }

  /** Goes on, and lets go those that it was the last to pass. */
  #pass(bytes: Uint8Array, logged: Logged | null, flowKey: string, nowMs: number): void {
    this.#delay(bytes, logged, nowMs);
    if (this.#held.length === 0) return;
    for (const held of this.#held) if (held.flowKey === flowKey) held.toPass -= 1;
    this.#letGo(nowMs);
  }

  #letGo(nowMs: number): void {
    if (!this.#held.some(({ toPass }) => toPass <= 0)) return;
    const free = this.#held.filter(({ toPass }) => toPass <= 0);
    this.#held = this.#held.filter(({ toPass }) => toPass > 0);
    for (const { bytes, logged } of free) this.#delay(bytes, logged, nowMs);
  }

  #delay(bytes: Uint8Array, logged: Logged | null, nowMs: number): void {
    const { delayMs = 0, jitterMs = 0 } = this.#settings;
    const askedMs = nowMs + delayMs + (jitterMs === 0 ? 0 : jitterMs * this.#parts.random());
    const behind = this.#delayed.at(-1);
    const isAlone = this.#left === this.#delayed.length;
    if (isAlone && askedMs <= nowMs) {
      this.#send(bytes, logged);
      return;
    }
    const dueMs = isAlone || behind === undefined ? askedMs : Math.max(askedMs, behind.dueMs);
    this.#delayed.push({ bytes: new Uint8Array(bytes), logged, dueMs });
  }

  #send(bytes: Uint8Array, logged: Logged | null): void {
    if (!this.#parts.send(bytes)) {
      this.log.refused += 1;
      return;
    }
    this.log.passed += 1;
    logged?.flow.passed.push(logged.position);
  }
}

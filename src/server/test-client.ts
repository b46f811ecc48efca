/** Who asked for a test. */
export interface TestClient {
  /** Where it is, for a person. */
  readonly name: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Of its connection, for proofs; null without TLS. */
  readonly keyingMaterial: Uint8Array | null;
}

/** The connection over which its client hears of a test. */
export interface ClientLink {
  /** How long ago the client's system was heard of; null where this system does not tell. */
  readonly silentSeconds: number | null;
  send(message: object): void;
  /** Its test has a place, or waits for one. */
  isCounted(): void;
  /** Once the client has had a moment to read what was sent. */
  close(): void;
}

/** How a connection went away. */
export type LinkEnd = "closed" | "reset" | "lost";

/** What a running server tells as it happens; `client` is "address:port" of a control connection. */
export type ServerEvent =
  | { readonly type: "listening"; readonly address: string; readonly port: number }
  | {
      readonly type: "test-configured";
      readonly client: string;
      readonly family: "tcp" | "udp";
      /** Forward: the client sends. */
      readonly direction: "forward" | "reverse";
      readonly streams: number;
    }
  | { readonly type: "test-started"; readonly client: string }
  /** The control connection broke; the test goes on, and its client may come back. */
  | { readonly type: "client-lost"; readonly client: string; readonly message: string }
  | { readonly type: "client-resumed"; readonly client: string }
  | { readonly type: "client-refused"; readonly client: string; readonly message: string }
  | { readonly type: "client-ended"; readonly client: string; readonly message: string }
  /** A defect of this server, which has cost at most this client its test; null = nobody in particular. */
  | { readonly type: "internal-error"; readonly client: string | null; readonly message: string }
  | { readonly type: "warning"; readonly client: string | null; readonly message: string }
  | { readonly type: "debug"; readonly client: string | null; readonly message: string };

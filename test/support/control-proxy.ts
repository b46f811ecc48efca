// Stands between a client and a server's control port and reads along: whoever can, knows a test's id and ports. It may
// change what is said, and end TLS here to begin it anew towards the server.
import { createServer, connect, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";

import type { Certificate } from "./certificates.ts";
import { eventually } from "./eventually.ts";
import { frameOf, type RawMessage, unframe } from "./raw-client.ts";

export interface ProxyOptions {
  /** What goes on instead of a message; null = the bytes as they came. */
  readonly alter?: (message: RawMessage) => RawMessage | null;
  /** What is shown to clients that speak TLS. */
  readonly tls?: Certificate;
}

export class ControlProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #said: { readonly client: RawMessage[]; readonly server: RawMessage[] };

  private constructor(server: Server, sockets: Set<Socket>, said: ControlProxy["fromBoth"]) {
    const address = server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
    this.#server = server;
    this.#sockets = sockets;
    this.#said = said;
  }

  static async start(serverPort: number, { alter = () => null, tls }: ProxyOptions = {}): Promise<ControlProxy> {
    const said = { client: [] as RawMessage[], server: [] as RawMessage[] };
    const sockets = new Set<Socket>();
    const where = { port: serverPort, host: "127.0.0.1" };
    const join = (near: Socket): void => {
      const far = tls === undefined ? connect(where) : connectTls({ ...where, rejectUnauthorized: false });
      sockets.add(near).add(far);
      pass(near, far, said.client, alter);
      pass(far, near, said.server, alter);
    };
    const server = tls === undefined ? createServer(join) : createTlsServer(tls, join);
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return new ControlProxy(server, sockets, said);
  }

  /** What each side said so far. */
  get fromBoth(): { readonly client: RawMessage[]; readonly server: RawMessage[] } {
    return this.#said;
  }

  /** The test id of the first configuration, once there is one. */
  async testId(): Promise<readonly number[]> {
    const configuration = await this.#first("client", "configuration");
    return configuration["test_id"] as number[];
  }

  /** The first message of this kind from this side. */
  #first(side: "client" | "server", kind: string): Promise<RawMessage> {
    return eventually(
      `a ${kind} of the ${side}`,
      () => this.#said[side].find((message) => message["kind"] === kind) ?? {},
      (message) => message["kind"] === kind,
    );
  }

  /** Where data go to, be it the server's or the client's port. */
  async dataPorts(): Promise<readonly number[]> {
    await this.#first("client", "begin");
    const { client, server } = this.#said;
    const [configuration = {}] = client;
    const [answer = {}] = server;
    const { stream_ports: dialled } = (answer["extensions"] ?? {}) as { readonly stream_ports?: number[] };
    return dialled ?? ((answer["stream_ports"] ?? configuration["stream_ports"]) as number[]);
  }

  /** Breaks what is connected now; who comes again is served. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

function pass(from: Socket, to: Socket, said: RawMessage[], alter: (message: RawMessage) => RawMessage | null): void {
  let rest: Buffer = Buffer.alloc(0);
  from.on("data", (chunk: Buffer) => {
    let waiting = Buffer.concat([rest, chunk]);
    const heard = unframe(waiting);
    said.push(...heard.messages);
    for (const message of heard.messages) {
      const end = 2 + waiting.readUInt16BE(0);
      const altered = alter(message);
      to.write(altered === null ? waiting.subarray(0, end) : frameOf(JSON.stringify(altered)));
      waiting = waiting.subarray(end);
    }
    rest = heard.rest;
  });
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
  to.on("error", () => from.destroy());
}

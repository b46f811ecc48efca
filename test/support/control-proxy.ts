// Stands between a client and a server's control port and reads along: whoever can, knows a test's id and ports.
import { createServer, connect, type Server, type Socket } from "node:net";

import { eventually } from "./eventually.ts";
import { type RawMessage, unframe } from "./raw-client.ts";

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

  static async start(serverPort: number): Promise<ControlProxy> {
    const said = { client: [] as RawMessage[], server: [] as RawMessage[] };
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect({ port: serverPort, host: "127.0.0.1" });
      sockets.add(near).add(far);
      pass(near, far, said.client);
      pass(far, near, said.server);
    });
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

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

function pass(from: Socket, to: Socket, said: RawMessage[]): void {
  let rest: Buffer = Buffer.alloc(0);
  from.on("data", (chunk: Buffer) => {
    const heard = unframe(Buffer.concat([rest, chunk]));
    said.push(...heard.messages);
    rest = heard.rest;
    to.write(chunk);
  });
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
  to.on("error", () => from.destroy());
}

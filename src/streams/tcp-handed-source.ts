import { closeDescriptor } from "../../ffi/open-socket.ts";
import { messageOf } from "../errors.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import { encodeFrame } from "../protocol/framing.ts";
import type { ConnectionSource, SourceEvents } from "./connection-source.ts";
import { adoptConnection, type DataSocket, NOBODY } from "./tcp-connection.ts";

/** Waits for the connection that the main thread took at the control port. */
export class HandedSource implements ConnectionSource {
  #events: SourceEvents | null = null;
  #isTaken = false;

  async open(events: SourceEvents): Promise<null> {
    this.#events = events;
    return null;
  }

  async start(): Promise<void> {}

  take(descriptor: number): void {
    const events = this.#events;
    if (events === null || this.#isTaken) {
      closeDescriptor(descriptor);
      return;
    }
    this.#isTaken = true;
    adoptConnection(descriptor, NOBODY).then(
      (socket) => this.#adopted(socket, events),
      // The client had gone again by then, and tells why its stream failed.
      () => closeDescriptor(descriptor),
    );
  }

  close(): void {
    this.#events = null;
  }

  #adopted(socket: DataSocket, events: SourceEvents): void {
    if (this.#events === null) {
      socket.terminate();
      return;
    }
    try {
      events.onConnection(socket, 0);
      socket.write(encodeFrame(encodeServerMessage({ kind: "data-ready" })));
    } catch (error) {
      events.onWarning(messageOf(error));
      socket.terminate();
    }
  }
}

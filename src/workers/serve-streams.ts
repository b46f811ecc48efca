import { systemClock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { createStream } from "../streams/create-stream.ts";
import type { Stream, StreamEvent } from "../streams/spec.ts";
import type { WorkerCommand, WorkerReport } from "./messages.ts";

/** Runs streams on the calling thread; gives the function that takes the main thread's commands. */
export function serveStreams(report: (message: WorkerReport) => void): (command: WorkerCommand) => void {
  const streams = new Map<number, Stream>();
  return (command) => {
    const { slot } = command;
    switch (command.type) {
      case "prepare": {
        const emit = (event: StreamEvent) => report({ type: "stream", slot, event });
        const stream = createStream(command.spec, systemClock(), emit);
        streams.set(slot, stream);
        stream.prepare().catch((error: unknown) => {
          emit({ type: "failed", code: "internal", message: messageOf(error) });
        });
        return;
      }
      case "start":
        return streams.get(slot)?.start();
      case "stop":
        return streams.get(slot)?.stop();
    }
  };
}

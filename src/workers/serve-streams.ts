import { systemClock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { createStream } from "../streams/create-stream.ts";
import { letGo } from "../streams/let-go.ts";
import type { Emit, Stream, StreamSpec } from "../streams/spec.ts";
import { StreamLoop } from "../streams/stream-loop.ts";
import type { StreamCommand, WorkerReport } from "./messages.ts";

/** One of a Worker's streams. */
interface Place {
  readonly emit: Emit;
  /** Null until it is made, and when it could not be. */
  stream: Stream | null;
}

/** Runs streams on the calling thread; gives the function that takes the main thread's commands. */
export function serveStreams(report: (message: WorkerReport) => void): (command: StreamCommand) => void {
  const loop = new StreamLoop(systemClock());
  const places = new Map<number, Place>();

  function prepare(slot: number, spec: StreamSpec): void {
    const before = places.get(slot);
    const emit: Emit = (event) => {
      if (places.get(slot) === place) report({ type: "stream", slot, event });
    };
    const place: Place = { emit, stream: null };
    places.set(slot, place);
    guarded(before, (stream) => stream?.stop());
    guarded(place, () => {
      // A clock of its own: its wall anchor must not be as old as a thread that many tests share.
      const stream = createStream(spec, systemClock(), loop, emit);
      place.stream = stream;
      const settled = () => report({ type: "settled" });
      stream
        .prepare()
        .catch((error: unknown) => fail(place, error))
        .then(settled, settled);
    });
    if (place.stream === null) report({ type: "settled" });
  }

  return (command) => {
    const place = places.get(command.slot);
    switch (command.type) {
      case "prepare":
        return prepare(command.slot, command.spec);
      case "start":
        return guarded(place, (stream) => stream?.start(command.terms));
      case "stop":
        return guarded(place, (stream) => stream?.stop());
      case "take":
        if (place === undefined || place.stream === null) letGo(command.handed);
        else guarded(place, (stream) => stream?.take(command.handed));
        return report({ type: "taken" });
      case "finish":
        return guarded(place, (stream) => stream?.finish(command.sent));
      case "hold":
        return guarded(place, (stream) => stream?.hold(command.isHeld));
      case "drop":
        places.delete(command.slot);
        return guarded(place, (stream) => stream?.stop());
    }
  };
}

/** What goes wrong with one stream must not end the thread, which others share. */
function guarded(place: Place | undefined, act: (stream: Stream | null) => void): void {
  if (place === undefined) return;
  try {
    act(place.stream);
  } catch (error) {
    fail(place, error);
  }
}

function fail(place: Place, error: unknown): void {
  place.emit({ type: "failed", code: "internal", message: messageOf(error), report: null });
}

import type { Clock } from "../clock.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { bindThread } from "./socket-facts.ts";
import type { Emit, Stream, StreamSpec } from "./spec.ts";
import { TcpReceiveTransport } from "./tcp-receiver.ts";
import { TcpSendTransport } from "./tcp-sender.ts";
import { UdpReceiveTransport } from "./udp-receiver.ts";
import { UdpSendTransport } from "./udp-sender.ts";

/** The stream that `spec` describes, on the calling thread, which it binds to the spec's CPU. */
export function createStream(spec: StreamSpec, clock: Clock, onEvent: Emit): Stream {
  const emit = untilOver(onEvent);
  bindThread(spec, emit);
  if (spec.role === "sender") {
    const transport = spec.family === "tcp" ? new TcpSendTransport(spec, emit) : new UdpSendTransport(spec, emit);
    return new Sender(spec, transport, clock, emit);
  }
  const transport = spec.family === "tcp" ? new TcpReceiveTransport(spec, emit) : new UdpReceiveTransport(spec, emit);
  return new Receiver(spec, transport, clock, emit);
}

/** A socket may still tell of itself when its stream is over: nobody is to hear it. */
function untilOver(onEvent: Emit): Emit {
  let isOver = false;
  return (event) => {
    if (isOver) return;
    isOver = event.type === "ended" || event.type === "failed";
    onEvent(event);
  };
}

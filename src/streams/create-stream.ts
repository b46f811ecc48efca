import type { Clock } from "../clock.ts";
import { DatagramReader } from "../../ffi/datagram-reader.ts";
import { UdpPacketReader, UdpPackets } from "../protocol/udp-packet.ts";
import { BitRing } from "../stats/bit-ring.ts";
import { IntervalCutter } from "../stats/interval-cutter.ts";
import { JitterMeter } from "../stats/jitter.ts";
import { LossRuns } from "../stats/loss-runs.ts";
import { ReorderingMeter } from "../stats/reordering-meter.ts";
import { SequenceWindow } from "../stats/sequence-window.ts";
import { UdpReceiveStats } from "../stats/udp-receive.ts";
import { ArrivalClock } from "./arrival-clock.ts";
import { Pacer } from "./pacer.ts";
import { ReadRate } from "./read-rate.ts";
import { spareCompilerOf } from "./spare-compiler.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { bindThread } from "./socket-facts.ts";
import type { Emit, Stream, StreamSpec } from "./spec.ts";
import type { StreamLoop } from "./stream-loop.ts";
import { TcpReceiveTransport } from "./tcp-receiver.ts";
import { TcpSendTransport } from "./tcp-sender.ts";
import { UdpReceiveTransport } from "./udp-receiver.ts";
import { UdpSendTransport } from "./udp-sender.ts";

spareCompilerOf([
  Receiver,
  Sender,
  UdpReceiveTransport,
  UdpSendTransport,
  TcpSendTransport,
  TcpReceiveTransport,
  UdpPacketReader,
  UdpPackets,
  UdpReceiveStats,
  JitterMeter,
  SequenceWindow,
  BitRing,
  LossRuns,
  ReorderingMeter,
  IntervalCutter,
  Pacer,
  ReadRate,
  ArrivalClock,
  DatagramReader,
]);

/** The stream that `spec` describes, run by the calling thread's `loop`; binds that thread to the spec's CPU. */
export function createStream(spec: StreamSpec, clock: Clock, loop: StreamLoop, onEvent: Emit): Stream {
  const emit = untilOver(onEvent);
  bindThread(spec, emit);
  if (spec.role === "sender") {
    const transport =
      spec.family === "tcp" ? new TcpSendTransport(spec, loop.io, emit) : new UdpSendTransport(spec, loop, emit);
    return new Sender(spec, transport, clock, loop, emit);
  }
  const transport =
    spec.family === "tcp"
      ? new TcpReceiveTransport(spec, clock, loop.io, emit)
      : new UdpReceiveTransport(spec, clock, loop, emit);
  return new Receiver(spec, transport, clock, loop, emit);
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

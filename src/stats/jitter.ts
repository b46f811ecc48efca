/** RFC 3550 A.8: the weight of one transit difference in the smoothed jitter. */
const SMOOTHING = 16;

/**
 * Interarrival jitter over unbroken runs of packets: the first transit difference of a run is the starting value. Of
 * an interval the longest run counts.
 */
export class JitterMeter {
  #run = new Run();
  #longest = new Run();

  /** A packet in order; both times in seconds, each on any clock of its own that does not step. */
  inOrder(sentSeconds: number, receivedSeconds: number): void {
    this.#run.push(receivedSeconds - sentSeconds);
  }

  /** The same of `count` packets that left together and arrived together. */
  together(sentSeconds: number, receivedSeconds: number, count: number): void {
    this.#run.push(receivedSeconds - sentSeconds);
    if (count > 1) this.#run.repeat(count - 1);
  }

  /** A gap, a late packet or a duplicate. */
  break(): void {
    if (this.#run.packets > this.#longest.packets) this.#longest = this.#run;
    this.#run = new Run();
  }

  /** The longest run since the last call, and its jitter (null for fewer than two packets). */
  take(): { readonly packets: number; readonly jitterSeconds: number | null } {
    this.break();
    const { packets, jitterSeconds } = this.#longest;
    this.#longest = new Run();
    return { packets, jitterSeconds };
  }
}

class Run {
  packets = 0;
  jitterSeconds: number | null = null;
  #lastTransitSeconds = 0;

  push(transitSeconds: number): void {
    if (this.packets > 0) {
      const difference = Math.abs(transitSeconds - this.#lastTransitSeconds);
      this.jitterSeconds =
        this.jitterSeconds === null ? difference : this.jitterSeconds + (difference - this.jitterSeconds) / SMOOTHING;
    }
    this.packets++;
    this.#lastTransitSeconds = transitSeconds;
  }

  /** Packets with the transit of the last one: differences of nothing. */
  repeat(count: number): void {
    this.packets += count;
    this.jitterSeconds = (this.jitterSeconds ?? 0) * (1 - 1 / SMOOTHING) ** count;
  }
}

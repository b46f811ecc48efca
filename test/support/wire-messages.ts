// Every message of the protocol in the wire's spelling, with any values that are within bounds: arbitraries of fast-check.
import fc from "fast-check";

type Wire = Readonly<Record<string, unknown>>;
type Model = Readonly<Record<string, fc.Arbitrary<unknown>>>;

/** How many streams a client asked for whose server's messages these are. */
export const WIRE_STREAMS = 3;

const MOST = Number.MAX_SAFE_INTEGER;
const count = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 1, MOST));
const seconds = fc.double({ min: 0, max: 1e12, noNaN: true });
const port = fc.integer({ min: 1, max: 65_535 });
const family = fc.constantFrom("tcp", "udp");
const testId = fc.array(fc.nat({ max: 255 }), { minLength: 16, maxLength: 16 });
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const base64 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes.toBase64());

/** Fields of which any may be missing. */
function some(fields: Model): fc.Arbitrary<Wire> {
  return fc.record(fields, { requiredKeys: [] });
}

function join(...parts: readonly fc.Arbitrary<Wire>[]): fc.Arbitrary<Wire> {
  return fc.tuple(...parts).map((all) => Object.assign({}, ...all) as Wire);
}

const offer = join(
  fc.record({ version: fc.integer({ min: 1, max: 9 }) }),
  some({
    omit_seconds: fc.nat({ max: 2_678_400 }),
    offload: fc.constantFrom("auto", "on", "off"),
    interval: fc.double({ min: 0.1, max: 60, noNaN: true }),
    accounting: fc.boolean(),
    single_port: fc.boolean(),
    resume: fc.record({ timeout: fc.nat({ max: 600 }) }),
    path: some({
      congestion: fc.constantFrom("cubic", "bbr", "reno"),
      dscp: fc.nat({ max: 63 }),
      mss: fc.integer({ min: 88, max: 32_767 }),
    }),
    wait: fc.nat({ max: 3600 }),
    auth: fc.record({ key_id: fc.string({ maxLength: 64 }), nonce: base64 }),
    bandwidth: fc.nat(),
    duration: fc.nat({ max: 2_678_400 }),
    pacing: fc.constantFrom("even", "slices"),
    write_size: fc.constantFrom("auto", "length"),
    dial: fc.constantFrom("client", "server"),
  }),
);

const configuration = join(
  fc.record({
    kind: fc.constant("configuration"),
    family,
    test_id: testId,
    length: fc.integer({ min: 36, max: 65_507 }),
  }),
  fc.oneof(
    fc.record({
      role: fc.constant("download"),
      streams: fc.integer({ min: 1, max: 255 }),
      receive_buffer: fc.nat({ max: 2 ** 31 - 1 }),
    }),
    fc.array(port, { minLength: 1, maxLength: 255 }).chain((ports) =>
      fc.record({
        role: fc.constant("upload"),
        streams: fc.constant(ports.length),
        stream_ports: fc.constant(ports),
        bandwidth: fc.nat(),
        duration: fc.double({ min: 0, max: 2_678_400, noNaN: true }),
        send_interval: fc.double({ min: 1e-6, max: 1, noNaN: true }),
        send_buffer: fc.nat({ max: 2 ** 31 - 1 }),
        no_delay: fc.boolean(),
      }),
    ),
  ),
  fc.oneof(fc.constant({}), fc.record({ extensions: offer })),
);

const sent = fc.tuple(count, count).map(([one, other]) => ({
  packets: Math.max(one, other),
  omitted_packets: Math.min(one, other),
}));

export const clientWireMessage: fc.Arbitrary<Wire> = fc.oneof(
  { arbitrary: configuration, weight: 5 },
  fc.record({ kind: fc.constantFrom("begin", "end") }),
  join(fc.record({ kind: fc.constant("sent"), stream_idx: fc.nat({ max: 254 }) }), sent),
  fc.record({ kind: fc.constant("ack"), have: count }),
  fc.record({ kind: fc.constant("proof"), mac: base64 }),
  fc.record({ kind: fc.constant("resume"), token: fc.string({ maxLength: 128 }), have: count }),
  fc.record({ kind: fc.constant("data"), test_id: testId, stream_idx: fc.nat({ max: 254 }) }),
);

const ports = fc.array(port, { minLength: WIRE_STREAMS, maxLength: WIRE_STREAMS });
const answered = fc.record({
  extensions: join(
    fc.record({ version: fc.integer({ min: 1, max: 9 }) }),
    some({
      omit_seconds: fc.nat({ max: 2_678_400 }),
      interval: fc.double({ min: 0.1, max: 60, noNaN: true }),
      accounting: fc.boolean(),
      single_port: fc.boolean(),
      resume: fc.record({ token: fc.string({ maxLength: 128 }) }),
    }),
    fc.oneof(fc.constant({}), fc.record({ dial: fc.constant("client"), stream_ports: ports })),
  ),
});
const streamIndex = fc.nat({ max: WIRE_STREAMS - 1 });
const result = fc.record({
  stream_idx: streamIndex,
  family: fc.constant("udp"),
  timestamp: seconds,
  duration: seconds,
});
const omittedSend = fc.record({ duration: seconds, bytes_sent: count, packets_sent: count, sends_blocked: count });
const received = {
  bytes_received: count,
  packets_received: count,
  packets_out_of_order: count,
  packets_duplicated: count,
};
const means = some({ sent: count, reorder_extent_mean: seconds, burst_mean: seconds });
const books = join(
  fc.record({
    unique: count,
    lost: count,
    duplicated: count,
    stray: count,
    reordered: count,
    reorder_extent_max: count,
    bursts: count,
    burst_longest: count,
  }),
  means,
);
const fact = fc.nat({ max: 2 ** 31 - 1 });

export const serverWireMessage: fc.Arbitrary<Wire> = fc.oneof(
  join(fc.record({ kind: fc.constant("connect"), stream_ports: ports }), fc.oneof(fc.constant({}), answered)),
  join(fc.record({ kind: fc.constant("connect-ready") }), fc.oneof(fc.constant({}), answered)),
  join(
    fc.record({ kind: fc.constant("queued"), place: fc.integer({ min: 1, max: 2 ** 53 - 1 }) }),
    some({ wait: seconds }),
  ),
  fc.record({ kind: fc.constant("challenge"), nonce: base64, mac: base64 }),
  join(
    fc.record({ kind: fc.constant("send"), bytes_sent: count, packets_sent: count, sends_blocked: count }),
    result,
    some({ omitted: omittedSend }),
  ),
  join(
    fc.record({
      kind: fc.constant("receive"),
      ...received,
      packets_lost: count,
      unbroken_sequence: count,
      jitter_seconds: fc.option(seconds),
    }),
    result,
    some({ omitted: fc.record({ duration: seconds, ...received }) }),
  ),
  join(
    fc.record({ kind: fc.constantFrom("done", "failed"), stream_idx: streamIndex }),
    some({
      role: fc.constantFrom("download", "upload"),
      message: text,
      sent,
      totals: some({ books, buffer_drops: count, sends_refused: count, bytes_undelivered: count }),
      socket: some({
        send_buffer: fact,
        receive_buffer: fact,
        affinity_cpu: fact,
        write_size: fact,
        dscp: fc.nat({ max: 63 }),
        mss: fact,
        offload: fc.boolean(),
        timestamps: fc.constantFrom("kernel", "user"),
        pacing: fc.constantFrom("kernel", "user"),
        congestion: text,
      }),
    }),
  ),
  fc.record({ kind: fc.constant("resumed"), phase: fc.constantFrom("ready", "running", "finished"), first: count }),
  fc.record({ kind: fc.constant("data-ready") }),
  fc.record({ kind: fc.constant("error"), message: text }),
);

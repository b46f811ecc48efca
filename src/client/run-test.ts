import { REPORT_INTERVAL_SECONDS } from "../config/limits.ts";
import type { TestConfig } from "../config/types.ts";
import { RperfError, systemCodeOf } from "../errors.ts";
import type { Extensions, TestId } from "../protocol/messages.ts";
import type { TestResult } from "../results/types.ts";
import type { Endpoint } from "../streams/spec.ts";
import { CpuDealer, type PortChoice, PortDealer } from "../workers/dealers.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import { configurationOf, receiverSpec, senderSpec } from "./configuration.ts";
import type { TestDependencies } from "./dependencies.ts";
import type { DirectionRun } from "./direction-run.ts";
import type { ClientEvent } from "./events.ts";
import type { Queued } from "./inbox.ts";
import { directionsOf, featuresOf, RunningTest } from "./running-test.ts";
import { ServerLink } from "./server-link.ts";

/** A control connection that breaks before the test begins costs nothing but time: so many attempts in all. */
const MOST_ATTEMPTS = 3;
/** What is heard of a queue sooner than this is not told. */
const QUEUE_NEWS_MS = 250;
/** A server's system gives a connection up after so long a silence (control/channel.ts). */
const GIVEN_UP_MS = 5000;

/**
 * Runs one test from the connection to its result. A test that began always has a result, however it ended; before
 * that, throws RperfError.
 */
export async function runTest(config: TestConfig, dependencies: TestDependencies): Promise<TestResult> {
  for (let attempt = 1; ; attempt++) {
    const startMs = performance.now();
    const outcome = await attemptTest(config, dependencies);
    if (!(outcome instanceof RperfError)) return outcome;
    const isLast = attempt === MOST_ATTEMPTS || dependencies.signal.aborted;
    if (isLast || !isOfLink(outcome, performance.now() - startMs)) throw outcome;
    dependencies.emit({ type: "warning", message: `${outcome.message}; trying again` });
  }
}

/**
 * Whether the link broke under a connection, and not the server's or the user's will. A system that got no acknowledgement
 * gives the connection up without a word, and answers what still comes with a reset, which is no early one.
 */
function isOfLink(error: RperfError, attemptMs: number): boolean {
  if (error.code !== "peer-lost") return false;
  const cause = error.cause instanceof RperfError ? systemCodeOf(error.cause.cause) : null;
  return cause === "ETIMEDOUT" || (cause === "ECONNRESET" && attemptMs >= GIVEN_UP_MS);
}

/** One attempt; gives the error when it did not come to the test's begin. */
async function attemptTest(given: TestConfig, dependencies: TestDependencies): Promise<TestResult | RperfError> {
  const { emit } = dependencies;
  // Only the link needs the key; events and results go who knows where.
  const config = { ...given, key: null };
  const cpus = new CpuDealer(config.affinity, (message) => emit({ type: "warning", message }));
  const { parallel, bandwidthBytesPerSecond: streamBytesPerSecond } = config;
  const streams = parallel * directionsOf(config).length;
  const request = { streams, cpus: cpus.size, streamBytesPerSecond };
  const acquiring = dependencies.pool.acquire(request, dependencies.signal);
  // Looked at once there is a server.
  acquiring.catch(() => {});
  const { interrupted, forget } = listenFor(dependencies.signal);
  const opening = ServerLink.open(given);
  try {
    const link = await Promise.race([opening, interrupted]);
    const test = new RunningTest(config, link, await Promise.race([acquiring, interrupted]), dependencies);
    await Promise.race([prepare({ link, config, test, cpus, emit }), interrupted]);
    return await test.run();
  } catch (error) {
    if (error instanceof RperfError) return error;
    throw error;
  } finally {
    forget();
    // Whichever way it ended, and even if it comes only now: nobody needs the connection any more.
    opening.then((link) => link.close()).catch(() => {});
    await acquiring.then(disposeAll).catch(() => {});
  }
}

function disposeAll(workers: readonly StreamWorker[]): void {
  for (const worker of workers) worker.dispose();
}

/** Rejects when the signal is aborted: until the test runs there is nothing to end in good order. */
function listenFor(signal: AbortSignal): { readonly interrupted: Promise<never>; readonly forget: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new RperfError("stopped", "interrupted before the test began"));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  // A test that runs takes the signal itself.
  promise.catch(() => {});
  return { interrupted: promise, forget: () => signal.removeEventListener("abort", onAbort) };
}

interface Preparation {
  readonly link: ServerLink;
  readonly config: TestConfig;
  readonly test: RunningTest;
  readonly cpus: CpuDealer;
  readonly emit: (event: ClientEvent) => void;
}

async function prepare(preparation: Preparation): Promise<void> {
  const { link, config, test, emit } = preparation;
  const { address, port, ipVersion } = link;
  emit({ type: "connected", config, address, port, ipVersion });
  for (const direction of test.directions) {
    if (direction.config.reverse) await prepareReverse(preparation, direction);
    else await prepareForward(preparation, direction);
  }
  tellFeatures(config, test, emit);
}

function tellFeatures(config: TestConfig, test: RunningTest, emit: (event: ClientEvent) => void): void {
  const features = featuresOf(test.directions);
  const isOurs = test.directions.some(({ granted }) => granted !== null);
  const kind = isOurs ? "the server is one of ours" : "the server speaks the protocol of 0.1.8";
  const inUse = features.length === 0 ? "no extensions in use" : `extensions in use: ${features.join(", ")}`;
  emit({ type: "debug", message: `${kind}; ${inUse}` });
  const warn = (message: string): void => emit({ type: "warning", message });
  if (config.singlePort && !features.includes("single_port")) {
    warn("the server does not take data over its control port: the test uses other ports");
  }
  if (config.intervalSeconds !== REPORT_INTERVAL_SECONDS && !isOurs) {
    warn("the server speaks the protocol of 0.1.8: reports come every second");
  }
  if (
    (config.reverse || config.bidir) &&
    !isOurs &&
    (config.congestion ?? config.dscp ?? config.maxSegmentBytes) !== null
  ) {
    warn("the server speaks the protocol of 0.1.8: what it sends goes its ordinary way");
  }
}

/** However often the server says it: ours does so once a second at the most. */
function tellQueued(emit: (event: ClientEvent) => void): (message: Queued) => void {
  let toldMs = -Infinity;
  return ({ place, waitSeconds }) => {
    const nowMs = performance.now();
    if (nowMs - toldMs < QUEUE_NEWS_MS) return;
    toldMs = nowMs;
    emit({ type: "queued", place, waitSeconds });
  };
}

/** The server opens receivers, then this side makes its senders ready. */
async function prepareForward({ link, cpus, emit }: Preparation, direction: DirectionRun): Promise<void> {
  const { config, group } = direction;
  const {
    streamPorts,
    extensions: granted,
    testId,
  } = await link.configure(configurationOf(config, newTestId(), []), tellQueued(emit));
  direction.granted = granted;
  await group.prepare(
    streamPorts.map((port, streamIndex) => {
      const endpoint = endpointOf(link, port, granted);
      return senderSpec({ config, testId, streamIndex, affinityCpu: cpus.next(), granted, endpoint });
    }),
  );
}

function endpointOf({ address }: ServerLink, port: number, granted: Extensions | null): Endpoint {
  if (granted?.singlePort !== true) return { type: "connect", address, port };
  return { type: "dial", address, port, isControlPort: true };
}

/**
 * This side opens its receivers, as an original server needs them; one of ours may say then that it is to be dialled, and
 * receivers that do so take their places.
 */
async function prepareReverse({ link, cpus, emit }: Preparation, direction: DirectionRun): Promise<void> {
  const { config, group } = direction;
  const ownTestId = newTestId();
  const pools = new PortDealer(config.portPools);
  const affinityCpus = Array.from({ length: config.parallel }, () => cpus.next());
  const specs = (testId: TestId, granted: Extensions | null, endpointAt: (streamIndex: number) => Endpoint) =>
    affinityCpus.map((affinityCpu, streamIndex) => {
      const endpoint = endpointAt(streamIndex);
      return receiverSpec({ config, testId, streamIndex, affinityCpu, granted, endpoint });
    });
  const listenAt = ({ ports, firstChoice }: PortChoice): Endpoint => {
    return { type: "listen", bindAddress: link.receiverAddress, ports, firstChoice, peerAddress: null };
  };
  await group.prepare(specs(ownTestId, null, () => listenAt(pools.next(config.family, link.ipVersion))));
  const listenPorts = group.ports;
  const asked = configurationOf(config, ownTestId, listenPorts);
  const { extensions: granted, testId } = await link.configure(asked, tellQueued(emit));
  direction.granted = granted;
  const dialPorts = granted?.dialPorts ?? null;
  if (granted !== null && dialPorts !== null) {
    const { address } = link;
    const isControlPort = granted.singlePort;
    const dialAt = (port: number): Endpoint => ({ type: "dial", address, port, isControlPort });
    await group.prepare(specs(testId, granted, (streamIndex) => dialAt(dialPorts[streamIndex] ?? 0)));
  } else if (testId !== ownTestId) {
    // Those that listen know the test by another name: they are opened anew, at the ports that the server was told.
    const listenAgain = (port: number) => listenAt({ ports: [{ first: port, last: port }], firstChoice: 0 });
    await group.prepare(specs(testId, granted, (streamIndex) => listenAgain(listenPorts[streamIndex] ?? 0)));
  }
}

/** A version 4 UUID, as its sixteen bytes (RFC 9562, 5.4). */
function newTestId(): Uint8Array {
  return Uint8Array.from(Buffer.from(crypto.randomUUID().replaceAll("-", ""), "hex"));
}

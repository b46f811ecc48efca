import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { TestResult } from "../results/types.ts";
import { CpuDealer, PortDealer } from "../workers/dealers.ts";
import type { StreamWorker } from "../workers/worker-thread.ts";
import { configurationOf, receiverSpec, senderSpec } from "./configuration.ts";
import type { TestDependencies } from "./dependencies.ts";
import type { ClientEvent } from "./events.ts";
import { RunningTest } from "./running-test.ts";
import { ServerLink } from "./server-link.ts";

/**
 * Runs one test from the connection to its result. A test that began always has a result, however it ended; before
 * that, throws RperfError.
 */
export async function runTest(config: TestConfig, dependencies: TestDependencies): Promise<TestResult> {
  const cpus = new CpuDealer(config.affinity, (message) => dependencies.emit({ type: "warning", message }));
  const { parallel: streams, bandwidthBytesPerSecond: streamBytesPerSecond } = config;
  const acquiring = dependencies.pool.acquire({ streams, cpus: cpus.size, streamBytesPerSecond });
  const { interrupted, forget } = listenFor(dependencies.signal);
  const opening = ServerLink.open(config);
  try {
    const link = await Promise.race([opening, interrupted]);
    const test = new RunningTest(config, link, await acquiring, dependencies);
    await Promise.race([prepare({ link, config, test, cpus }, dependencies.emit), interrupted]);
    return await test.run();
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
}

async function prepare(preparation: Preparation, emit: (event: ClientEvent) => void): Promise<void> {
  const { link, config } = preparation;
  const { address, port, ipVersion } = link;
  emit({ type: "connected", config, address, port, ipVersion });
  const isOurs = await (config.reverse ? prepareReverse(preparation) : prepareForward(preparation));
  emit({ type: "debug", message: isOurs ? "the server is one of ours" : "the server speaks the protocol of 0.1.8" });
}

/** The server opens receivers, then this side makes its senders ready. Tells whether the server is ours. */
async function prepareForward({ link, config, test, cpus }: Preparation): Promise<boolean> {
  const testId = newTestId();
  const { streamPorts, extensions } = await link.configure(configurationOf(config, testId, []));
  await test.group.prepare(
    streamPorts.map((port, streamIndex) => {
      const commons = { config, testId, streamIndex, affinityCpu: cpus.next() };
      return senderSpec(commons, { address: link.address, port }, extensions !== null);
    }),
  );
  return extensions !== null;
}

/** This side opens its receivers, then the server makes its senders ready. Tells whether the server is ours. */
async function prepareReverse({ link, config, test, cpus }: Preparation): Promise<boolean> {
  const testId = newTestId();
  const ports = new PortDealer(config.portPools);
  await test.group.prepare(
    Array.from({ length: config.parallel }, (_, streamIndex) => {
      const commons = { config, testId, streamIndex, affinityCpu: cpus.next() };
      return receiverSpec(commons, link.receiverAddress, ports.next(config.family, link.ipVersion));
    }),
  );
  const { extensions } = await link.configure(configurationOf(config, testId, test.group.ports));
  return extensions !== null;
}

/** A version 4 UUID, as its sixteen bytes (RFC 9562, 5.4). */
function newTestId(): Uint8Array {
  return Uint8Array.from(Buffer.from(crypto.randomUUID().replaceAll("-", ""), "hex"));
}

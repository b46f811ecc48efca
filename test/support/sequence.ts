// What a client may do to a server, step by step, and what the server has to answer: a model of the protocol's phases that
// holds for any steps in any order.
import type { Random } from "./random.ts";
import { rperf, startProcess } from "./process.ts";
import {
  connectTcp,
  downloadConfiguration,
  openDatagrams,
  RawClient,
  type RawMessage,
  tcpBuffer,
  udpPacket,
  uploadConfiguration,
} from "./raw-client.ts";

/** Each is plain data, so that a sequence can be printed, cut short and run again. */
export type Step =
  | {
      readonly kind: "configure";
      readonly role: "download" | "upload";
      readonly family: "tcp" | "udp";
      readonly isSinglePort: boolean;
      readonly isResumable: boolean;
      /** The field that is wrong; null = none. */
      readonly spoilt: string | null;
    }
  | { readonly kind: "begin" | "end" | "data" | "reset" | "half-close" | "stall" | "resume" | "resume by a guess" }
  | { readonly kind: "misplaced"; readonly message: RawMessage }
  /** The program itself, ended in the middle of a test. */
  | { readonly kind: "kill"; readonly flags: readonly string[]; readonly afterMs: number };

const SPOILT = ["streams", "length", "test_id", "family", "role", "extensions"] as const;
const MISPLACED: readonly RawMessage[] = [
  { kind: "connect", stream_ports: [9] },
  { kind: "done", origin: "server", stream_idx: 0 },
  { kind: "receive", family: "tcp", stream_idx: 0, timestamp: 1, duration: 1, bytes_received: 1 },
  { kind: "proof", mac: `${"A".repeat(43)}=` },
  { kind: "ack", have: 2 ** 40 },
  { kind: "sent", stream_idx: 254, packets: 1, omitted_packets: 0 },
  { kind: "pause" },
];
const MODES = [[], ["-u"], ["-R"], ["-u", "-R"], ["--bidir"], ["--single-port"], ["-u", "--single-port"]] as const;
const MOST_STEPS = 7;

/** A sequence whose steps make some sense more often than not. */
export function sequenceOf(random: Random): readonly Step[] {
  return Array.from({ length: random.between(1, MOST_STEPS) }, (_, index) => stepOf(random, index));
}

function stepOf(random: Random, index: number): Step {
  const choice = random.below(100);
  if (choice < (index === 0 ? 75 : 22)) {
    return {
      kind: "configure",
      role: random.pick(["download", "upload"]),
      family: random.pick(["tcp", "udp"]),
      isSinglePort: random.oneIn(4),
      isResumable: random.oneIn(4),
      spoilt: random.oneIn(8) ? random.pick(SPOILT) : null,
    };
  }
  if (choice < 45) return { kind: "begin" };
  if (choice < 54) return { kind: "data" };
  if (choice < 62) return { kind: "end" };
  if (choice < 69) return { kind: "reset" };
  if (choice < 75) return { kind: "half-close" };
  if (choice < 80) return { kind: "stall" };
  if (choice < 89) return { kind: "resume" };
  if (choice < 93) return { kind: "resume by a guess" };
  if (choice < 97) return { kind: "misplaced", message: random.pick(MISPLACED) };
  const flags = [...random.pick(MODES), "--resume-timeout", "0", "-b", "1m"];
  return { kind: "kill", flags, afterMs: random.between(80, 500) };
}

/** Where the client stands, as far as the server is concerned. */
type Phase = "first" | "ready" | "begun";

/** How long the server's answer may take: an end waits for the streams, which have 2 s. */
const ANSWER_MS = 8_000;
const STALL_MS = 150;

/** One client that takes steps, and expects of each what the model says. Throws where the server does otherwise. */
export class ModelClient {
  readonly #port: number;
  /** Null: the next step that needs one connects. */
  #client: RawClient | null = null;
  #phase: Phase = "first";
  #configurations: (RawMessage & { readonly ports: readonly number[] })[] = [];
  /** By which the last test may be gone on with; null = it may not. */
  #token: string | null = null;
  readonly #things: { close(): void }[] = [];
  readonly #killed: Promise<unknown>[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "configure":
        return this.#configure(step);
      case "begin":
        return this.#begin();
      case "end":
        return this.#end();
      case "data":
        return this.#data();
      case "stall":
        return this.#stall();
      case "reset":
      case "half-close":
        return this.#leave(step.kind);
      case "resume":
        return this.#resume(this.#token);
      case "resume by a guess":
        return this.#resume(null);
      case "misplaced":
        return this.#expectRefusal(step.message, null);
      case "kill":
        return this.#kill(step.flags, step.afterMs);
    }
  }

  /** Nothing of this client is left, but for what it held on the server. */
  async close(how: "end" | "reset" | "half-close"): Promise<void> {
    if (this.#client !== null) await (how === "end" ? this.#end() : this.#leave(how));
    for (const thing of this.#things) thing.close();
    await Promise.all(this.#killed);
  }

  async #configure(step: Extract<Step, { kind: "configure" }>): Promise<void> {
    const extensions = {
      version: 1,
      interval: 0.1,
      duration: 0.3,
      ...(step.isSinglePort ? { single_port: true } : {}),
      ...(step.isResumable ? { resume: { timeout: 1 } } : {}),
      ...(step.role === "upload" ? { dial: "client" } : {}),
    };
    const changes = {
      family: step.family,
      extensions,
      ...(step.role === "upload" ? { duration: 0.3 } : {}),
      ...(step.spoilt === null ? {} : { [step.spoilt]: 2 ** 40 }),
    };
    const configuration = step.role === "download" ? downloadConfiguration(changes) : uploadConfiguration(changes);
    const isSecond = this.#configurations.some(({ role }) => role === step.role);
    if (step.spoilt !== null) return this.#expectRefusal(configuration, step.spoilt);
    if (this.#phase === "begun" || isSecond) return this.#expectRefusal(configuration, "configuration");
    const client = await this.#connected();
    client.send(configuration);
    const answer = await this.#answer(client, step.role === "download" ? "connect" : "connect-ready");
    const granted = (answer["extensions"] ?? {}) as {
      readonly stream_ports?: readonly number[];
      readonly resume?: { readonly token: string };
    };
    const ports = (answer["stream_ports"] ?? granted.stream_ports ?? []) as readonly number[];
    this.#configurations.push({ ...configuration, ports });
    const isFirst = this.#configurations.length === 1;
    this.#token = isFirst || this.#token !== null ? (granted.resume?.token ?? null) : null;
    this.#phase = "ready";
  }

  async #begin(): Promise<void> {
    if (this.#phase !== "ready") return this.#expectRefusal({ kind: "begin" }, "begin");
    (await this.#connected()).send({ kind: "begin" });
    this.#phase = "begun";
  }

  async #end(): Promise<void> {
    const client = await this.#connected();
    client.send({ kind: "end" });
    await client.closed(ANSWER_MS);
    const error = client.messages.find(({ kind }) => kind === "error");
    if (error !== undefined) throw new Error(`an end was answered with ${JSON.stringify(error)}`);
    this.#forget();
  }

  /** What a stream's other end would do, as far as one can without knowing how the test goes on. */
  async #data(): Promise<void> {
    for (const { ports, family, test_id: testId, extensions } of this.#configurations) {
      const [port = this.#port] = ports;
      const id = testId as number[];
      if ((extensions as { readonly single_port?: boolean }).single_port === true) continue;
      if (family === "udp") {
        const socket = await openDatagrams();
        for (let packetId = 0; packetId < 5; packetId += 1) socket.send(udpPacket(id, packetId), port);
        socket.send(Uint8Array.from(id), port);
        socket.close();
        continue;
      }
      // The stream may be over by now, and its port closed.
      const socket = await connectTcp(port).catch(() => null);
      if (socket === null) continue;
      socket.on("error", () => {});
      socket.resume();
      socket.write(tcpBuffer(id));
      this.#things.push({ close: () => socket.destroy() });
    }
  }

  async #stall(): Promise<void> {
    (await this.#connected()).pause();
    await Bun.sleep(STALL_MS);
    // Who does not read hears nothing more: the only way on is to leave.
    await this.#leave("reset");
  }

  async #leave(how: "reset" | "half-close"): Promise<void> {
    const client = await this.#connected();
    if (how === "reset") client.reset();
    else client.end();
    await client.closed(ANSWER_MS);
    const token = how === "reset" ? this.#token : null;
    this.#forget();
    this.#token = token;
  }

  /** Null: by a token that nobody has. */
  async #resume(token: string | null): Promise<void> {
    const before = this.#client;
    const client = await RawClient.connect(this.#port);
    client.send({ kind: "resume", token: token ?? "0123456789abcdef".repeat(2), have: 0 });
    const answer = await client.next(ANSWER_MS);
    if (token === null) {
      if (answer["kind"] !== "error") throw new Error(`a guessed token was answered with ${JSON.stringify(answer)}`);
      return client.closed(ANSWER_MS);
    }
    if (answer["kind"] !== "resumed") throw new Error(`a good token was answered with ${JSON.stringify(answer)}`);
    await before?.closed(ANSWER_MS);
    this.#client = client;
    this.#phase = answer["phase"] === "ready" ? "ready" : "begun";
    // What was configured is known to the server alone.
    if (before === null) this.#configurations = [];
    if (before === null && this.#phase === "ready") await this.#end();
  }

  async #kill(flags: readonly string[], afterMs: number): Promise<void> {
    const child = startProcess(rperf("-c", "127.0.0.1", "-p", `${this.#port}`, "-t", "5", ...flags));
    await Bun.sleep(afterMs);
    child.kill("SIGKILL");
    this.#killed.push(child.exited);
  }

  /** The server says why, names it, and closes. */
  async #expectRefusal(message: RawMessage, named: string | null): Promise<void> {
    const client = await this.#connected();
    client.send(message);
    const error = await this.#answer(client, "error");
    if (named !== null && !String(error["message"]).includes(named))
      throw new Error(`the refusal does not name ${named}: ${JSON.stringify(error)}`);
    await client.closed(ANSWER_MS);
    this.#forget();
  }

  /** The next message of this kind; results and completions may come before. */
  async #answer(client: RawClient, kind: string): Promise<RawMessage> {
    for (;;) {
      const message = await client.next(ANSWER_MS);
      if (message["kind"] === kind) return message;
      if (!["send", "receive", "done", "failed"].includes(String(message["kind"])))
        throw new Error(`expected ${kind}, got ${JSON.stringify(message)}`);
    }
  }

  async #connected(): Promise<RawClient> {
    this.#client ??= await RawClient.connect(this.#port);
    return this.#client;
  }

  #forget(): void {
    this.#client = null;
    this.#phase = "first";
    this.#configurations = [];
    this.#token = null;
  }
}

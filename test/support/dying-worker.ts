// A Worker that runs streams as any does, and dies when it is told to, in the way that its environment says.
// The entry by a name that is made here, as entries are run and not imported.
await import(new URL("../../src/stream-worker.ts", import.meta.url).href);

function die(how: string): void {
  switch (how) {
    case "throw":
      throw new Error("a defect in a Worker");
    case "rejection":
      void Promise.reject(new Error("a rejection in a Worker"));
      return;
    case "memory":
      // More than there is: a RangeError that nobody catches.
      return void new Uint8Array(2 ** 52);
    case "exit":
      return process.exit(1);
    default:
      throw new Error(`no such death: ${how}`);
  }
}

const how = process.env["RPERF_TEST_DEATH"] ?? "none";
const channel = new BroadcastChannel(`rperf-test-death-${how}`);
// From a timer: what a channel's listener throws is its own affair.
channel.onmessage = () => setTimeout(() => die(how));

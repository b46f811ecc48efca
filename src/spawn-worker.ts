/**
 * The only `new Worker`. In a compiled binary `import.meta.url` is the bundle's root for every module, so the Worker's
 * entry must lie beside the main entry and be spawned from there.
 */
export function spawnWorker(): Worker {
  return new Worker(new URL("./stream-worker.ts", import.meta.url).href, { smol: true });
}

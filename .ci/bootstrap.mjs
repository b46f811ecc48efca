// Makes node_modules match package-lock.json, and the pinned Bun in it runnable, with nothing but Node's npm.
// Does nothing when both hold already. Runs under node, before any Bun is there.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === "win32";
const bun = join(root, "node_modules", "bun", "bin", "bun.exe"); // npm's name for it on every system

/** The packages of a lock file, or null when it cannot be read. */
function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? null;
  } catch {
    return null;
  }
}

/** Whether npm's own record of node_modules names the locked version of every package that belongs here. */
function installed() {
  const wanted = packagesOf(join(root, "package-lock.json"));
  const present = packagesOf(join(root, "node_modules", ".package-lock.json"));
  if (wanted === null || present === null) return false;
  for (const [path, { version, optional, integrity }] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = present[path];
    if (found === undefined && optional === true) continue; // for another system
    if (found === undefined || found.version !== version || found.integrity !== integrity) return false;
    if (optional !== true && !existsSync(join(root, path))) return false;
  }
  return Object.keys(present).every((path) => path in wanted);
}

function pinnedBunRuns() {
  const wanted = packagesOf(join(root, "package-lock.json"))?.["node_modules/bun"]?.version;
  const { status, stdout } = spawnSync(bun, ["--version"], { encoding: "utf8" });
  return status === 0 && stdout.trim() === wanted;
}

function npmCi() {
  console.error("Installing what package-lock.json pins (npm ci) …");
  // Named, so that NODE_ENV=production or the user's `omit` cannot leave Bun itself out.
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const npm = process.env.npm_execpath;
  const options = { cwd: root, stdio: ["ignore", 2, 2] };
  const { status, error } =
    npm !== undefined && /\.c?js$/.test(npm)
      ? spawnSync(process.execPath, [npm, ...args], options)
      : spawnSync("npm", args, { ...options, shell: windows }); // npm is npm.cmd on Windows
  if (status !== 0) {
    console.error(`npm ci failed${error === undefined ? "" : `: ${error.message}`}`);
    process.exit(1);
  }
}

if (!installed()) npmCi();
if (!pinnedBunRuns()) {
  // npm was told not to run install scripts (ignore-scripts): this one puts Bun's executable in its place.
  spawnSync(process.execPath, ["install.js"], { cwd: join(root, "node_modules", "bun"), stdio: ["ignore", 2, 2] });
  if (!pinnedBunRuns()) {
    // A node_modules from another system, or a damaged one.
    npmCi();
    if (!pinnedBunRuns()) {
      spawnSync(process.execPath, ["install.js"], { cwd: join(root, "node_modules", "bun"), stdio: ["ignore", 2, 2] });
    }
    if (!pinnedBunRuns()) {
      console.error(`Bun is installed but does not run: ${bun}`);
      process.exit(1);
    }
  }
}

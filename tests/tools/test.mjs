// `npm test`: every check there is, or `npm test -- lint`, `native`, `worker` for a part.

import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { command, elapsed, ROOT, run, step, Stop } from "./progress.mjs";
import { ensurePackages, ensureRust, node, wrangler, WRANGLER_ENV } from "./toolchain.mjs";

const PARTS = {
  lint: [
    ["Format (cargo fmt)", () => run("cargo", ["fmt", "--check"])],
    ["Lint, native (clippy)", () => clippy("--all-targets")],
    ["Lint, wasm (clippy)", () => clippy("--target", "wasm32-unknown-unknown")],
  ],
  native: [["Native tests (cargo test)", () => run("cargo", ["test"], { show: true })]],
  worker: [
    ["The Worker's build", build],
    ["A deploy, dry (wrangler deploy --dry-run)", dryDeploy],
    ["The Worker under workerd (node --test)", workerTests],
  ],
};

/**
 * A test, or a file of them, that takes longer waits for something that will not come. The longest installs Python packages,
 * or lets a thousand callers spend a dollar on a machine that has other things to do.
 */
const LONGEST_TEST_MS = 300_000;

async function test() {
  const started = Date.now();
  const parts = chosenParts();
  await ensurePackages();
  await ensureRust();
  const checks = parts.flatMap((part) => PARTS[part]);
  for (const [title, check] of checks) await step(title, check);
  console.log(`\n✓ ${checks.length} checks passed in ${elapsed(started)}: ${parts.join(", ")}`);
}

function chosenParts() {
  const named = process.argv.slice(2);
  const unknown = named.find((part) => !Object.hasOwn(PARTS, part));
  if (unknown) throw new Stop(`There is no part "${unknown}": choose from ${Object.keys(PARTS).join(", ")}.`);
  return named.length > 0 ? named : Object.keys(PARTS);
}

function clippy(...targets) {
  return run("cargo", ["clippy", ...targets, "--", "-D", "warnings"], { label: "cargo clippy", show: process.stdout.isTTY });
}

async function workerTests() {
  const files = ["tests/tools", "tests/worker"].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".test.mjs")).map((name) => join(folder, name)),
  );
  // One at a time: most start a workerd of their own, and small machines should still meet the deadlines under test.
  const options = ["--test-concurrency=1", `--test-timeout=${LONGEST_TEST_MS}`];
  await run(node(), ["--test", ...options, ...files], { env: WRANGLER_ENV, show: true, label: "node --test" });
}

/** Makes the bundle that a deploy would upload; the tests run exactly that. */
async function dryDeploy() {
  rmSync(join(ROOT, "dist"), { recursive: true, force: true });
  const args = wrangler("deploy", "--dry-run", "--outdir", join(ROOT, "dist"));
  const output = await run(node(), args, { env: WRANGLER_ENV, label: "wrangler deploy --dry-run" });
  const size = output.match(/Total Upload: .*/)?.[0];
  if (size) console.log(`  ${size}`);
}

await command(test);

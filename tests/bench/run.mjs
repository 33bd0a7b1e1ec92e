// `npm run bench`: the gateway against a Worker that only passes bytes, in one run on this machine.
//
//   npm run bench                                    everything: about 15 minutes
//   npm run bench -- --quick                         only what has a bar, in short rounds
//   npm run bench -- --workloads 'plain-*' --rounds 7
//   npm run bench -- --soak                          and fifty thousand calls for the memory
//   npm run bench -- --bare                          and the gateway without failover and breakers
//   npm run bench -- --peers                         and other gateways, installed into .cache/peers
//   npm run bench -- --floor-only                    the floor alone: what this machine can do
//   npm run bench -- --prepare                       writes the settings, measures nothing

import { randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "../tools/build.mjs";
import { command, ROOT, run, step, Stop } from "../tools/progress.mjs";
import { ensurePackages, node, wrangler, WRANGLER_ENV } from "../tools/toolchain.mjs";
import { peers } from "./peers.mjs";
import { deployed, floor, gateway, storage } from "./workerd.mjs";

const PORTS = { upstream: 9200, floor: 9201, gateway: 9202, portkey: 9203, litellm: 9204, bare: 9205, storage: 9207 };
const UPSTREAM = `http://127.0.0.1:${PORTS.upstream}`;

/** Settings, logs and figures of the last run. */
const FOLDER = join(ROOT, "target", "bench");

/** The largest script of the free plan is far larger; this is what a cold start can still load quickly. */
const LARGEST_SCRIPT = 1024 * 1024;

const MODELS = { openai: "gpt-4o", anthropic: "claude-sonnet-4-5", gemini: "gemini-2.5-flash" };

/** Turns off what follows failures: what it costs while nothing fails shows against the gateway as it is. */
const BARE = { failover: { enabled: false }, health: { enabled: false } };

/** What a key is subject to that is compared with one that is subject to nothing. Neither ever ends a bench. */
const BUDGETS = {
  budgets: [{ limit: 1_000_000, period: "month" }, { limit: 100_000, period: "day" }],
  limits: [{ unit: "requests", per: "minute", max: 10_000_000 }],
};

/** What is decided by routing: among fifty targets, and by the classifier. */
const ALIASES = {
  fifty: { strategy: "balanced", candidates: Array.from({ length: 50 }, (_, index) => `openai/gpt-bench-${index}`) },
  prompt: { strategy: "prompt", candidates: [{ model: "openai/gpt-4o-mini", difficulty: { to: 3 } }, "openai/gpt-4o"] },
};

async function bench() {
  const options = parse();
  if (process.platform !== "linux") throw new Stop("The bench reads CPU and memory from /proc, so it needs Linux.");
  await ensurePackages();
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const program = await buildProgram();
  const stored = options["floor-only"] ? undefined : startStorage();
  try {
    await measure(options, program);
  } finally {
    stored?.kill();
  }
}

/** KV and D1 for as long as the bench runs. What they do is not the gateway's CPU: deployed, they are other machines. */
function startStorage() {
  const [program, ...args] = storage(FOLDER, PORTS.storage);
  return spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
}

async function measure(options, program) {
  const targets = [floorTarget()];
  let fits = true;
  if (!options["floor-only"]) {
    const bundle = await bundleGateway();
    fits = reportSize(bundle);
    targets.push(await gatewayTarget(bundle, "gateway", {}, options.soak));
    if (options.bare) targets.push({ ...(await gatewayTarget(bundle, "bare", BARE)), measured: false, without: "gateway" });
  }
  if (options.peers) targets.push(...(await peers({ ports: PORTS, upstream: UPSTREAM, models: MODELS, log })));
  const plan = {
    upstream_port: PORTS.upstream,
    targets,
    workloads: options.workloads?.split(",") ?? [],
    rounds: options.rounds === undefined ? undefined : Number(options.rounds),
    quick: options.quick,
    soak: options.soak,
    report: join(FOLDER, "report.json"),
  };
  const file = join(FOLDER, "plan.json");
  writeFileSync(file, JSON.stringify(plan, null, 1));
  if (options.prepare) return console.log(`The plan is in ${file}`);
  await run(program, [file], { show: true, label: "the bench" });
  if (!fits) throw new Stop("The script is too large.");
}

function parse() {
  const flag = { type: "boolean", default: false };
  const text = { type: "string" };
  try {
    return parseArgs({
      options: { quick: flag, soak: flag, peers: flag, bare: flag, "floor-only": flag, prepare: flag, rounds: text, workloads: text },
    }).values;
  } catch (error) {
    throw new Stop(error.message);
  }
}

async function buildProgram() {
  const target = join(ROOT, "target", "bench-program");
  await step("Building the load client and the fake upstream", () =>
    run("cargo", ["build", "--release", "--locked", "--manifest-path", join("tests", "bench", "Cargo.toml"), "--target-dir", target], {
      label: "cargo build",
    }),
  );
  return join(target, "release", "latchkey-bench");
}

/** The Worker as it would be deployed. */
async function bundleGateway() {
  await build();
  const bundle = join(FOLDER, "bundle");
  await step("Bundling the Worker as for a deploy", () =>
    run(node(), wrangler("deploy", "--dry-run", "--outdir", bundle), { env: WRANGLER_ENV, label: "wrangler deploy --dry-run" }),
  );
  return bundle;
}

function reportSize(bundle) {
  const contents = deployed(bundle).map((name) => readFileSync(join(bundle, name)));
  const total = contents.reduce((sum, content) => sum + content.length, 0);
  const zipped = contents.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0);
  const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
  const fits = zipped < LARGEST_SCRIPT;
  console.log(`  script: ${kib(total)}, gzipped ${kib(zipped)} (< ${kib(LARGEST_SCRIPT)}: ${fits ? "ok" : "FAILED"})`);
  return fits;
}

function floorTarget() {
  const base = `http://127.0.0.1:${PORTS.floor}`;
  const gemini = `${base}/v1beta/models/${MODELS.gemini}`;
  return {
    name: "floor",
    command: floor(FOLDER, PORTS.floor, UPSTREAM),
    log: log("floor"),
    port: PORTS.floor,
    headers: { authorization: "Bearer none" },
    // It speaks what the upstream speaks, so its requests do.
    routes: {
      openai: { url: `${base}/v1/chat/completions`, model: MODELS.openai, protocol: "openai" },
      // The same, for what the gateway decides and the floor does not.
      fifty: { url: `${base}/v1/chat/completions`, model: MODELS.openai, protocol: "openai" },
      prompt: { url: `${base}/v1/chat/completions`, model: MODELS.openai, protocol: "openai" },
      budgets: { url: `${base}/v1/chat/completions`, model: MODELS.openai, protocol: "openai" },
      anthropic: { url: `${base}/v1/messages`, model: MODELS.anthropic, protocol: "anthropic" },
      gemini: {
        url: `${gemini}:generateContent`,
        stream_url: `${gemini}:streamGenerateContent?alt=sse`,
        model: MODELS.gemini,
        protocol: "gemini",
      },
    },
  };
}

/** The gateway, with some settings changed; `watched`, it tells the size of its wasm memory. */
async function gatewayTarget(bundle, name = "gateway", switches = {}, watched = false) {
  const base = `http://127.0.0.1:${PORTS[name]}`;
  const secret = () => randomBytes(32).toString("base64url");
  const variables = {
    ADMIN_KEY: secret(),
    LATCHKEY_SECRET: secret(),
    ENVIRONMENT: "dev",
    OPENAI_API_KEY: "none",
    OPENAI_BASE_URL: `${UPSTREAM}/v1`,
    ANTHROPIC_API_KEY: "none",
    ANTHROPIC_BASE_URL: UPSTREAM,
    GEMINI_API_KEY: "none",
    GEMINI_BASE_URL: UPSTREAM,
  };
  const start = gateway(join(FOLDER, name), PORTS[name], bundle, variables, PORTS.storage, watched);
  const [key, budgeted] = await step("Making gateway keys", () => makeKeys(start, base, variables.ADMIN_KEY, switches));
  const url = `${base}/v1/chat/completions`;
  const route = (provider) => ({ url, model: `${provider}/${MODELS[provider]}`, protocol: "openai" });
  return {
    name,
    measured: true,
    command: start,
    log: log(name),
    port: PORTS[name],
    headers: { authorization: `Bearer ${key}` },
    memory_url: watched ? `${base}/wasm-memory` : undefined,
    routes: {
      openai: route("openai"),
      anthropic: route("anthropic"),
      gemini: route("gemini"),
      budgets: { ...route("openai"), headers: { authorization: `Bearer ${budgeted}` } },
      fifty: { url, model: "fifty", protocol: "openai" },
      prompt: { url, model: "prompt", protocol: "openai" },
    },
  };
}

/** Starts the gateway once for its admin API; a key that is subject to nothing and one with budgets stay in its storage. */
async function makeKeys([program, ...args], base, adminKey, switches) {
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  const admin = async (method, path, body, headers) => {
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Stop(`${method} ${path}: status ${answer.status}, ${text}`);
    return JSON.parse(text);
  };
  try {
    await ready(base, child);
    const { key } = await admin("POST", "/admin/keys", { name: "bench" });
    const { key: budgeted } = await admin("POST", "/admin/keys", { name: "budgeted", ...BUDGETS });
    // Both lanes of the same protocol are measured: with this, streams whose caller asks for usage are relayed.
    const settings = { version: 1, lanes: { relay: true }, aliases: ALIASES, ...switches };
    await admin("PUT", "/admin/config", settings, { "if-match": "*" });
    return [key, budgeted];
  } finally {
    child.kill();
    await new Promise((resolve) => child.once("exit", resolve));
  }
}

async function ready(base, child) {
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) throw new Stop("workerd ended at once: its output above says why.");
    const answer = await fetch(`${base}/health`).catch(() => undefined);
    if (answer?.ok) return;
    await delay(100);
  }
  throw new Stop("The gateway does not answer /health.");
}

function log(name) {
  return join(FOLDER, `${name}.log`);
}

await command(bench);

// `npm start`: from a fresh clone to a gateway that answers on this machine, and the same again in seconds.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { build } from "./build.mjs";
import { command, elapsed, ROOT, run, step, Stop } from "./progress.mjs";
import { node, wrangler, WRANGLER_ENV } from "./toolchain.mjs";
import { localVariables, rememberKey, writeForWrangler } from "./variables.mjs";

/** How long workerd may take to come up before something must be wrong. */
const READY_WITHIN_MS = 60_000;

/** How long wrangler may take to stop before it is killed. */
const STOP_WITHIN_MS = 5_000;

/** The local database's migrations that were applied, beside the database itself, so that both vanish together. */
const APPLIED = join(ROOT, ".wrangler", "state", "latchkey-migrations");

async function start() {
  const started = Date.now();
  const port = await freePort();
  await build();
  const variables = localVariables();
  await applyMigrations();

  const base = `http://localhost:${port}`;
  const file = writeForWrangler(variables);
  const gateway = launch(port, file);
  try {
    await step(`Starting the gateway on ${base}`, () => ready(base, gateway));
    if (gateway.isInterrupted()) return;
    const key = await gatewayKey(base, variables);
    console.log(welcome(base, key, await reached(base, variables), started));
    gateway.show();
    await gateway.ended;
  } finally {
    await gateway.stop();
    rmSync(file, { force: true });
  }
}

/** The port to serve on, checked before the long steps, not after them. */
async function freePort() {
  const port = Number(process.env.PORT ?? 8787);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Stop(`PORT=${process.env.PORT} is no port number.`);
  for (const host of ["127.0.0.1", "::1"]) {
    const error = await new Promise((resolve) => {
      const server = createServer().once("error", resolve);
      server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
    });
    if (error?.code === "EADDRINUSE") {
      throw new Stop(`Port ${port} is in use. Stop what runs there, or choose another: PORT=${port + 1} npm start`);
    }
    if (error?.code === "EACCES") throw new Stop(`Port ${port} may not be used by this user: PORT=8787 npm start`);
  }
  return port;
}

async function applyMigrations() {
  const names = readdirSync(join(ROOT, "migrations")).filter((name) => name.endsWith(".sql")).sort().join("\n");
  if (existsSync(APPLIED) && readFileSync(APPLIED, "utf8") === names) return;
  await step("Applying migrations to the local database", async () => {
    const args = wrangler("d1", "migrations", "apply", "DB", "--local");
    await run(node(), args, { env: { ...WRANGLER_ENV, CI: "1" }, label: "wrangler d1 migrations apply" });
    mkdirSync(dirname(APPLIED), { recursive: true });
    writeFileSync(APPLIED, names);
  });
}

/** Runs `wrangler dev`; its output is kept back until the gateway is up, and shown at once if that fails. */
function launch(port, envFile) {
  const args = wrangler("dev", "--port", String(port), "--env-file", envFile, "--show-interactive-dev-session=false");
  const color = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {};
  const child = spawn(node(), args, {
    cwd: ROOT,
    env: { ...process.env, ...WRANGLER_ENV, ...color },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let kept = "";
  let shown = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (shown ? process.stdout.write(text) : (kept += text)));
  }
  let running = true;
  let interrupted = false;
  const ended = new Promise((resolve) => {
    child.once("close", resolve);
    child.once("error", resolve);
  }).then(() => (running = false));

  const stop = async () => {
    if (!running) return;
    child.kill("SIGTERM");
    const patience = new AbortController();
    await Promise.race([ended, delay(STOP_WITHIN_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    if (running) child.kill("SIGKILL");
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.once(signal, () => {
      interrupted = true;
      return stop();
    });
  }
  return {
    ended,
    stop,
    isInterrupted: () => interrupted,
    isRunning: () => running,
    output: () => kept,
    /** From here on the gateway's log appears as it is written. */
    show: () => (shown = true),
  };
}

/** Waits until the gateway says it is ready; a gateway that ends before, or never gets there, is a fault. */
async function ready(base, gateway) {
  const deadline = Date.now() + READY_WITHIN_MS;
  let last = "no answer";
  while (gateway.isRunning() && Date.now() < deadline) {
    try {
      const response = await fetch(`${base}/health/ready`, { signal: AbortSignal.timeout(5_000) });
      if (response.ok) return;
      last = `${response.status} ${await response.text()}`;
    } catch (error) {
      last = error.cause?.message ?? error.message;
    }
    await delay(100);
  }
  if (gateway.isInterrupted()) return;
  console.error(gateway.output());
  throw new Stop(gateway.isRunning() ? `The gateway does not get ready: ${last}` : "wrangler dev ended before the gateway was up.");
}

/** The key of the last start while it is valid, else a new one. */
async function gatewayKey(base, variables) {
  const known = variables.LOCAL_KEY;
  if (known) {
    const response = await fetch(`${base}/v1/models`, { headers: { authorization: `Bearer ${known}` } });
    await response.body?.cancel();
    if (response.ok) return known;
  }
  const response = await fetch(`${base}/admin/keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${variables.ADMIN_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "local" }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Stop(`Making a first key failed: ${response.status} ${text}`);
  const { key } = JSON.parse(text);
  rememberKey(key);
  return key;
}

/** The providers that the gateway has credentials for, whichever kind these are of. */
async function reached(base, variables) {
  const response = await fetch(`${base}/admin/providers`, { headers: { authorization: `Bearer ${variables.ADMIN_KEY}` } });
  const { data = [] } = await response.json();
  return data.filter(({ id, has_credential }) => has_credential && id !== "sandbox").map(({ id }) => id);
}

function welcome(base, key, providers, started) {
  const known = providers.length > 0 ? providers.join(", ") : "none yet, only the built-in sandbox";
  return `
Latchkey answers on ${base} (after ${elapsed(started)}). Stop it with Ctrl-C.

  Base URL       ${base}/v1
  Key            ${key}
  Providers      ${known}

Try it as it stands:

  curl -N ${base}/v1/chat/completions \\
    -H "authorization: Bearer ${key}" \\
    -H "content-type: application/json" \\
    -d '{"model":"sandbox/echo","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

To call real models, put provider keys into .dev.vars or the environment and start again:

  ANTHROPIC_API_KEY=…   then   "model": "anthropic/<model>"
  GEMINI_API_KEY=…      then   "model": "gemini/<model>"

The admin API takes "authorization: Bearer <ADMIN_KEY>" with the ADMIN_KEY from .dev.vars; see README.md.
`;
}

await command(start);

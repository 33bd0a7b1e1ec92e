// Other gateways, installed where nothing of them reaches the repository.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { probe, ROOT, run, step } from "../tools/progress.mjs";

const FOLDER = join(ROOT, ".cache", "peers");

/** With the versions of its own lock file beside it: newer ones of Hono break its streams. */
const PORTKEY = ["@portkey-ai/gateway@1.15.2", "hono@4.9.7", "@hono/node-server@1.13.5", "@hono/node-ws@1.2.0"];
const LITELLM = "litellm[proxy]==1.106.2";

/** Seconds that LiteLLM's proxy may take to load. */
const LITELLM_PATIENCE = 180;

/** The targets that can be had on this machine; what cannot is said and left out. */
export async function peers(setting) {
  const targets = [];
  for (const [name, make] of [["Portkey", portkey], ["LiteLLM", litellm]]) {
    try {
      targets.push(await make(setting));
    } catch (error) {
      console.log(`  ! ${name} IS LEFT OUT: ${error.message}`);
    }
  }
  return targets;
}

async function portkey({ ports, upstream, models, log }) {
  const folder = join(FOLDER, "portkey");
  const server = join(folder, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js");
  if (!existsSync(server)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), "{}");
    const args = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", ...PORTKEY];
    await step("Installing Portkey from npm", () => run("npm", args, { label: "npm install" }));
  }
  const url = `http://127.0.0.1:${ports.portkey}/v1/chat/completions`;
  const route = (model, provider, host) => ({
    url,
    model,
    protocol: "openai",
    headers: { "x-portkey-provider": provider, "x-portkey-custom-host": host },
  });
  return {
    name: "Portkey (Node)",
    command: [process.execPath, server, "--headless", `--port=${ports.portkey}`],
    directory: folder,
    log: log("portkey"),
    port: ports.portkey,
    headers: { authorization: "Bearer none" },
    routes: {
      openai: route(models.openai, "openai", `${upstream}/v1`),
      anthropic: route(models.anthropic, "anthropic", `${upstream}/v1`),
      gemini: route(models.gemini, "google", `${upstream}/v1beta`),
    },
  };
}

async function litellm({ ports, upstream, models, log }) {
  const folder = join(FOLDER, "litellm");
  const program = join(folder, "bin", "litellm");
  if (!existsSync(program)) {
    if (!(await probe("python3", ["--version"]))) throw new Error("there is no python3");
    await step("Installing LiteLLM from PyPI (some minutes)", async () => {
      await run("python3", ["-m", "venv", folder]);
      await run(join(folder, "bin", "pip"), ["install", "--quiet", LITELLM], { label: "pip install" });
    });
  }
  const entry = (name, provider, base) => ({
    model_name: name,
    litellm_params: { model: `${provider}/${name}`, api_base: base, api_key: "none" },
  });
  const settings = join(folder, "settings.yaml");
  // JSON is YAML.
  writeFileSync(
    settings,
    JSON.stringify({
      model_list: [
        entry(models.openai, "openai", `${upstream}/v1`),
        entry(models.anthropic, "anthropic", upstream),
        entry(models.gemini, "gemini", `${upstream}/v1beta`),
      ],
      general_settings: { master_key: "sk-bench" },
      litellm_settings: { telemetry: false },
    }),
  );
  const url = `http://127.0.0.1:${ports.litellm}/v1/chat/completions`;
  const route = (model) => ({ url, model, protocol: "openai" });
  return {
    name: "LiteLLM",
    command: [program, "--config", settings, "--host", "127.0.0.1", "--port", String(ports.litellm), "--num_workers", "2"],
    environment: { LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_LOG: "ERROR" },
    log: log("litellm"),
    port: ports.litellm,
    patience: LITELLM_PATIENCE,
    headers: { authorization: "Bearer sk-bench" },
    routes: { openai: route(models.openai), anthropic: route(models.anthropic), gemini: route(models.gemini) },
  };
}

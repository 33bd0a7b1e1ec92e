// The gateway under workerd, as it would be deployed: the bundle of the dry deploy, local storage in memory, and its
// provider base URLs pointed at the fake upstream.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import OpenAI from "openai";
import { unstable_readConfig as readConfig, unstable_splitSqlQuery as statementsOf } from "wrangler";
import { baseUrls } from "./upstream.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUNDLE = join(ROOT, "dist");

/** Secrets of the tests: long and odd, so that any of them showing up in an answer or a log is found. */
export const SECRETS = {
  ADMIN_KEY: "admin-key-for-tests-5f1b9d0c7a3e",
  LATCHKEY_SECRET: "latchkey-secret-for-tests-8c2e6a4f0b7d",
  OPENAI_API_KEY: "sk-openai-for-tests-1a2b3c4d5e6f",
  ANTHROPIC_API_KEY: "sk-ant-for-tests-2b3c4d5e6f7a",
  GEMINI_API_KEY: "gemini-key-for-tests-3c4d5e6f7a8b",
  MISTRAL_API_KEY: "mistral-key-for-tests-4d5e6f7a8b9c",
  DEEPSEEK_API_KEY: "deepseek-key-for-tests-5e6f7a8b9c0d",
};

/**
 * Starts a gateway of its own for one test file, in front of `upstream`. What it sends anywhere goes through `outside`,
 * where that is given.
 */
export async function startGateway(upstream, variables = {}, outside = undefined) {
  const logs = [];
  const config = readConfig({ config: join(ROOT, "wrangler.toml") });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: config.name,
      modules: modules(),
      modulesRoot: BUNDLE,
      compatibilityDate: config.compatibility_date,
      compatibilityFlags: config.compatibility_flags,
      kvNamespaces: config.kv_namespaces.map(({ binding }) => binding),
      d1Databases: config.d1_databases.map(({ binding }) => binding),
      durableObjects: Object.fromEntries(
        config.durable_objects.bindings.map(({ name, class_name }) => [name, { className: class_name, useSQLite: true }]),
      ),
      bindings: { ENVIRONMENT: "dev", SANDBOX: "on", ...SECRETS, ...baseUrls(upstream.url), ...variables },
      ...(outside && { outboundService: outside }),
      handleStructuredLogs: (log) => logs.push(log),
      cf: false,
    }),
  );
  const url = (await miniflare.ready).origin;
  await migrate(await miniflare.getD1Database("DB"));

  const gateway = {
    url,
    miniflare,
    /** What the Worker wrote to its log, as one text. */
    log: () => logs.map(({ message }) => message).join("\n"),
    /** A request as it stands, without a key unless `init` brings one. */
    fetch: (path, init) => fetch(new URL(path, url), init),
    /** A request to the admin API, with a JSON body where one is given; gives status, headers and body. */
    async admin(method, path, body, headers = {}) {
      const response = await fetch(new URL(path, url), {
        method,
        headers: { authorization: `Bearer ${SECRETS.ADMIN_KEY}`, "content-type": "application/json", ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: text === "" ? undefined : JSON.parse(text) };
    },
    /** Makes a gateway key and gives its record, with the key itself in `key`. */
    async createKey(fields = {}) {
      const { status, text, json } = await gateway.admin("POST", "/admin/keys", { name: "test", ...fields });
      if (status !== 201) throw new Error(`POST /admin/keys: ${status} ${text}`);
      return json;
    },
    /** Puts a configuration document in force. */
    async configure(document) {
      const { status, text } = await gateway.admin("PUT", "/admin/config", { version: 1, ...document }, { "if-match": "*" });
      if (status !== 200) throw new Error(`PUT /admin/config: ${status} ${text}`);
    },
    /** The official SDK in front of this gateway. It does not retry: tests count attempts. */
    client: (key, options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, ...options }),
    close: () => miniflare.dispose(),
  };
  return gateway;
}

function modules() {
  const files = readdirSync(BUNDLE);
  return [
    { type: "ESModule", path: join(BUNDLE, "worker.js") },
    ...files.filter((name) => name.endsWith(".wasm")).map((name) => ({ type: "CompiledWasm", path: join(BUNDLE, name) })),
  ];
}

async function migrate(database) {
  const folder = join(ROOT, "migrations");
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql")).sort();
  for (const statement of names.flatMap((name) => statementsOf(readFileSync(join(folder, name), "utf8")))) {
    await database.prepare(statement).run();
  }
}

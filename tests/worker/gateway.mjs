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
/** Longer than any answer of the tests takes, and less than the gateway's own deadlines: who waits that long waits in vain. */
const LONGEST_ANSWER_MS = 100_000;

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
 * Starts a gateway of its own for one test file, in front of `upstream`.
 * - `outside`: what it sends anywhere goes through this function, where it is given.
 * - `isolates`: so many Workers over the same storage and objects; the header `x-isolate` (from 1) says which one is meant.
 * - `folder`: where it keeps its storage; in memory, where none is given. `again`: it is there from an earlier start.
 * - `unmigrated`: its database lacks so many of the newest migrations.
 * - `troubled`: the health object can be made slow or dead (see `trouble`).
 * - `bound`: it is bound to Workers AI, which the fake upstream plays.
 * - `skews`: by how many milliseconds the clock of each Worker is off.
 * - `partial`: a request's header `x-away` names bindings (`KEYS,DB`) that do not answer it; `x-stumbles`
 *   (`0-2`) says from which time until which the ledger does not take what was done since; `x-late` names namespaces of
 *   KV that answer its reads a moment late, and its answer says in `x-at-once` how many reads were under way at a time.
 * - `wall`: a rate limit for callers with bad keys, as its binding takes it (`{ limit, period }`).
 */
export async function startGateway(upstream, variables = {}, options = {}) {
  const { outside, isolates = 1, troubled = false, bound = false, skews = [], partial = false, wall, folder, again = false, unmigrated = 0 } = options;
  const logs = [];
  const config = readConfig({ config: join(ROOT, "wrangler.toml") });
  const bindings = { ENVIRONMENT: "dev", SANDBOX: "on", ...SECRETS, ...baseUrls(upstream.url), ...variables };
  const workers = Array.from({ length: isolates }, (_, index) => gatewayWorker(config, { index, troubled, outside, bound, skew: skews[index] ?? 0, partial, wall, bindings }));
  if (isolates > 1) workers.unshift(router(config, isolates));
  if (troubled) workers.push(troubleMaker(config));
  if (bound) workers.push(workersAi(config, upstream));
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: (log) => logs.push(log),
      cf: false,
      ...(folder && { resourcePersistencePath: folder }),
    }),
  );
  const url = (await miniflare.ready).origin;
  if (!again) await migrate(await miniflare.getD1Database("DB", config.name), unmigrated);

  const gateway = {
    url,
    miniflare,
    /** The Worker that has the storage and the objects. */
    name: config.name,
    /** What the Worker wrote to its log, as one text. */
    log: () => logs.map(({ message }) => message).join("\n"),
    /** Makes the health object answer so many milliseconds late; `Infinity`: fail at once. Wants `troubled`. */
    async trouble(milliseconds) {
      const worker = await miniflare.getWorker("trouble");
      await worker.fetch("http://trouble/", { method: "POST", body: String(milliseconds) });
    },
    /** A request as it stands, without a key unless `init` brings one. */
    fetch: (path, init) => fetchSoon(url, path, init),
    /** A request to the admin API, with a JSON body where one is given; gives status, headers and body. */
    async admin(method, path, body, headers = {}) {
      const response = await fetchSoon(url, path, {
        method,
        headers: { authorization: `Bearer ${SECRETS.ADMIN_KEY}`, "content-type": "application/json", ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: text === "" ? undefined : JSON.parse(text) };
    },
    /**
     * Lets the schedule come, at that moment and to that Worker. Not by the Worker that `getWorker` gives: its first call
     * stops this process until workerd has taken it, and now and then that never was.
     */
    async scheduled(at = Date.now(), worker = config.name) {
      const query = new URLSearchParams({ time: String(at), cron: "* * * * *" });
      const response = await fetch(new URL(`/cdn-cgi/local/scheduled?${query}`, url), { headers: { "MF-Route-Override": worker } });
      const outcome = await response.text();
      if (outcome !== "ok") throw new Error(`the schedule: ${response.status} ${outcome}`);
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
    client: (key, options = {}) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: LONGEST_ANSWER_MS, ...options }),
    close: () => miniflare.dispose(),
  };
  return gateway;
}

/** `fetch`, but for an answer that does not come, or does not end: that is an error, and says whose answer it was. */
function fetchSoon(url, path, init = {}) {
  const late = new AbortController();
  const what = `${init.method ?? "GET"} ${path}: no whole answer within ${LONGEST_ANSWER_MS} ms`;
  setTimeout(() => late.abort(new Error(what)), LONGEST_ANSWER_MS).unref();
  const signal = init.signal ? AbortSignal.any([init.signal, late.signal]) : late.signal;
  return fetch(new URL(path, url), { ...init, signal });
}

/** One Worker of the gateway; the first has the objects, and the others use them. */
function gatewayWorker(config, { index, troubled, outside, bound, skew, partial, wall, bindings }) {
  const object = ({ name, class_name }) => {
    if (troubled && name === "HEALTH") return [name, { className: "Trouble", scriptName: "trouble" }];
    return [name, { className: class_name, useSQLite: true, ...(index > 0 ? { scriptName: config.name } : {}) }];
  };
  return {
    name: index === 0 ? config.name : `${config.name}-${index + 1}`,
    modules: skew === 0 && !partial ? modules() : [...disturbance(skew), ...modules()],
    modulesRoot: BUNDLE,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    kvNamespaces: config.kv_namespaces.map(({ binding }) => binding),
    d1Databases: config.d1_databases.map(({ binding }) => binding),
    durableObjects: {
      ...Object.fromEntries(config.durable_objects.bindings.map(object)),
      // The object that the one in between asks in the end.
      ...(troubled && index === 0 && { UNTROUBLED: { className: "Health", useSQLite: true } }),
    },
    bindings,
    ...(outside && { outboundService: outside }),
    ...(bound && { serviceBindings: { AI: "workers-ai" } }),
    ...(wall && { ratelimits: { BAD_KEYS: { namespace_id: "1001", simple: wall } } }),
  };
}

/** Modules around the Worker: its clock is off, and bindings do not answer requests that say so. */
function disturbance(skew) {
  const module = (name, contents) => ({ type: "ESModule", path: join(BUNDLE, name), contents });
  return [
    module(
      "disturbed.js",
      `import "./clock.js";
      import worker from "./worker.js";
      export * from "./worker.js";
      const away = () => Promise.reject(new Error("it is away"));
      const nobody = { get: away, getWithMetadata: away, put: away, delete: away, list: away };
      function without(env, request) {
        const names = request.headers.get("x-away")?.split(",") ?? [];
        const [from, until] = (request.headers.get("x-stumbles") ?? "0-0").split("-").map(Number);
        const LEDGER = until > from ? stumbling(env.LEDGER, from, until) : env.LEDGER;
        return { ...env, LEDGER, ...Object.fromEntries(names.map((name) => [name, nobody])) };
      }
      function stumbling(ledger, from, until) {
        let told = 0;
        const fails = ({ url }) => new URL(url).pathname === "/records" && told++ >= from && told <= until;
        // The bindings look at the name of the class.
        return new (class DurableObjectNamespace {
          getByName(name) {
            const stub = ledger.getByName(name);
            return { fetch: (request, ...more) => (fails(request) ? away() : stub.fetch(request, ...more)) };
          }
        })();
      }
      async function late(names, request, env, ctx) {
        let [underWay, most] = [0, 0];
        const reading = (name) => async (...read) => {
          most = Math.max(most, (underWay += 1));
          await scheduler.wait(50);
          underWay -= 1;
          return env[name].get(...read);
        };
        const bindings = names.map((name) => [name, { get: reading(name) }]);
        const answer = await worker.fetch(request, { ...env, ...Object.fromEntries(bindings) }, ctx);
        const headers = new Headers(answer.headers);
        headers.set("x-at-once", String(most));
        return new Response(answer.body, { status: answer.status, headers });
      }
      export default {
        fetch(request, env, ctx) {
          const names = request.headers.get("x-late")?.split(",");
          if (names !== undefined) return late(names, request, env, ctx);
          return worker.fetch(request, without(env, request), ctx);
        },
        scheduled: (controller, env, ctx) => worker.scheduled(controller, env, ctx),
      };`,
    ),
    module("clock.js", `const now = Date.now; Date.now = () => now() + ${skew};`),
  ];
}

/** Sends each request on to the Worker that its header names. */
function router(config, isolates) {
  const name = (index) => (index === 0 ? config.name : `${config.name}-${index + 1}`);
  return {
    name: "router",
    modules: true,
    compatibilityDate: config.compatibility_date,
    serviceBindings: Object.fromEntries(Array.from({ length: isolates }, (_, index) => [`W${index + 1}`, name(index)])),
    script: `export default {
      fetch: (request, env) => env["W" + (request.headers.get("x-isolate") ?? 1)].fetch(request),
    }`,
  };
}

/** Stands before the health objects and delays what they are asked. */
function troubleMaker(config) {
  return {
    name: "trouble",
    modules: true,
    compatibilityDate: config.compatibility_date,
    durableObjects: {
      TROUBLE: { className: "Trouble", useSQLite: true },
      HEALTH: { className: "Health", scriptName: config.name, useSQLite: true },
    },
    script: `import { DurableObject } from "cloudflare:workers";
      let wait = 0;
      export default {
        async fetch(request) {
          wait = Number(await request.text());
          return new Response();
        },
      };
      export class Trouble extends DurableObject {
        async fetch(request) {
          if (wait === Infinity) throw new Error("the object is dead");
          if (wait > 0) await scheduler.wait(wait);
          const objects = this.env.HEALTH;
          return objects.get(objects.idFromName(new URL(request.url).search.slice(1))).fetch(request);
        }
      }`,
  };
}

/**
 * Stands in for the binding of Workers AI, which only the platform has: asks the fake upstream what it was asked, and
 * answers what that answers.
 */
function workersAi(config, upstream) {
  return {
    name: "workers-ai",
    modules: true,
    compatibilityDate: config.compatibility_date,
    bindings: { UPSTREAM: upstream.url },
    script: `import { WorkerEntrypoint } from "cloudflare:workers";
      export default class extends WorkerEntrypoint {
        run(model, inputs, options) {
          const headers = { "content-type": "application/json" };
          return fetch(this.env.UPSTREAM + "/binding/" + model, { method: "POST", headers, body: JSON.stringify({ inputs, options }) });
        }
      }`,
  };
}

function modules() {
  const files = readdirSync(BUNDLE);
  return [
    { type: "ESModule", path: join(BUNDLE, "worker.js") },
    ...files.filter((name) => name.endsWith(".wasm")).map((name) => ({ type: "CompiledWasm", path: join(BUNDLE, name) })),
  ];
}

/** Makes the tables, but for the newest `unmigrated` migrations, and notes what was applied as wrangler does. */
async function migrate(database, unmigrated) {
  const folder = join(ROOT, "migrations");
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql")).sort();
  await database.prepare("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)").run();
  for (const name of names.slice(0, names.length - unmigrated)) {
    for (const statement of statementsOf(readFileSync(join(folder, name), "utf8"))) await database.prepare(statement).run();
    await database.prepare("INSERT INTO d1_migrations (name) VALUES (?1)").bind(name).run();
  }
}

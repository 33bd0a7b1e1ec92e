// Workers under a bare workerd: nothing between them and the socket, nothing between them and the upstream.
//
// Local development tools put Workers of their own before and behind the one that runs. They would cost floor and
// gateway the same, and so make the gateway's share look smaller than it is.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { ROOT } from "../tools/progress.mjs";

const HERE = join(ROOT, "tests", "bench");

/** From npm's package for this platform, because the package `workerd` only starts it through Node. */
export function workerdProgram() {
  const platform = { x64: "64", arm64: "arm64" }[process.arch];
  return join(ROOT, "node_modules", "@cloudflare", `workerd-${process.platform}-${platform}`, "bin", "workerd");
}

/** Writes the floor's settings; gives the command that starts it. */
export function floor(folder, port, upstream) {
  const worker = `(
    modules = [(name = "floor.js", esModule = embed ${quoted(folder, join(HERE, "workers", "floor.js"))})],
    compatibilityDate = "${compatibilityDate()}",
    bindings = [(name = "UPSTREAM", text = "${upstream}")],
    globalOutbound = "network")`;
  return serve(folder, "floor", port, [`(name = "main", worker = ${worker})`]);
}

/** Writes the settings of KV and D1, which are elsewhere when deployed and so a process of their own; gives its command. */
export function storage(folder, port) {
  const migrations = join(ROOT, "migrations");
  const files = readdirSync(migrations).filter((name) => name.endsWith(".sql")).sort();
  const all = files.map((name) => ({ name, sql: readFileSync(join(migrations, name), "utf8") }));
  const worker = `(
    modules = [(name = "storage.mjs", esModule = embed ${quoted(folder, join(HERE, "workers", "storage.mjs"))})],
    compatibilityDate = "${compatibilityDate()}",
    bindings = [
      (name = "STORE", durableObjectNamespace = "Store"),
      (name = "MIGRATIONS", json = ${JSON.stringify(JSON.stringify(all))})],
    durableObjectNamespaces = [${object("Store")}],
    durableObjectStorage = (localDisk = "disk"))`;
  mkdirSync(join(folder, "stored"), { recursive: true });
  return serve(folder, "storage", port, [
    `(name = "main", worker = ${worker})`,
    `(name = "disk", disk = (path = ${JSON.stringify(join(folder, "stored"))}, writable = true))`,
  ]);
}

/**
 * Writes the gateway's settings from `wrangler.toml` and its bundle; gives the command that starts it. `stored` is the
 * port of its storage; `watched` adds a route that tells the size of the wasm memory.
 */
export function gateway(folder, port, bundle, variables, stored, watched) {
  const settings = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  const objects = [...settings.matchAll(/name = "(\w+)"\s*,?\s*class_name = "(\w+)"/g)];
  const stores = [...tables(settings, "kv_namespaces"), ...tables(settings, "d1_databases")].map(({ binding }) => binding);
  const bindings = [
    ...Object.entries(variables).map(([name, value]) => `(name = "${name}", text = ${JSON.stringify(value)})`),
    ...tables(settings, "kv_namespaces").map(({ binding }) => `(name = "${binding}", kvNamespace = "store-${binding}")`),
    ...tables(settings, "d1_databases").map(
      ({ binding }) => `(name = "${binding}", wrapped = (moduleName = "cloudflare-internal:d1-api",
        innerBindings = [(name = "fetcher", service = "store-${binding}")]))`,
    ),
    ...objects.map(([, name, className]) => `(name = "${name}", durableObjectNamespace = "${className}")`),
  ];
  const namespaces = objects.map(([, , className]) => object(className));
  const main = `(
    modules = [${[...(watched ? watching(folder) : []), ...modules(folder, bundle)].join(", ")}],
    compatibilityDate = "${compatibilityDate()}",
    compatibilityFlags = ${compatibilityFlags()},
    bindings = [${bindings.join(",\n      ")}],
    durableObjectNamespaces = [${namespaces.join(", ")}],
    durableObjectStorage = (localDisk = "disk"),
    globalOutbound = "network")`;
  mkdirSync(join(folder, "state"), { recursive: true });
  return serve(folder, "gateway", port, [
    `(name = "main", worker = ${main})`,
    ...stores.map((binding) => store(folder, binding, stored)),
    `(name = "disk", disk = (path = ${JSON.stringify(join(folder, "state"))}, writable = true))`,
  ]);
}

/** The files of a bundle that are deployed: the Worker itself first, then what it imports. */
export function deployed(bundle) {
  const files = readdirSync(bundle).filter((name) => /\.(js|mjs|wasm)$/.test(name));
  return files.sort((a, b) => Number(a.endsWith(".wasm")) - Number(b.endsWith(".wasm")));
}

function modules(folder, bundle) {
  return deployed(bundle).map((name) => {
    const kind = name.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = "${name}", ${kind} = embed ${quoted(folder, join(bundle, name))})`;
  });
}

/** What stands before the Worker of a bundle to watch its memory: the first module is the one that is called. */
function watching(folder) {
  const names = ["watched.mjs", "memories.mjs"];
  return names.map((name) => `(name = "${name}", esModule = embed ${quoted(folder, join(HERE, "workers", name))})`);
}

/** One namespace or database: it says its name in a header. Each gateway has its own. */
function store(folder, binding, port) {
  const name = `${basename(folder)}-${binding}`;
  return `(name = "store-${binding}", external = (
    address = "127.0.0.1:${port}",
    http = (injectRequestHeaders = [(name = "x-store", value = "${name}")])))`;
}

function object(className) {
  return `(className = "${className}", uniqueKey = "bench-${className}", enableSql = true)`;
}

function serve(folder, name, port, services) {
  const file = join(folder, `${name}.capnp`);
  writeFileSync(
    file,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.join(",\n    ")},
    (name = "network", network = (allow = ["private", "public", "local"]))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]);
`,
  );
  return [workerdProgram(), "serve", "--experimental", file];
}

/** The entries of every `[[name]]` table, strings only. */
function tables(toml, name) {
  const parts = toml.split(/^\[/m).filter((part) => part.startsWith(`[${name}]]`));
  return parts.map((part) => Object.fromEntries([...part.matchAll(/^(\w+) = "([^"]*)"/gm)].map(([, key, value]) => [key, value])));
}

function compatibilityDate() {
  return readFileSync(join(ROOT, "wrangler.toml"), "utf8").match(/^compatibility_date = "([^"]+)"/m)[1];
}

function compatibilityFlags() {
  return readFileSync(join(ROOT, "wrangler.toml"), "utf8").match(/^compatibility_flags = (\[.*\])/m)?.[1] ?? "[]";
}

/** A path as the settings file in `folder` has to name it. */
function quoted(folder, path) {
  return JSON.stringify(relative(folder, path));
}

// `npm run config:pull|diff|push -- file`: the configuration document of a gateway that runs, as a file of the repository.
//
// The file is JSON, or TOML by its name; what goes to the gateway is JSON.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { command, isProgram, ROOT, Stop } from "./progress.mjs";
import { access } from "./variables.mjs";

/** Which version of which gateway's document each file was last compared with; the file itself has no place for it. */
const SEEN = join(ROOT, ".wrangler", "latchkey-config.json");
/** Files of which that is kept. */
const MOST_SEEN = 50;

const ACTIONS = { pull, diff, push };

async function main() {
  const [action, ...rest] = process.argv.slice(2);
  const force = rest.includes("--force");
  const [file] = rest.filter((word) => !word.startsWith("--"));
  if (!Object.hasOwn(ACTIONS, action)) throw new Stop(`Say what to do: npm run config:${Object.keys(ACTIONS).join("|")} -- file.json`);
  if (file === undefined && action !== "pull") throw new Stop(`Name the file: npm run config:${action} -- routing.json`);
  await ACTIONS[action](file, { force });
}

/** Writes the document in force to `file`, or shows it. */
async function pull(file) {
  const { text, version } = await inForce();
  const document = `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
  if (file === undefined) return process.stdout.write(document);
  if (file.endsWith(".toml")) throw new Stop("A document is pulled as JSON; name a .json file.");
  writeFileSync(file, document);
  see(file, version);
  console.log(`✓ Version ${version} is in ${file}`);
}

/** Shows what `file` would change, and its faults. */
async function diff(file) {
  const { changes, version } = await ask("POST", "/admin/config/check", await documentOf(file));
  see(file, version);
  console.log(changes.length === 0 ? `Nothing differs from version ${version}.` : `Against version ${version}:`);
  show(changes);
}

/** Puts `file` in force, unless somebody else has changed the document since the file was pulled, compared or pushed here. */
async function push(file, { force }) {
  const document = await documentOf(file);
  const before = await inForce();
  const { changes } = await ask("POST", "/admin/config/check", document);
  const base = seen()[nameOf(file)];
  if (changes.length === 0) {
    see(file, before.version);
    return console.log(`Nothing differs from version ${before.version}.`);
  }
  show(changes);
  if (!force && base !== undefined && base !== before.version) {
    const made = `Version ${before.version} is in force, and ${file} was made from version ${base}: pushing it would undo what changed since.`;
    throw new Stop(`${made} Pull the document and redo your change, look at it with config:diff, or push with --force.`);
  }
  const { version } = await ask("PUT", "/admin/config", document, { "if-match": force ? "*" : before.etag });
  see(file, version);
  console.log(`✓ Version ${version} is in force; everywhere within 60 seconds. Back: POST /admin/config/rollback {"version": ${before.version}}`);
}

/** A document as JSON text. */
export async function documentOf(file) {
  try {
    if (file.endsWith(".toml")) {
      // Slow to load, and of use for nothing else here.
      const { experimental_readRawConfig: readToml } = await import("wrangler");
      return JSON.stringify(readToml({ config: file }).rawConfig);
    }
    const text = readFileSync(file, "utf8");
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new Stop(`${file} cannot be read: ${error.message}`);
  }
}

function show(changes) {
  for (const { path, before, after } of changes) {
    if (before !== undefined && before !== null) console.log(`  - ${path}: ${JSON.stringify(before)}`);
    if (after !== undefined && after !== null) console.log(`  + ${path}: ${JSON.stringify(after)}`);
  }
}

async function inForce() {
  const response = await send("GET", "/admin/config");
  const etag = response.headers.get("etag") ?? "*";
  // Compressed on its way, an answer has a weak tag: W/"7".
  return { text: await response.text(), etag, version: Number(/\d+/.exec(etag)?.[0] ?? 0) };
}

function seen() {
  try {
    return JSON.parse(readFileSync(SEEN, "utf8"));
  } catch {
    return {};
  }
}

function see(file, version) {
  const others = Object.entries(seen()).filter(([name]) => name !== nameOf(file));
  mkdirSync(dirname(SEEN), { recursive: true });
  writeFileSync(SEEN, JSON.stringify(Object.fromEntries([...others, [nameOf(file), version]].slice(-MOST_SEEN))));
}

function nameOf(file) {
  return `${access().url} ${resolve(file)}`;
}

async function ask(method, path, body, headers = {}) {
  return (await send(method, path, body, headers)).json();
}

async function send(method, path, body, headers = {}) {
  const { url, adminKey } = access();
  if (!adminKey) throw new Stop("Set ADMIN_KEY, in the environment or in .dev.vars.");
  const all = { authorization: `Bearer ${adminKey}`, "content-type": "application/json", ...headers };
  const response = await fetch(`${url}${path}`, { method, headers: all, body }).catch((error) => {
    throw new Stop(`${url} does not answer (${error.cause?.message ?? error.message}); set LATCHKEY_URL.`);
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  const faults = (error?.faults ?? []).map((fault) => `\n  ${fault.path}: ${fault.message}`);
  throw new Stop(`${method} ${path}: ${response.status} ${error?.message ?? response.statusText}${faults.join("")}`);
}

if (isProgram(import.meta.url)) await command(main);

// The Worker's variables on this machine: `.dev.vars`, overridden by the environment.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, Stop } from "./progress.mjs";

const DEV_VARS = join(ROOT, ".dev.vars");

/** What wrangler reads while it runs: a file, since arguments can be read in the process list. */
const MERGED = join(ROOT, ".wrangler", "latchkey.env");

/** The gateway's own variables, and those of providers that need more than a key. */
const OWN = new Set([
  "ADMIN_KEY",
  "LATCHKEY_SECRET",
  "LATCHKEY_SECRET_PREVIOUS",
  "ENVIRONMENT",
  "SANDBOX",
  "AWS_ACCESS_KEY_ID",
  "AWS_ENDPOINT_URL_STS",
  "AWS_REGION",
  "AWS_ROLE_ARN",
  "AWS_ROLE_EXTERNAL_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AZURE_API_VERSION",
  "AZURE_AUTHORITY_HOST",
  "AZURE_CLIENT_ID",
  "AZURE_CLIENT_SECRET",
  "AZURE_RESOURCE",
  "AZURE_SCOPE",
  "AZURE_TENANT_ID",
  "CLOUDFLARE_ACCOUNT_ID",
  "CLOUDFLARE_GATEWAY_ID",
  "DATABRICKS_HOST",
  "GOOGLE_APPLICATION_CREDENTIALS_JSON",
  "SNOWFLAKE_ACCOUNT",
  "VERTEX_LOCATION",
  "VERTEX_PROJECT",
  "VERTEX_SERVICE_ACCOUNT",
]);

/** `<PROVIDER>_API_KEY`, `<PROVIDER>_API_KEY_2` to `_9`, `<PROVIDER>_BASE_URL`. */
const OF_A_PROVIDER = /^[A-Z][A-Z0-9_]*_(API_KEY(_[2-9])?|BASE_URL)$/;

/** Wrangler's own credentials look like a provider's, and are nothing a Worker should see. */
const OF_WRANGLER = /^(WRANGLER_|CLOUDFLARE_API_)/;

/** The first gateway key: known to these scripts, of no use to the Worker. */
const LOCAL_KEY = "LOCAL_KEY";

/** Reads `.dev.vars`, after adding what the gateway cannot do without: nobody has to invent secrets first. */
export function localVariables() {
  const written = readDevVars();
  const missing = ["ADMIN_KEY", "LATCHKEY_SECRET"].filter((name) => !written[name] && !process.env[name]);
  if (missing.length > 0) {
    console.log(`→ Writing a random ${missing.join(" and ")} to .dev.vars`);
    append(textOf(DEV_VARS), missing.map((name) => `${name}=${randomBytes(32).toString("base64url")}`));
  }
  const fromEnvironment = Object.entries(process.env).filter(([name, value]) => value && isForWorker(name));
  return { ENVIRONMENT: "dev", SANDBOX: "on", ...readDevVars(), ...Object.fromEntries(fromEnvironment) };
}

/** What `.dev.vars` and the environment say of a gateway that runs already: where it is, and the keys to it. */
export function access() {
  const fromEnvironment = Object.entries(process.env).filter(([, value]) => value);
  const known = { ...readDevVars(), ...Object.fromEntries(fromEnvironment) };
  const url = (known.LATCHKEY_URL || "http://localhost:8787").replace(/\/+$/, "").replace(/\/v1$/, "");
  return { url, adminKey: known.ADMIN_KEY, key: known.LATCHKEY_KEY || known.LOCAL_KEY };
}

/** Whether a variable of the environment is meant for the Worker. */
export function isForWorker(name) {
  return OWN.has(name) || (OF_A_PROVIDER.test(name) && !OF_WRANGLER.test(name));
}

/** Keeps the first gateway key beside the other secrets of this machine. */
export function rememberKey(key, file = DEV_VARS) {
  append(textOf(file).replace(/^LOCAL_KEY=.*\n?/gm, ""), [`${LOCAL_KEY}=${key}`], file);
}

/** Writes `file` for `wrangler dev --env-file`, readable by this user only, and gives its path. */
export function writeForWrangler(variables, file = MERGED) {
  const lines = Object.entries(variables)
    .filter(([name]) => name !== LOCAL_KEY)
    .map(([name, value]) => `${name}=${quote(name, value)}\n`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  return file;
}

/**
 * Reads lines of `NAME=value`, the value bare or in quotes, where it may span lines.
 *
 * The same rules as wrangler's, which reads `.dev.vars` itself when it is run by hand.
 */
export function parseVariables(text) {
  const variables = {};
  const line = /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*('[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|[^\r\n#]*)/gm;
  for (const [, name, written] of text.matchAll(line)) variables[name] = unquote(written.trim());
  return variables;
}

function readDevVars() {
  return parseVariables(textOf(DEV_VARS));
}

function textOf(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** The whole file or none of it is new: what is cut short would have lost the secret that all keys are signed with. */
function append(before, lines, file = DEV_VARS) {
  const separator = before === "" || before.endsWith("\n") ? "" : "\n";
  const place = existsSync(file) ? realpathSync(file) : file;
  const written = `${place}.new`;
  writeFileSync(written, `${before}${separator}${lines.join("\n")}\n`, { mode: 0o600 });
  renameSync(written, place);
}

function unquote(written) {
  const mark = written[0];
  if (written.length < 2 || !`'"\``.includes(mark) || written.at(-1) !== mark) return written;
  const inside = written.slice(1, -1);
  return mark === '"' ? inside.replaceAll("\\n", "\n").replaceAll("\\r", "\r") : inside;
}

/** Quoted so that wrangler reads back exactly `value`: it expands `$NAME` and `${NAME}` unless escaped. */
function quote(name, value) {
  const mark = ["'", "`", '"'].find((candidate) => !value.includes(candidate));
  if (!mark) throw new Stop(`${name} holds every kind of quote, which no variables file can express.`);
  return `${mark}${value.replaceAll("$", "\\$")}${mark}`;
}

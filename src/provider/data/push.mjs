// Refreshes the prices of a running gateway from a price file, without a rebuild.
//
//   node src/provider/data/push.mjs prices.json [--url http://localhost:8787] [--from YYYY-MM-DD] [--dry-run]
//
// The gateway and its ADMIN_KEY are found as by `npm run config:push`: in the environment or `.dev.vars`.
//
// The file is a price list like the one that the catalogue is generated from (an array of models), or an object of
// models as they stand in the `models` section of the configuration document. Of a list, only those models are sent
// that differ from the compiled-in catalogue or stand in the document already. A price that is new to the document is
// added with the day from which it holds (`--from`, today if not said), so that calls of yesterday keep the price of
// yesterday; the rest of the document stays as it is. `--dry-run` shows what would change.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { access } from "../../../tests/tools/variables.mjs";
import {
  isPriced, line, PER_TOKEN_MODES, perRequest, readCatalogue, readExceptions, serviceTiers, withThinking,
} from "./generate.mjs";

async function main() {
  const options = readOptions(process.argv.slice(2));
  const file = JSON.parse(readFileSync(options.file, "utf8"));
  const gateway = new Gateway(options.url, options.adminKey);
  const { document, etag } = await gateway.read();
  const merged = merge(document, Array.isArray(file) ? changed(file, document.models ?? {}) : file, options.from);
  const isSame = isDeepStrictEqual(merged, { ...document, models: { ...document.models } });
  const replaced = async () => (isSame ? { changes: [] } : gateway.replace(merged, etag));
  const { changes } = options.dryRun ? await gateway.check(merged) : await replaced();
  for (const { path, before, after } of changes) console.log(`${path}\n  - ${shown(before)}\n  + ${shown(after)}`);
  console.log(options.dryRun ? `${changes.length} changes; nothing was written.` : `${changes.length} changes written.`);
}

function readOptions(words) {
  const options = {
    ...access(),
    from: new Date().toISOString().slice(0, 10),
    dryRun: false,
  };
  while (words.length > 0) {
    const word = words.shift();
    if (word === "--url") options.url = words.shift() ?? "";
    else if (word === "--from") options.from = words.shift();
    else if (word === "--dry-run") options.dryRun = true;
    else if (word.startsWith("--") || options.file) throw new Error(`Not understood: ${word}`);
    else options.file = word;
  }
  if (!options.file) throw new Error("Name the price file: npm run catalog:push -- prices.json");
  if (!options.adminKey) throw new Error("Set ADMIN_KEY, in the environment or in .dev.vars.");
  if (!/^\d{4}-\d{2}-\d{2}$/.test(options.from ?? "")) throw new Error("--from wants a day such as 2026-11-30.");
  return options;
}

// The models of a list that the compiled-in catalogue lacks or knows otherwise, and those that the document has a word
// on already, as the document writes them.
function changed(list, inDocument) {
  const [catalogue, exceptions] = [readCatalogue(), readExceptions()];
  const models = {};
  for (const model of withThinking(list).filter(({ mode }) => PER_TOKEN_MODES.includes(mode))) {
    const { key, text } = line(model, exceptions);
    if (catalogue.get(key) !== text || key in inDocument) models[key] = entry(model, exceptions);
  }
  return models;
}

function entry(model, exceptions) {
  const { mode, context, max_output, dimensions, capabilities, retires } = model;
  const written = { mode, context, max_output, dimensions, capabilities, retires };
  if (isPriced(model, exceptions)) {
    const { usd_per_mtok, tiers_above } = model;
    const service_tiers = serviceTiers(model, exceptions);
    written.prices = [{ usd_per_mtok, usd_per_request: perRequest(model, exceptions), tiers_above, service_tiers }];
  }
  return JSON.parse(JSON.stringify(written));
}

// The document with the models put into it. Their prices join those that stand there already.
function merge(document, models, from) {
  const merged = { ...document, models: { ...document.models } };
  for (const [key, { prices = [], ...facts }] of Object.entries(models)) {
    const before = merged.models[key] ?? {};
    const dated = prices.map((price) => (price.from === undefined ? { from, ...price } : price));
    merged.models[key] = { ...before, ...facts, ...joined(before.prices, dated) };
  }
  return merged;
}

function joined(before = [], dated) {
  const sameTime = (one) => (other) => one.from === other.from && one.hours === other.hours;
  // The price that holds now, at the same hours, is not written a second time under a later day.
  const told = ({ from, ...price }) => price;
  const latest = ({ hours }) => before.findLast((price) => price.hours === hours);
  const isNew = (price) => latest(price) === undefined || !isDeepStrictEqual(told(price), told(latest(price)));
  const fresh = dated.filter(isNew);
  const kept = before.filter((price) => !fresh.some(sameTime(price)));
  const prices = fresh.length > 0 ? [...kept, ...fresh] : before;
  return prices.length > 0 ? { prices } : {};
}

function shown(value) {
  return value === null ? "nothing" : JSON.stringify(value);
}

/** The admin API of one gateway. */
class Gateway {
  constructor(url, adminKey) {
    this.url = url.replace(/\/+$/, "");
    this.adminKey = adminKey;
  }

  async read() {
    const answer = await this.call("GET", "/admin/config");
    return { document: await answer.json(), etag: answer.headers.get("etag") };
  }

  async check(document) {
    return (await this.call("POST", "/admin/config/check", document)).json();
  }

  async replace(document, etag) {
    return (await this.call("PUT", "/admin/config", document, { "if-match": etag })).json();
  }

  async call(method, path, body, headers = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.adminKey}`, "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await explained(answer)}`);
    return answer;
  }
}

// The error's message, and a line for each fault.
async function explained(answer) {
  const text = await answer.text();
  try {
    const { message, faults = [] } = JSON.parse(text).error;
    return [message, ...faults.map((fault) => `  ${fault.path}: ${fault.message}`)].join("\n");
  } catch {
    return text.slice(0, 500);
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

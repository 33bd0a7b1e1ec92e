// Writes models.txt, the catalogue that is compiled in, from a price list.
//
//   node src/provider/data/generate.mjs [price list] [--date YYYY-MM] [--check]
//
// The price list defaults to ../shared/catalog/models.json beside the repository. `--check` writes nothing and fails
// where models.txt differs from what would be written. What the list gets wrong stands in exceptions.json.
//
// One line a model, sorted by its first column byte by byte, so that it can be searched where it lies. Columns are
// separated by tabs, trailing empty ones left out:
//   provider/id, mode, context, most output tokens, vector length, capabilities as hexadecimal bits,
//   modalities in>out, prices, retirement date
// Prices are US dollars per million: `i2.5 o10 r1.25;>200000 i5 o15;batch i1.25 o5`. The first set is the standard
// one, `>n` holds above n input tokens, a word is a service tier, `/` are prices per million of other units. A set in one
// proportion to the standard one says only that: `batch 50%`, and `batch 50%-rw` where `r` and `w` have no price in it.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUTPUT = join(HERE, "models.txt");
const SOURCE = join(HERE, "../../../../shared/catalog/models.json");

const MODES = {
  chat: "c", responses: "r", completion: "t", embedding: "e", image_generation: "i", image_edit: "x",
  audio_transcription: "a", audio_speech: "s", rerank: "k", moderation: "m", realtime: "l",
};
const BUCKETS = {
  input: "i", output: "o", cache_read: "r", cache_write: "w", cache_write_1h: "h", reasoning: "n",
  audio_input: "a", audio_output: "b", image_input: "g", image_output: "m", request: "q",
};
const UNITS = {
  per_input_second: "s", per_output_second: "t", per_image: "g", per_input_image: "j", per_input_character: "c",
  per_query: "q",
};
// The bit of each is its place here, as in `Capabilities`.
const CAPABILITIES = [
  "tools", "parallel_tools", "tool_choice", "vision", "pdf", "audio_input", "audio_output", "video_input",
  "json_schema", "reasoning", "prompt_caching", "web_search", "prefill", "system",
];
const MODALITIES = { text: "t", image: "i", audio: "a", video: "v", code: "" };
/** Modes whose models an endpoint of the gateway leads to, and which are charged by the token. */
export const PER_TOKEN_MODES = ["chat", "responses", "completion", "embedding"];

function main() {
  const words = process.argv.slice(2);
  const at = words.indexOf("--date");
  const date = at < 0 ? "2026-11" : words.splice(at, 2)[1];
  const check = words.includes("--check");
  const source = words.find((word) => !word.startsWith("--")) ?? SOURCE;
  const models = JSON.parse(readFileSync(source, "utf8"));
  const text = write(models, readExceptions(), date);
  if (check) {
    if (readFileSync(OUTPUT, "utf8") !== text) throw new Error("models.txt is not what the price list gives");
  } else {
    writeFileSync(OUTPUT, text);
    console.log(`${OUTPUT}: ${models.length} models, ${text.length} bytes`);
  }
}

/** What price lists are known to get wrong. */
export function readExceptions() {
  return JSON.parse(readFileSync(join(HERE, "exceptions.json"), "utf8"));
}

/** The lines of the compiled-in catalogue by `provider/id`. */
export function readCatalogue() {
  const lines = readFileSync(OUTPUT, "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("\t")), line]));
}

function write(models, exceptions, date) {
  const lines = withThinking(models).map((model) => line(model, exceptions));
  lines.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  const twice = lines.find(({ key }, index) => lines[index + 1]?.key === key);
  if (twice) throw new Error(`${twice.key} stands there twice`);
  const header = [
    `#date\t${date}`,
    "#licence\tFacts from LiteLLM's public price list (MIT licence, Copyright (c) 2023 Berri AI)",
  ];
  return [...header, ...lines.map(({ text }) => text)].join("\n") + "\n";
}

/**
 * The list with the mark for thinking where it lacks it: lists have open models by the host, and forget it here and there.
 * Who makes a model think is its maker, not its host; so it has it where its name says so, or where two other hosts of the
 * same model say so. What is not listed with any ability is left alone: nobody looked.
 */
export function withThinking(models) {
  const hosts = new Map();
  for (const model of models.filter((model) => model.capabilities?.includes("reasoning"))) {
    const name = plainName(model);
    hosts.set(name, (hosts.get(name) ?? new Set()).add(model.provider));
  }
  return models.map((model) => {
    const { mode, capabilities, provider } = model;
    if (mode !== "chat" || !capabilities?.length || capabilities.includes("reasoning")) return model;
    const name = plainName(model);
    const others = [...(hosts.get(name) ?? [])].filter((host) => host !== provider).length;
    const thinks = /(^|-)(thinking|reasoning)($|-)/.test(name) && !name.includes("non-");
    return thinks || others >= 2 ? { ...model, capabilities: [...capabilities, "reasoning"] } : model;
  });
}

/** What a model is called without its maker's name in front and the number format behind. */
function plainName({ provider, id }) {
  const last = id.toLowerCase().split("/").at(-1).split(provider === "ollama" ? ":" : "\n")[0];
  // Fireworks writes 5p1 for 5.1.
  const name = provider === "fireworks" ? last.replace(/(\d)p(?=\d)/g, "$1.") : last;
  return name.replace(/-(maas|turbo|tput|fp8|fp4|nvfp4|bf16|awq|int4)$/, "");
}

/** One model of a price list as a line of the catalogue. */
export function line(model, exceptions) {
  const key = `${model.provider}/${model.id}`;
  if (/[\t\n\r"\\]/.test(key)) throw new Error(`${key}: an id that would break the format`);
  const columns = [
    key,
    coded(MODES, model.mode, key),
    model.context ?? "",
    model.max_output ?? "",
    model.dimensions ?? "",
    capabilities(model.capabilities ?? [], key),
    modalities(model, key),
    prices(model, exceptions, key),
    model.retires ?? "",
  ];
  return { key, text: columns.join("\t").replace(/\t+$/, "") };
}

function capabilities(names, key) {
  let bits = 0;
  for (const name of names) {
    const bit = CAPABILITIES.indexOf(name);
    if (bit < 0) throw new Error(`${key}: unknown capability ${name}`);
    bits |= 1 << bit;
  }
  return bits ? bits.toString(16) : "";
}

function modalities(model, key) {
  const letters = (names) => [...new Set((names ?? []).map((name) => coded(MODALITIES, name, key)))].sort().join("");
  const both = `${letters(model.input)}>${letters(model.output_modalities)}`;
  return both === ">" ? "" : both;
}

/** Whether the price that a list gives for a model can be believed. */
export function isPriced(model, exceptions) {
  const key = `${model.provider}/${model.id}`;
  if (matching(exceptions.unpriced, key)) return false;
  const standard = Object.values(model.usd_per_mtok ?? {});
  // A price of zero that nobody vouches for is a price that is not known.
  return standard.some((usd) => usd > 0) || (standard.length > 0 && matching(exceptions.free, key) !== undefined);
}

/** What one request of a provider-run tool costs, in dollars, where that is known. */
export function perRequest(model, exceptions) {
  return matching(exceptions.per_request, `${model.provider}/${model.id}`)?.usd;
}

/** The prices of service tiers: those of the list, and those that are so many times the standard ones. */
export function serviceTiers(model, exceptions) {
  const key = `${model.provider}/${model.id}`;
  const multiples = exceptions.tiers.filter(({ models }) => models.some((pattern) => matching({ [pattern]: true }, key)));
  const multiplied = multiples.map(({ name, factor }) => [
    name,
    Object.fromEntries(Object.entries(model.usd_per_mtok ?? {}).map(([bucket, usd]) => [bucket, Number((usd * factor).toPrecision(12))])),
  ]);
  const tiers = { ...Object.fromEntries(multiplied), ...model.service_tiers };
  return Object.keys(tiers).length > 0 ? tiers : undefined;
}

function prices(model, exceptions, key) {
  if (matching(exceptions.unpriced, key)) return "";
  const standard = { ...model.usd_per_mtok };
  const known = isPriced(model, exceptions);
  const sets = [];
  if (known || !PER_TOKEN_MODES.includes(model.mode)) {
    const request = perRequest(model, exceptions);
    if (request && known) standard.request = request * 1e6;
    sets.push(rates(standard, key));
    const further = (name, set) => sets.push(`${name} ${proportion(set, standard, key) ?? rates(set, key)}`);
    for (const tier of model.tiers_above ?? []) further(`>${tier.input_tokens}`, tier.usd_per_mtok);
    for (const [name, tier] of Object.entries(serviceTiers(model, exceptions) ?? {}).sort()) further(name, tier);
  }
  const units = Object.entries(model.usd_per_unit ?? {}).filter(([, usd]) => usd > 0);
  if (units.length > 0) {
    if (sets.length === 0) sets.push("");
    sets.push(`/ ${units.map(([name, usd]) => coded(UNITS, name, key) + dollars(usd * 1e6, key)).join(" ")}`);
  }
  return sets.join(";");
}

function rates(set, key) {
  return Object.keys(BUCKETS)
    .filter((bucket) => set[bucket] !== undefined)
    .map((bucket) => BUCKETS[bucket] + dollars(set[bucket], key))
    .join(" ");
}

/** What `set` is of `standard` in whole per cent, and what has no price in it; `undefined` where that is not all. */
function proportion(set, standard, key) {
  const [priced, unpriced] = [true, false].map((is) =>
    Object.keys(BUCKETS).filter((bucket) => standard[bucket] !== undefined && (set[bucket] !== undefined) === is),
  );
  const nanos = (usd) => Math.round(Number(dollars(usd, key)) * 1e9);
  const paid = priced.find((bucket) => standard[bucket] > 0);
  const percent = paid && Math.round((nanos(set[paid]) / nanos(standard[paid])) * 100);
  const isAll = Object.keys(BUCKETS).every((bucket) => set[bucket] === undefined || priced.includes(bucket));
  if (!paid || !isAll || priced.some((bucket) => nanos(set[bucket]) * 100 !== nanos(standard[bucket]) * percent)) {
    return undefined;
  }
  return unpriced.length > 0 ? `${percent}%-${unpriced.map((bucket) => BUCKETS[bucket]).join("")}` : `${percent}%`;
}

// As a decimal with at most nine decimals; what floats added beyond twelve digits is dropped.
function dollars(usd, key) {
  if (!(usd >= 0 && usd < 1e9)) throw new Error(`${key}: ${usd} is no price`);
  const text = Number(usd.toPrecision(12)).toFixed(9).replace(/\.?0+$/, "");
  if (usd > 0 && text === "0") throw new Error(`${key}: ${usd} is finer than a nano-dollar`);
  return text;
}

function matching(patterns, key) {
  for (const [pattern, value] of Object.entries(patterns)) {
    const parts = pattern.split("*");
    const fits = parts.length === 1 ? key === pattern
      : key.startsWith(parts[0]) && key.endsWith(parts.at(-1)) && key.length >= pattern.length - 1;
    if (fits) return value;
  }
  return undefined;
}

function coded(table, name, key) {
  const code = table[name];
  if (code === undefined) throw new Error(`${key}: unknown word ${name}`);
  return code;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();

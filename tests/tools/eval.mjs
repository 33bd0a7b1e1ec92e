// `npm run eval -- suite.jsonl --models a,b,c`: a suite of prompts through the gateway, to each of several models.

import { readFileSync, writeFileSync } from "node:fs";
import { command, elapsed, isProgram, Stop } from "./progress.mjs";
import { score, wayOf } from "./score.mjs";
import { access } from "./variables.mjs";

const USAGE = `npm run eval -- suite.jsonl --models a,b [--judge c] [--parallel 8] [--threshold 0.8] [--json FILE] [--junit FILE]

Each line of the suite: {"prompt": "…"} or {"messages": […]}, with one of "exact", "regex", "json_schema", "similar" (0 to 1 by
common letters) or "judge" (a criterion), and optionally "name" and "params" (further fields of the request).`;

/** Lines that are answered at once. */
const PARALLEL = 8;
/** The share of a full score that a model needs on average. */
const THRESHOLD = 0.8;
/** From here on a single line counts as passed. */
const PASSED = 0.5;

async function main() {
  const options = optionsOf(process.argv.slice(2));
  const suite = suiteOf(textOf(options.file));
  const started = Date.now();
  const runs = options.models.flatMap((model) => suite.map((line, index) => ({ model, line, index })));
  const bar = progress(runs.length);
  await inParallel(runs, options.parallel, async (run) => {
    await answer(run, options);
    bar.tick(run);
  });
  bar.end();
  const report = summary(runs, options, started);
  console.log(table(report));
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.junit) writeFileSync(options.junit, junit(report));
  const poor = report.models.filter(({ passed }) => !passed).map(({ model }) => model);
  if (poor.length > 0) throw new Stop(`Below ${options.threshold}: ${poor.join(", ")}`);
}

function optionsOf(words) {
  const options = { models: [], parallel: PARALLEL, threshold: THRESHOLD };
  while (words.length > 0) {
    const word = words.shift();
    const [name, inline] = word.split(/=(.*)/s);
    const value = () => inline ?? words.shift() ?? "";
    if (!word.startsWith("--")) options.file = word;
    else if (name === "--models") options.models = value().split(",").map((model) => model.trim()).filter(Boolean);
    else if (["--judge", "--json", "--junit"].includes(name)) options[name.slice(2)] = value();
    else if (["--parallel", "--threshold"].includes(name)) options[name.slice(2)] = Number(value());
    else throw new Stop(`There is no option ${name}.\n\n${USAGE}`);
  }
  if (!options.file || options.models.length === 0) throw new Stop(`Name a suite and models.\n\n${USAGE}`);
  if (!(options.parallel >= 1)) throw new Stop("--parallel must be a number from 1.");
  if (!(options.threshold >= 0 && options.threshold <= 1)) throw new Stop("--threshold must be a number from 0 to 1.");
  return { ...options, ...access() };
}

function textOf(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Stop(`The suite cannot be read: ${error.message}`);
  }
}

function suiteOf(text) {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.flatMap((written, index) => {
    if (written === "" || written.startsWith("//")) return [];
    let line;
    try {
      line = JSON.parse(written);
    } catch (error) {
      throw new Stop(`Line ${index + 1} is no JSON: ${error.message}`);
    }
    if (!line.prompt && !line.messages) throw new Stop(`Line ${index + 1} needs "prompt" or "messages".`);
    return [{ ...line, way: wayOf(line, index + 1), name: line.name ?? `line ${index + 1}` }];
  });
}

/** Asks a model for one line and scores what it says; a failure scores nothing and is told. */
async function answer(run, options) {
  const { line, model } = run;
  const messages = line.messages ?? [{ role: "user", content: line.prompt }];
  const started = Date.now();
  try {
    const { text, cost } = await chat(options, model, messages, line.params);
    Object.assign(run, { duration: Date.now() - started, cost, text });
    const ask = async (judge, asked) => (await chat(options, judge, asked, { temperature: 0 })).text;
    run.score = await score(line, text, { judge: options.judge, ask });
  } catch (error) {
    if (error instanceof Stop) throw error;
    Object.assign(run, { duration: run.duration ?? Date.now() - started, score: 0, error: error.message });
  }
}

async function chat({ url, key }, model, messages, params = {}) {
  if (!key) throw new Stop("Set LATCHKEY_KEY to a gateway key.");
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-latchkey-tags": "eval" },
    body: JSON.stringify({ ...params, model, messages, stream: false }),
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(`${response.status} ${body.error?.message ?? response.statusText}`);
  const text = body.choices?.[0]?.message?.content ?? "";
  return { text, cost: body.usage?.cost };
}

async function inParallel(tasks, most, work) {
  const waiting = [...tasks];
  const worker = async () => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await work(task);
  };
  await Promise.all(Array.from({ length: Math.min(most, tasks.length) }, worker));
}

function progress(total) {
  let done = 0;
  const started = Date.now();
  const draw = () => {
    const filled = Math.round((done / Math.max(total, 1)) * 30);
    return `[${"#".repeat(filled)}${".".repeat(30 - filled)}] ${done}/${total} ${elapsed(started)}`;
  };
  return {
    tick({ model, line, error }) {
      done += 1;
      if (process.stderr.isTTY) process.stderr.write(`\r${draw()}`);
      if (error) process.stderr.write(`${process.stderr.isTTY ? "\n" : ""}  ${model}, ${line.name}: ${error}\n`);
    },
    end: () => process.stderr.write(`${process.stderr.isTTY ? "\r" : ""}${draw()}\n`),
  };
}

function summary(runs, { models, threshold, file }, started) {
  const of = (model) => {
    const own = runs.filter((run) => run.model === model);
    const durations = own.map(({ duration }) => duration).sort((one, other) => one - other);
    const mean = own.reduce((sum, run) => sum + run.score, 0) / Math.max(own.length, 1);
    const known = own.filter(({ cost }) => cost !== undefined);
    return {
      model,
      score: round(mean),
      passed: mean >= threshold,
      failed: own.filter(({ error }) => error).length,
      cost: known.length === 0 ? null : round(known.reduce((sum, { cost }) => sum + cost, 0)),
      p50_ms: durations[Math.floor(durations.length / 2)] ?? null,
      p95_ms: durations[Math.floor(durations.length * 0.95)] ?? null,
      lines: own.map(({ line, score, duration, cost, error, text }) => ({
        name: line.name,
        way: line.way,
        score: round(score),
        duration_ms: duration,
        cost: cost ?? null,
        ...(error ? { error } : { answer: text }),
      })),
    };
  };
  return { suite: file, threshold, duration_ms: Date.now() - started, models: models.map(of) };
}

function round(number) {
  return Number(number.toFixed(9));
}

function table({ models }) {
  const head = ["model", "score", "failed", "cost", "p50", "p95"];
  const rows = models.map(({ model, score, passed, failed, cost, p50_ms, p95_ms }) => [
    model,
    `${score.toFixed(3)} ${passed ? "✓" : "✗"}`,
    String(failed),
    cost === null ? "?" : `$${cost}`,
    `${p50_ms} ms`,
    `${p95_ms} ms`,
  ]);
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  return [head, ...rows].map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

function junit({ models }) {
  const suites = models.map(({ model, lines }) => {
    const cases = lines.map(({ name, score, duration_ms, error, answer }) => {
      const opened = `    <testcase classname="${escape(model)}" name="${escape(name)}" time="${duration_ms / 1000}"`;
      if (error) return `${opened}><error message="${escape(error)}"/></testcase>`;
      if (score >= PASSED) return `${opened}/>`;
      return `${opened}><failure message="score ${score}">${escape(answer)}</failure></testcase>`;
    });
    const failures = lines.filter(({ score, error }) => !error && score < PASSED).length;
    const errors = lines.filter(({ error }) => error).length;
    const counts = `tests="${lines.length}" failures="${failures}" errors="${errors}"`;
    return `  <testsuite name="${escape(model)}" ${counts}>\n${cases.join("\n")}\n  </testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("\n")}\n</testsuites>\n`;
}

function escape(text) {
  const marks = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // XML 1.0 has no place for control characters, escaped or not.
  return text.replace(/[&<>"]/g, (mark) => marks[mark]).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "");
}

if (isProgram(import.meta.url)) await command(main);

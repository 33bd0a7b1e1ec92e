// The scripts that talk to a running gateway, in front of one that is played.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ROOT } from "./progress.mjs";
import { follows, similarity } from "./score.mjs";

let server;
let folder;
let document = '{"version":1}';
let version = 4;
let meet;
/** Kept as soon as two calls are under way at once; the first waits for it, so that a quick answer cannot hide the second. */
const met = new Promise((resolve) => (meet = resolve));
let atOnce = 0;
let mostAtOnce = 0;
/** After this the first call is answered all the same, and the test fails. */
const PATIENCE_MS = 10_000;

/** What each model says. */
const SAYS = {
  good: ({ content }) => (content.startsWith("Judge") || content.includes("Criterion") ? "0.9" : JSON.stringify({ city: "Paris" })),
  bad: () => "no idea",
};

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "latchkey-eval-"));
  server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const answer = (status, json, headers = {}) => response.writeHead(status, headers).end(JSON.stringify(json));
    const authorized = request.headers.authorization === (request.url.startsWith("/admin") ? "Bearer admin" : "Bearer lk-1");
    if (!authorized) return answer(401, { error: { message: "no" } });
    if (request.url === "/v1/chat/completions") {
      mostAtOnce = Math.max(mostAtOnce, (atOnce += 1));
      if (mostAtOnce > 1) meet();
      await Promise.race([met, delay(PATIENCE_MS, undefined, { ref: false })]);
      atOnce -= 1;
      const { model, messages } = JSON.parse(body);
      if (!SAYS[model]) return answer(404, { error: { message: `no ${model}` } });
      const content = SAYS[model](messages.at(-1));
      return answer(200, { choices: [{ message: { content } }], usage: { cost: 0.001 } });
    }
    if (request.method === "GET") return response.writeHead(200, { etag: `"${version}"` }).end(document);
    if (JSON.parse(body).colour) {
      return answer(400, { error: { message: "`colour`: unknown", faults: [{ path: "colour", message: "unknown" }] } });
    }
    const changes = body === document ? [] : [{ path: "aliases", before: null, after: JSON.parse(body).aliases }];
    if (request.url === "/admin/config/check") return answer(200, { valid: true, version, changes });
    if (![`"${version}"`, "*"].includes(request.headers["if-match"])) return answer(412, { error: { message: "changed" } });
    document = body;
    version += 1;
    return answer(200, { version, changes });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

after(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a script; its output and exit code. */
async function run(script, ...args) {
  const url = `http://127.0.0.1:${server.address().port}/v1/`;
  const env = { ...process.env, LATCHKEY_URL: url, ADMIN_KEY: "admin", LATCHKEY_KEY: "lk-1" };
  const child = spawn(process.execPath, [join(ROOT, "tests/tools", script), ...args], { env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [code] = await once(child, "close");
  return { code, output };
}

function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const SUITE = [
  { prompt: "Where?", exact: '{"city":"Paris"}' },
  { prompt: "Where?", regex: "paris", flags: "i", name: "by pattern" },
  { messages: [{ role: "user", content: "Where?" }], json_schema: CITY },
  { prompt: "Where?", similar: "the city: Paris" },
  { prompt: "Where?", judge: "It names a city." },
];

test("a suite is scored in each way, told in each form, and fails below the threshold", async () => {
  const suite = file("suite.jsonl", `// where\n${SUITE.map((line) => JSON.stringify(line)).join("\n")}\n`);
  const [json, junit] = [join(folder, "out.json"), join(folder, "out.xml")];
  const good = await run("eval.mjs", suite, "--models", "good", "--judge", "good", "--json", json, "--junit", junit);
  assert.equal(good.code, 0, good.output);
  assert.match(good.output, /good\s+0\.9\d\d ✓\s+0\s+\$0\.005/);
  assert.match(good.output, /\[#{30}\] 5\/5/);
  const report = JSON.parse(readFileSync(json, "utf8"));
  assert.deepEqual(report.models[0].lines.map(({ way }) => way), ["exact", "regex", "json_schema", "similar", "judge"]);
  assert.equal(report.models[0].lines[4].score, 0.9);
  assert.match(readFileSync(junit, "utf8"), /<testsuite name="good" tests="5" failures="0" errors="0">/);
  assert.ok(mostAtOnce > 1, "in parallel");

  const both = await run("eval.mjs", suite, "--models=good,bad,none", "--judge", "good", `--junit=${junit}`);
  assert.equal(both.code, 1);
  assert.match(both.output, /Below 0\.8: bad, none/);
  assert.match(both.output, /none, line 2: 404 no none/);
  assert.match(readFileSync(junit, "utf8"), /<failure message="score 0">no idea<\/failure>/);
  assert.match(readFileSync(junit, "utf8"), /<testsuite name="none" tests="5" failures="0" errors="5">/);
});

test("a suite that cannot be scored is refused before anything is asked", async () => {
  const twice = file("twice.jsonl", '{"prompt":"a","exact":"b","regex":"c"}');
  assert.match((await run("eval.mjs", twice, "--models", "good")).output, /Line 1 needs one of .* has exact and regex/);
  assert.match((await run("eval.mjs", twice)).output, /Name a suite and models/);
});

test("schemas and likeness are judged as they should be", () => {
  assert.ok(follows(CITY, '```json\n{"city":"Rome"}\n```'));
  assert.ok(!follows(CITY, '{"city":3}') && !follows(CITY, "Rome"));
  assert.equal(similarity("Same text.", "same  TEXT"), 1);
  assert.ok(similarity("the city: Paris", "Paris is the city") > 0.6 && similarity("yes", "no") === 0);
});

test("a document is compared, pushed and pulled", async () => {
  const json = file("routing.json", '{"version":1,"aliases":{"a":{"candidates":["x/y"]}}}');
  const shown = await run("config.mjs", "diff", json);
  assert.equal(shown.code, 0, shown.output);
  assert.match(shown.output, /Against version 4:\n {2}\+ aliases: \{"a"/);
  const pushed = await run("config.mjs", "push", json);
  assert.match(pushed.output, /✓ Version 5 is in force/);
  assert.match((await run("config.mjs", "push", json)).output, /Nothing differs from version 5/);
  const back = join(folder, "back.json");
  await run("config.mjs", "pull", back);
  assert.deepEqual(JSON.parse(readFileSync(back, "utf8")), JSON.parse(readFileSync(json, "utf8")));

  // Somebody else writes a version, which a push of this file would undo.
  document = '{"version":1,"aliases":{"theirs":{"candidates":["x/y"]}}}';
  version += 1;
  writeFileSync(back, '{"version":1,"aliases":{"mine":{"candidates":["x/y"]}}}');
  const late = await run("config.mjs", "push", back);
  assert.equal(late.code, 1);
  assert.match(late.output, /Version 6 is in force, and .* was made from version 5/);
  assert.match((await run("config.mjs", "push", back, "--force")).output, /✓ Version 7 is in force/);

  const toml = file("routing.toml", 'version = 1\n[aliases.b]\ncandidates = ["x/z"]\n');
  assert.match((await run("config.mjs", "push", toml)).output, /✓ Version 8 is in force/);
  assert.deepEqual(JSON.parse(document), { version: 1, aliases: { b: { candidates: ["x/z"] } } });

  const faulty = await run("config.mjs", "push", file("faulty.json", '{"version":1,"colour":1}'));
  assert.equal(faulty.code, 1);
  assert.match(faulty.output, /colour: unknown/);
});

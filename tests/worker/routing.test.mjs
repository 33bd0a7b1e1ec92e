// Routing in the running Worker: the recipes of the README as they stand there, what is decided and why, comparisons,
// feedback, experiments, and versions of the configuration.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, describe, test } from "node:test";
import { events } from "../../src/edge/compare.mjs";
import { startGateway } from "./gateway.mjs";
import { chatEnd, chatEvents, json, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
/** How long something that takes effect by itself may take. */
const PATIENCE = 30_000;

let upstream;
let gateway;
let key;
let client;

before(async () => {
  upstream = await startUpstream();
  const eu = { AZURE_API_KEY: "azure-key-for-tests-6e7f8a9b0c1d", AZURE_BASE_URL: `${upstream.url}/openai/v1` };
  gateway = await startGateway(upstream, eu);
  ({ key } = await gateway.createKey());
  client = gateway.client(key);
});

beforeEach(() => upstream.forget());

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** The configuration of a recipe: the block of JSON that follows its heading. */
function recipe(heading) {
  const [, block] = README.slice(README.indexOf(`#### ${heading}\n`)).match(/```json\n([\s\S]*?)```/);
  return JSON.parse(block);
}

function say(content, more = {}) {
  return { messages: [{ role: "user", content }], ...more };
}

/** Sends a call; gives its status, the target that served it, its headers and its body. */
async function send(body, headers = {}, path = "/v1/chat/completions") {
  const init = { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers } };
  const response = await gateway.fetch(path, { ...init, body: JSON.stringify(body) });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  return { status: response.status, target: response.headers.get("x-latchkey-model"), headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

/** Asks again and again until `wanted` gives something. */
async function until(wanted) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await wanted();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${PATIENCE} ms`);
  }
}

describe("recipes", () => {
  test("cheap by default and strong when hard", async () => {
    await gateway.configure(recipe("Cheap by default, strong when hard"));
    assert.equal((await send(say("hi, how are you?", { model: "auto" }))).target, "openai/gpt-4o-mini");
    const hard = say("Prove the spectral theorem for unbounded self-adjoint operators.", { model: "auto" });
    const { target, json: body } = await send(hard, { "x-latchkey-explain": "true" });
    assert.equal(target, "openai/gpt-4o");
    assert.ok(body.latchkey.class.difficulty >= 4, JSON.stringify(body.latchkey.class));
  });

  test("EU only for tagged traffic", async () => {
    await gateway.configure(recipe("EU only for tagged traffic"));
    const body = say("hi", { model: "assistant" });
    const tagged = { "x-latchkey-tags": "web, health-records" };
    assert.equal((await send(body)).target, "openai/gpt-4o");
    assert.equal((await send(body, tagged)).target, "azure/gpt-4o");
    const refused = await send(say("hi", { model: "openai/gpt-4o" }), tagged);
    assert.deepEqual([refused.status, refused.json.error.code], [503, "no_target"]);
    assert.equal(upstream.requests.length, 2, "the refused call was sent nowhere");
  });

  test("canary of a new model, which stops when it fails", async () => {
    await gateway.configure(recipe("Canary of a new model"));
    const seen = { control: 0, canary: 0 };
    const one = async (session) => {
      const { headers } = await send(say("hi", { model: "assistant" }), { "x-latchkey-session": `s${session}` });
      return headers.get("x-latchkey-variant");
    };
    for (let session = 0; session < 150; session += 1) {
      const variant = await one(session);
      assert.equal(await one(session), variant, "a session keeps its variant");
      seen[variant.replace("newer-model:", "")] += 1;
    }
    assert.ok(seen.canary >= 4 && seen.canary <= 32, JSON.stringify(seen));

    upstream.behave(({ json: asked }) =>
      asked.model === "gpt-4.1" ? json({ error: { message: "no", type: "x", code: null } }, { status: 501 }) : undefined,
    );
    // Those in the canary are served all the same, by the control, until there are no more of them.
    for (let session = 1_000; upstream.requests.filter(({ json: asked }) => asked.model === "gpt-4.1").length < 45; session += 1) {
      const { status } = await send(say("hi", { model: "assistant" }), { "x-latchkey-session": `s${session}` });
      assert.equal(status, 200);
      if (session > 1_900) break;
    }
    upstream.requests.length = 0;
    for (let session = 5_000; session < 5_060; session += 1) await one(session);
    assert.ok(upstream.requests.every(({ json: asked }) => asked.model !== "gpt-4.1"), "the canary is stopped");

    const figures = await until(async () => {
      const { json: told } = await gateway.admin("GET", "/admin/experiments/newer-model");
      return told.variants[1].calls >= 20 && told.variants[1].verdict !== null && told;
    });
    const [control, canary] = figures.variants;
    assert.equal(control.error_rate.mean, 0);
    assert.ok(canary.error_rate.low > control.error_rate.high - 0.2, JSON.stringify(canary.error_rate));
    await gateway.scheduled();
    const { json: document } = await gateway.admin("GET", "/admin/config");
    assert.equal(document.experiments["newer-model"].variants.canary.share, 0, "and for all isolates by a new version");
  });

  test("two-second latency budget", async () => {
    await gateway.configure(recipe("Two-second latency budget"));
    upstream.behave(({ json: asked }) => {
      const answer = stream(chatEvents("Hello") + chatEnd());
      if (asked.model !== "gpt-4o") return answer;
      return async (seen, response) => {
        await new Promise((resolve) => setTimeout(resolve, 2_300));
        return answer(seen, response);
      };
    });
    const body = say("hi", { model: "quick", stream: true });
    const slow = await Promise.all(Array.from({ length: 24 }, () => send(body)));
    assert.ok(slow.every(({ target }) => target === "openai/gpt-4o"), "nothing was known against it");
    const fast = await until(async () => {
      const answer = await send(body, { "x-latchkey-explain": "true" });
      return answer.target === "openai/gpt-4o-mini" && answer;
    });
    assert.match(fast.text, /"target":"openai\/gpt-4o","reason":"latency_budget"/);
  });

  test("three-model comparison", async () => {
    const document = recipe("Three-model comparison");
    await gateway.configure(document);
    const seen = new Set();
    for (let session = 0; session < 40; session += 1) {
      seen.add((await send(say("hi", { model: "compare" }), { "x-latchkey-session": `s${session}` })).target);
    }
    assert.equal(seen.size, 3);
    const models = document.aliases.compare.candidates;
    const { json: body } = await send(say("Say hello", { models }), {}, "/v1/compare");
    assert.deepEqual(body.results.map(({ model }) => model), models);
    for (const { target, status, response, cost, request_id, duration_ms } of body.results) {
      assert.equal(status, 200);
      assert.ok(duration_ms >= 0 && response.usage.total_tokens > 0);
      assert.ok(models.includes(target) && request_id.startsWith("req_"));
      assert.ok(response.choices[0].message.content.length > 0);
      assert.ok(cost > 0 && response.usage.cost === cost);
    }
  });
});

describe("comparisons", () => {
  before(() => gateway.configure({}));

  test("are one labelled stream, ten at most, five at once", async () => {
    let atOnce = 0;
    let most = 0;
    upstream.behave(() => async (seen, response) => {
      most = Math.max(most, (atOnce += 1));
      void seen.left.then(() => (atOnce -= 1));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return stream(chatEvents("Hel", "lo") + chatEnd())(seen, response);
    });
    const models = Array.from({ length: 9 }, (_, index) => `openai/gpt-${index}`);
    const { text } = await send(say("hi", { models: [...models, "nobody/none"], stream: true }), {}, "/v1/compare");
    const events = text.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
    models.forEach((model, index) => {
      const own = events.filter((event) => event.index === index);
      const said = own.flatMap(({ chunk }) => chunk?.choices ?? []).map(({ delta }) => delta.content ?? "").join("");
      assert.deepEqual([said, own.at(-1).done, own.at(-1).model], ["Hello", true, model]);
      assert.ok(own.at(-1).duration_ms >= 50 && own.at(-1).request_id.startsWith("req_"), JSON.stringify(own.at(-1)));
      assert.ok(own.some(({ chunk }) => chunk?.usage), "usage of each");
    });
    const refused = events.find(({ index }) => index === 9);
    assert.deepEqual([refused.status, refused.error.code], [404, "model_not_found"]);
    assert.ok(text.endsWith("data: [DONE]\n\n"));
    assert.ok(most > 1 && most <= 5, `${most} at once`);
    assert.equal((await send(say("hi", { models: Array(11).fill("openai/a") }), {}, "/v1/compare")).status, 400);
    const stranger = await send(say("hi", { models }), { authorization: "Bearer lk-nobody" }, "/v1/compare");
    assert.deepEqual([stranger.status, stranger.json.error.code], [401, "invalid_api_key"]);
  });

  test("are cut into the same events in whatever pieces they come, and gone over once", async (context) => {
    const cut = async (text, size) => {
      const bytes = new TextEncoder().encode(text);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.slice(index * size, (index + 1) * size));
      return Array.fromAsync(events(pieces));
    };
    const mixed = "data: ä\n\n: hi\r\n\r\ndata: 1\rdata: 2\r\rdata: 3\n\r\n\r\n\n\ndata: cut";
    const whole = await cut(mixed, mixed.length * 2);
    assert.deepEqual(whole, ["data: ä", ": hi", "data: 1\rdata: 2", "data: 3\n", "", "data: cut"]);
    for (const size of [1, 2, 3, 4, 5]) assert.deepEqual(await cut(mixed, size), whole, `${size} bytes at a time`);
    const { exec } = RegExp.prototype;
    let read = 0;
    context.mock.method(RegExp.prototype, "exec", function (text) {
      read += text.length;
      return exec.call(this, text);
    });
    const long = `data: ${"x".repeat(1 << 18)}`;
    assert.deepEqual(await cut(`${long}\n\n`, 64), [long]);
    assert.ok(read < 2 * long.length, `${read} characters read of ${long.length}`);
  });

  test("are read however a provider ends its lines", async () => {
    upstream.behave(() => stream((chatEvents("Hel", "lo") + chatEnd()).replaceAll("\n", "\r\n")));
    const { text } = await send(say("hi", { models: ["openai/gpt-4o"], stream: true }), {}, "/v1/compare");
    const events = text.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
    assert.ok(events.every(({ model }) => model === "openai/gpt-4o"), "each is labelled");
    const said = events.flatMap(({ chunk }) => chunk?.choices ?? []).map(({ delta }) => delta.content ?? "").join("");
    assert.equal(said, "Hello", text);
  });

  test("pass the gate that every call passes", async () => {
    const narrow = await gateway.createKey({ allowed_models: ["openai/*"], budgets: [{ limit: 1, period: "day" }] });
    const models = ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"];
    const { json: body } = await send(say("hi", { models }), { authorization: `Bearer ${narrow.key}` }, "/v1/compare");
    assert.deepEqual(body.results.map(({ status }) => status), [200, 403]);
    const { request_id } = body.results[0];
    const rows = await until(async () => {
      const { json: calls } = await gateway.admin("GET", `/admin/calls?key_id=${narrow.id}`);
      return calls.data.some((row) => row.request_id === request_id) && calls.data;
    });
    assert.ok(rows.find((row) => row.request_id === request_id).cost > 0);
  });
});

describe("why and what if", () => {
  test("a call is explained before and after it is made, and replayed under a draft", async () => {
    const candidates = ["openai/gpt-4o", "openai/gpt-4o-mini"];
    await gateway.configure({ aliases: { any: { candidates } }, rules: [{ name: "no giants", when: { tag: "small" }, ignore: ["*/gpt-4o"] }] });
    const asked = { request: say("hi", { model: "any" }), headers: { "x-latchkey-tags": "small" } };
    const { json: told } = await gateway.admin("POST", "/admin/route/explain", asked);
    assert.deepEqual(told.excluded, [{ target: "openai/gpt-4o", reason: "ignore", rule: "no giants" }]);
    assert.equal(upstream.requests.length, 0);
    const { json: made, headers } = await send(asked.request, { "x-latchkey-explain": "true" });
    assert.equal(made.latchkey.candidates[0].target, "openai/gpt-4o");
    assert.equal(headers.get("x-latchkey-config"), String(told.config));

    const row = await until(async () => {
      const { json: calls } = await gateway.admin("GET", "/admin/calls?limit=5");
      return calls.data.find(({ asked: model }) => model === "any");
    });
    assert.deepEqual([row.config, row.alias], [told.config, "any"]);
    const config = { version: 1, aliases: { any: { candidates, strategy: "cheapest" } } };
    const from = row.at;
    const { json: replayed } = await gateway.admin("POST", "/admin/route/replay", { config, from });
    assert.deepEqual([replayed.before.targets, replayed.after.targets], [{ "openai/gpt-4o": 1 }, { "openai/gpt-4o-mini": 1 }]);
    assert.ok(replayed.after.cost < replayed.before.cost);
  });

  test("the same seed gives the same order, and another another", async () => {
    const candidates = Array.from({ length: 6 }, (_, index) => `openai/gpt-${index}`);
    await gateway.configure({ aliases: { lot: { candidates, strategy: "weighted", explore: 0.5 } } });
    const order = async (seed) => {
      const { json: told } = await gateway.admin("POST", "/admin/route/explain", { request: say("hi", { model: "lot" }), seed });
      return JSON.stringify([told.seed, told.explored, told.candidates.map(({ target, score }) => [target, score])]);
    };
    const orders = await Promise.all(["1", "2", "3", "4"].map(order));
    assert.deepEqual(await Promise.all(["1", "2", "3", "4"].map(order)), orders);
    assert.equal(new Set(orders).size, 4);
  });

  test("a version takes effect at once here, and is rolled back", async () => {
    const first = await gateway.admin("PUT", "/admin/config", { version: 1, aliases: { any: { candidates: ["openai/a"] } } }, { "if-match": "*" });
    await gateway.configure({ aliases: { any: { candidates: ["openai/b"] } } });
    assert.equal((await send(say("hi", { model: "any" }))).target, "openai/b");
    const back = await gateway.admin("POST", "/admin/config/rollback", { version: first.json.version });
    assert.equal(back.status, 200);
    assert.equal((await send(say("hi", { model: "any" }))).target, "openai/a");
  });

  test("a version of which not everything is understood takes effect here all the same", async () => {
    await gateway.configure({ aliases: { any: { candidates: ["openai/a"] } } });
    assert.equal((await send(say("hi", { model: "any" }))).target, "openai/a");
    const database = await gateway.miniflare.getD1Database("DB");
    const word = "UPDATE config_versions SET document = json_insert(document, '$.from_the_future', 1)";
    const newest = "WHERE version = (SELECT max(version) FROM config_versions)";
    await database.prepare(`CREATE TRIGGER later AFTER INSERT ON audit BEGIN ${word} ${newest}; END`).run();
    await gateway.configure({ aliases: { any: { candidates: ["openai/b"] } } });
    await database.prepare("DROP TRIGGER later").run();
    assert.equal((await send(say("hi", { model: "any" }))).target, "openai/b");
  });
});

test("feedback is kept for calls of the key, and shown with its experiment", async () => {
  await gateway.configure({
    aliases: { any: { candidates: ["openai/gpt-4o"] } },
    experiments: { tone: { alias: "any", by: "call", variants: { terse: { share: 1, candidates: ["openai/gpt-4o-mini"] } } } },
  });
  const made = await client.chat.completions.create(say("hi", { model: "any" })).withResponse();
  const id = made.response.headers.get("x-request-id");
  assert.equal(made.response.headers.get("x-latchkey-variant"), "tone:terse");
  await until(async () => (await send({ id, score: 0.5 }, {}, "/v1/feedback")).status === 200);
  const stranger = await gateway.createKey();
  const other = await send({ id, score: 1 }, { authorization: `Bearer ${stranger.key}` }, "/v1/feedback");
  assert.equal(other.status, 404, "somebody else's call");
  assert.equal((await send({ id, score: 7 }, {}, "/v1/feedback")).json.error.param, "score");
  const { json: figures } = await gateway.admin("GET", "/admin/experiments/tone");
  const [, terse] = figures.variants;
  assert.deepEqual([terse.name, terse.calls, terse.score], ["terse", 1, { of: 1, mean: 0.5, low: 0.5, high: 0.5 }]);
});

// What an alias says of its calls, what takes candidates out, and how experiments share calls, in the running Worker.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { openMarket, say, until } from "./market.mjs";
import { chatEnd, chatEvents, chatStart, headersOnly, json, silence, stream } from "./replies.mjs";

const BOTH = ["dear/stone", "fair/stone"];

let market;
let upstream;
let gateway;

before(async () => {
  market = await openMarket({ name: "alpha", environment: "prod" });
  ({ upstream, gateway } = market);
});

beforeEach(() => upstream.forget());

after(() => market?.close());

const at = (seen, host) => seen.path.startsWith(`/${host}/`);
const failing = (host) => (seen) => (at(seen, host) ? json({ error: { message: "no" } }, { status: 501 }) : undefined);
const targets = ({ candidates }) => candidates.map(({ target }) => target);

describe("an alias", () => {
  test("changes what its candidates are asked", async () => {
    const changes = { temperature: 0.1, top_p: 0.5, max_tokens: 50, reasoning_effort: "low", system_prefix: "Be brief." };
    await market.alias({ candidates: [{ model: "dear/flint", with: changes }, "fair/flint"] });
    upstream.behave(failing("dear"));
    assert.equal((await market.send(say("any", { temperature: 1 }))).target, "fair/flint");
    const [first, second] = upstream.requests.map(({ json: asked }) => asked);
    const { temperature, top_p, max_tokens, max_completion_tokens, reasoning_effort, messages } = first;
    assert.deepEqual([temperature, top_p, max_tokens ?? max_completion_tokens, reasoning_effort], [0.1, 0.5, 50, "low"]);
    assert.deepEqual(messages, [{ role: "system", content: "Be brief." }, { role: "user", content: "hi" }]);
    assert.deepEqual([second.temperature, second.messages, second.top_p], [1, [{ role: "user", content: "hi" }], undefined]);
  });

  test("has conditions, deadlines, retries, hedges and fallbacks of its own", async () => {
    const candidates = ["dear/chalk", "fair/chalk"];
    await market.alias(
      { candidates: [{ model: "dear/chalk", when: { not: { tag: "private" } } }, "fair/chalk"] },
      {
        failover: { same_target: 0 },
        aliases: {
          once: { candidates, failover: { max_attempts: 1 } },
          hurried: { candidates, deadlines: { first_token_ms: 300 } },
          raced: { candidates, failover: { hedge: { after_ms: 100 } } },
          safe: { candidates: ["dear/chalk"], fallbacks: ["fair/pebble"] },
        },
      },
    );
    assert.equal((await market.send(say("any"))).target, "dear/chalk");
    const told = await market.explained(say("any"), { "x-latchkey-tags": "private" });
    assert.deepEqual(told.excluded, [{ target: "dear/chalk", reason: "condition" }]);

    upstream.behave(failing("dear"));
    assert.equal((await market.send(say("once"))).status, 502);
    assert.equal((await market.send(say("safe"))).target, "fair/pebble");
    upstream.behave((seen) => (at(seen, "dear") ? silence() : undefined));
    const raced = await market.send(say("raced"), { "x-latchkey-explain": "true" });
    assert.deepEqual([raced.target, raced.json.latchkey.attempts[0].reason], ["fair/chalk", "outpaced"]);
    for (const manner of [silence(), headersOnly()]) {
      upstream.behave((seen) => (at(seen, "dear") ? manner : undefined));
      const hurried = await market.send(say("hurried", { stream: true }));
      assert.deepEqual([hurried.status, hurried.target], [200, "fair/chalk"]);
      assert.match(hurried.text, /Hello/);
    }
  });

  test("stands for the newest of a family, and never for itself", async () => {
    const host = { base_url: `${upstream.url}/dear/v1`, auth: "none", models: ["rock-2", "rock-10-mini", "rock-9", "rock-11", "slate-12"] };
    const providers = { dear: host };
    const models = { "dear/rock-11": { retires: "2026-01-01" } };
    await gateway.configure({ providers, models, aliases: { newest: { candidates: [{ model: "dear/rock-*", latest: true }] }, rocks: { candidates: ["dear/rock-*"] } } });
    assert.equal((await market.send(say("newest"))).target, "dear/rock-10-mini", "11 is no longer served");
    assert.deepEqual(targets(await market.explained(say("rocks"))), ["dear/rock-10-mini", "dear/rock-9", "dear/rock-2"]);
    const round = { version: 1, aliases: { one: { candidates: ["two"] }, two: { candidates: ["three"] }, three: { candidates: ["one"] } } };
    const { status, json: refused } = await gateway.admin("PUT", "/admin/config", round, { "if-match": "*" });
    assert.equal(status, 400);
    assert.match(JSON.stringify(refused), /stands for itself by way of its candidates/);
  });
});

describe("rules", () => {
  test("hold by key, team, environment, user, session, endpoint, model, kind and size", async () => {
    const { json: team } = await gateway.admin("POST", "/admin/teams", { name: "clinic" });
    const ours = await gateway.createKey({ name: "beta", team_id: team.id });
    const staging = await gateway.createKey({ name: "gamma", environment: "staging" });
    const when = {
      key: { key: "beta" },
      team: { team: team.id },
      environment: { environment: "staging" },
      user: { user: "ada" },
      session: { session: "s-*" },
      model: { model: "any" },
      endpoint: { endpoint: "chat/*" },
      kind: { kind: ["code", "mathematics"] },
      difficulty: { difficulty: { from: 4 } },
      tools: { tools: { from: 1 } },
      long: { input_tokens: { from: 500 } },
      turns: { messages: { from: 3 } },
      answer: { output_tokens: { to: 100 } },
      pictures: { content: ["image"] },
      either: { any: [{ tag: "x" }, { all: [{ tag: "y" }, { not: { user: "eve" } }] }] },
    };
    const tool = { type: "function", function: { name: "look", parameters: { type: "object" } } };
    const turn = { role: "user", content: "hi" };
    const words = (content) => ({ messages: [{ role: "user", content }] });
    const picture = [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }];
    const calls = {
      key: [{}, {}, ours.key],
      team: [{}, {}, ours.key],
      environment: [{}, {}, staging.key],
      user: [{ user: "ada" }],
      session: [{}, { "x-latchkey-session": "s-1" }],
      model: [{}],
      endpoint: [{}],
      kind: [words("Write a Python function that parses this CSV file and returns the rows as dictionaries.")],
      difficulty: [words("Prove the spectral theorem for unbounded self-adjoint operators.")],
      tools: [{ tools: [tool] }],
      long: [words("word ".repeat(1000))],
      turns: [{ messages: [turn, { role: "assistant", content: "hi" }, turn] }],
      answer: [{ max_tokens: 50 }],
      pictures: [words(picture)],
      either: [{}, { "x-latchkey-tags": "y" }],
    };
    for (const [name, [more, headers, key]] of Object.entries(calls)) {
      await market.alias({ candidates: BOTH }, { rules: [{ name, when: when[name], ignore: ["dear/*"] }] });
      const told = await market.explained(say("any", more), headers, key);
      assert.deepEqual([told.excluded, targets(told)], [[{ target: "dear/stone", reason: "ignore", rule: name }], ["fair/stone"]], name);
      if (["model", "endpoint"].includes(name)) continue;
      assert.equal((await market.send(say("any"))).target, "dear/stone", `without ${name}`);
    }
  });

  test("set strategies and latency budgets", async () => {
    await market.alias({ candidates: BOTH }, { rules: [{ name: "thrift", when: { tag: "cheap" }, strategy: "cheapest" }, { name: "haste", when: { tag: "quick" }, latency_budget: { first_token_ms: 1 } }] });
    const thrift = await market.explained(say("any"), { "x-latchkey-tags": "cheap" });
    assert.deepEqual([thrift.strategy, thrift.rules, targets(thrift)[0]], ["cheapest", ["thrift"], "fair/stone"]);
    assert.deepEqual((await market.explained(say("any"), { "x-latchkey-tags": "quick" })).rules, ["haste"]);
  });
});

describe("constraints", () => {
  test("of abilities, context, retirement, residency and the key's policy", async () => {
    const picture = [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }];
    const sound = [{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }];
    const tools = [{ type: "function", function: { name: "look", parameters: { type: "object" } } }];
    const schema = { type: "json_schema", json_schema: { name: "a", schema: { type: "object" } } };
    const able = ["tools", "vision", "audio_input", "json_schema", "system"];
    const without = (ability) => ({ models: { "dear/stone": { capabilities: able.filter((one) => one !== ability) } } });
    const user = (content) => ({ messages: [{ role: "user", content }] });
    const cases = [
      [without("tools"), { tools }, { reason: "capability", lacks: "tools" }],
      [without("vision"), user(picture), { reason: "capability", lacks: "vision" }],
      [without("audio_input"), user(sound), { reason: "capability", lacks: "audio_input" }],
      [without("json_schema"), { response_format: schema }, { reason: "capability", lacks: "json_schema" }],
      [{ models: { "dear/stone": { context: 100 } } }, user("word ".repeat(400)), { reason: "context_length" }],
      [{ models: { "dear/stone": { retires: "2026-01-01" } } }, {}, { reason: "retired" }],
      [{ targets: { "fair/*": { zero_retention: true } } }, { provider: { zdr: true } }, { reason: "zero_retention" }],
      [{ targets: { "fair/*": { no_training: true } } }, { provider: { data_collection: "deny" } }, { reason: "no_training" }],
      [{ targets: { "fair/*": { quantization: "bf16" } } }, { provider: { quantizations: ["bf16"] } }, { reason: "quantization" }],
      [{}, { provider: { max_price: { prompt: 1.5 } } }, { reason: "max_price" }],
    ];
    for (const [sections, more, wanted] of cases) {
      await market.alias({ candidates: BOTH }, sections);
      const told = await market.explained(say("any", more));
      const { target, reason, lacks } = told.excluded[0] ?? {};
      assert.deepEqual({ target, reason, ...(lacks && { lacks }) }, { target: "dear/stone", ...wanted }, JSON.stringify(told));
      assert.deepEqual(targets(told), ["fair/stone"]);
    }
    await market.alias({ candidates: BOTH });
    const narrow = await gateway.createKey({ denied_models: ["dear/*"] });
    const told = await market.explained(say("any"), {}, narrow.key);
    assert.deepEqual(told.excluded, [{ target: "dear/stone", reason: "key_policy" }]);
    const none = await gateway.createKey({ denied_models: ["*/stone"] });
    assert.equal((await market.send(say("any"), {}, none.key)).json.error.code, "model_not_allowed");
  });

  test("of requested parameters keep out who cannot honour them", async () => {
    await market.alias({ candidates: ["anthropic/claude-haiku-4-5", "fair/stone"] });
    const asked = { seed: 7, max_tokens: 20 };
    const lax = await market.send(say("any", asked));
    assert.deepEqual([lax.target, lax.headers.get("x-latchkey-adjusted")], ["anthropic/claude-haiku-4-5", "seed=dropped"]);
    assert.equal((await market.send(say("any", { ...asked, provider: { require_parameters: true } }))).target, "fair/stone");
  });

  test("put the blocked last and the named first", async () => {
    await gateway.admin("POST", "/admin/health/reset", { target: "dear" });
    await market.alias({ candidates: BOTH });
    const named = await market.send(say("any", { provider: { order: ["fair"] } }));
    assert.equal(named.target, "fair/stone");
    assert.equal((await gateway.admin("POST", "/admin/health/block", { target: "dear/stone" })).status, 200);
    const told = await until(async () => {
      const now = await market.explained(say("any"));
      return targets(now)[0] === "fair/stone" && now;
    });
    assert.deepEqual([targets(told), told.excluded], [["fair/stone", "dear/stone"], []], "an order and not a drop");
    await gateway.admin("POST", "/admin/health/reset", { target: "dear" });
    await until(async () => targets(await market.explained(say("any")))[0] === "dear/stone");
  });
});

test("headers of other gateways mean what ours mean", async () => {
  const tell = { user: { user: "ada" }, session: { session: "s1" }, tag: { tag: "b" }, metadata: { metadata: { tier: "gold" } } };
  const headers = [
    ["user", { "x-litellm-end-user-id": "ada" }],
    ["user", { "x-litellm-customer-id": "ada" }],
    ["user", { "x-portkey-metadata": '{"_user": "ada"}' }],
    ["session", { "x-litellm-session-id": "s1" }],
    ["session", { "x-session-id": "s1" }],
    ["tag", { "x-litellm-tags": "a,b" }],
    ["metadata", { "x-litellm-spend-logs-metadata": '{"tier": "gold"}' }],
    ["metadata", { "x-portkey-metadata": '{"tier": "gold"}' }],
  ];
  const rules = Object.entries(tell).map(([name, when]) => ({ name, when, ignore: ["dear/*"] }));
  await market.alias({ candidates: BOTH }, { rules });
  for (const [rule, header] of headers) {
    assert.deepEqual((await market.explained(say("any"), header)).rules, [rule], JSON.stringify(header));
  }
  for (const [manner, deadline] of [[silence(), "connect"], [headersOnly(), "first_token"]]) {
    upstream.reply(manner);
    const waits = await market.send(say("fair/pebble", { stream: true }), { "x-litellm-stream-timeout": "0.3" });
    assert.deepEqual([waits.status, waits.json.error.param], [504, deadline]);
  }
});

describe("prompts", () => {
  test("kind picks the candidates and difficulty the tier, by the operator's table", async () => {
    const candidates = [
      { model: "fair/pebble", kinds: ["code"] },
      { model: "fair/stone", difficulty: { to: 3 } },
      { model: "dear/stone", difficulty: { from: 4 } },
    ];
    await market.alias({ candidates, strategy: "prompt" });
    const of = (content) => market.explained({ model: "any", messages: [{ role: "user", content }] });
    const easy = await of("hi, how are you?");
    assert.deepEqual([easy.class.kind, targets(easy)[0]], ["chat", "fair/stone"]);
    const code = await of("Write a Python function that parses this CSV file and returns the rows as dictionaries.");
    assert.deepEqual([code.class.kind, targets(code)[0]], ["code", "fair/pebble"]);
    const hard = await of("Prove the spectral theorem for unbounded self-adjoint operators.");
    assert.deepEqual([hard.class.difficulty >= 4, targets(hard)[0]], [true, "dear/stone"], JSON.stringify(hard.class));
    assert.equal(easy.candidates.length, 3, "an order and not a drop");
  });
});

describe("experiments", () => {
  test("share calls by user, and stop a canary that is slow", async () => {
    const variants = { canary: { share: 0.5, candidates: ["dear/stone"] } };
    const experiment = { alias: "any", by: "user", variants, stop: { least_calls: 12, latency_ratio: 3 } };
    await market.alias({ candidates: ["fair/stone"] }, { experiments: { slow: experiment } });
    upstream.behave((seen) => async (request, response) => {
      if (at(seen, "dear")) await new Promise((resolve) => setTimeout(resolve, 400));
      stream(chatStart() + chatEvents("Hi") + chatEnd())(request, response);
    });
    const one = async (user) => {
      const { headers, target } = await market.send(say("any", { stream: true, user: `u${user}` }));
      return [headers.get("x-latchkey-variant"), target];
    };
    const few = () => Promise.all(Array.from({ length: 6 }, (_, user) => one(user)));
    const first = await few();
    assert.deepEqual(await few(), first, "a user keeps their variant");
    assert.deepEqual(new Set(first.map(([variant]) => variant)), new Set(["slow:canary", "slow:control"]));
    assert.ok(first.every(([variant, target]) => target === (variant === "slow:canary" ? "dear/stone" : "fair/stone")));
    await until(async () => {
      const more = await Promise.all(Array.from({ length: 12 }, (_, user) => one(100 + user)));
      return more.every(([variant, target]) => variant === "slow:control" && target === "fair/stone");
    });
  });
});

test("a version takes effect in every isolate within a minute, and each call says which decided", async () => {
  const several = await startGateway(upstream, {}, { isolates: 2 });
  try {
    const { key } = await several.createKey();
    const at = async (isolate) => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "x-isolate": String(isolate) };
      const { headers: told } = await several.fetch("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(say("any")) });
      return [told.get("x-latchkey-model"), told.get("x-latchkey-config")];
    };
    await several.configure({ aliases: { any: { candidates: ["openai/before"] } } });
    assert.deepEqual([await at(1), await at(2)], [["openai/before", "1"], ["openai/before", "1"]]);
    await several.configure({ aliases: { any: { candidates: ["openai/after"] } } });
    const pushed = Date.now();
    assert.deepEqual(await at(1), ["openai/after", "2"], "at once where it was pushed");
    await until(async () => (await at(2))[0] === "openai/after");
    assert.ok(Date.now() - pushed < 60_000);
    assert.deepEqual(await at(2), ["openai/after", "2"]);
  } finally {
    await several.close();
  }
});

// Rules, strategies and experiments in the running Worker, each at least once: what README's recipes do not cover.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { answer, openMarket, say, until } from "./market.mjs";
import { json } from "./replies.mjs";

let market;
let upstream;
let gateway;
let key;

before(async () => {
  market = await openMarket({ log_content: true });
  ({ upstream, gateway, key } = market);
});

beforeEach(() => upstream.forget());

after(() => market?.close());

describe("constraints", () => {
  test("of rules: price, patterns, regions, precision and training", async () => {
    const targets = { "fair/*": { regions: ["westeurope"], quantizations: undefined, no_training: true, quantization: "bf16" } };
    const when = (tag) => ({ tag });
    const rules = [
      { name: "cheap", when: when("cheap"), max_price: { input: 1.5 } },
      { name: "only", when: when("only"), only: ["fair/*"] },
      { name: "ignore", when: when("ignore"), ignore: ["dear/*"] },
      { name: "region", when: when("region"), regions: ["westeurope"] },
      { name: "training", when: when("training"), no_training: true },
      { name: "precision", when: when("precision"), quantizations: ["bf16"] },
      { name: "alias", when: when("alias"), alias: "other" },
      { name: "metadata", when: { metadata: { role: "intern" } }, ignore: ["dear/*"] },
      { name: "header", when: { header: { "x-app": "play*" } }, ignore: ["dear/*"] },
      { name: "words", when: { mentions: ["diagnosis"] }, ignore: ["dear/*"] },
      { name: "pictures", when: { content: ["code"] }, ignore: ["dear/*"] },
    ];
    const aliases = { any: { candidates: ["dear/stone", "fair/stone"] }, other: { candidates: ["fair/pebble"] } };
    await market.configure({ aliases, rules, targets: JSON.parse(JSON.stringify(targets)) });
    assert.equal((await market.send(say("any"))).target, "dear/stone");
    for (const tag of ["cheap", "only", "ignore", "region", "training", "precision"]) {
      const told = await market.explained(say("any"), { "x-latchkey-tags": tag });
      assert.deepEqual([told.candidates[0].target, told.excluded[0].rule], ["fair/stone", tag], JSON.stringify(told));
    }
    assert.equal((await market.send(say("any"), { "x-latchkey-tags": "alias" })).target, "fair/pebble");
    assert.equal((await market.send(say("any", { metadata: { role: "intern" } }))).target, "fair/stone");
    assert.equal((await market.send(say("any"), { "x-app": "playground" })).target, "fair/stone");
    const words = (content) => market.send({ model: "any", messages: [{ role: "user", content }] });
    assert.equal((await words("The Diagnosis is clear.")).target, "fair/stone");
    assert.equal((await words("```js\n1\n```")).target, "fair/stone");
  });

  test("of the call: OpenRouter's object and suffixes", async () => {
    await market.configure({ targets: { "fair/*": { zero_retention: true } } });
    const wishes = [{ sort: "price" }, { max_price: { prompt: 1.5 }, allow_fallbacks: true }, { only: ["fair"] }, { ignore: ["dear"], allow_fallbacks: true }, { order: ["fair", "dear"] }];
    for (const provider of wishes) {
      assert.equal((await market.send(say("dear/stone", { provider }))).target, "fair/stone", JSON.stringify(provider));
    }
    assert.equal((await market.send(say("dear/stone", { provider: { zdr: true, allow_fallbacks: true } }))).target, "fair/stone");
    assert.equal((await market.send(say("dear/stone", { provider: { data_collection: "deny" } }))).json.error.code, "no_target");
    assert.equal((await market.send(say("dear/stone:floor"))).target, "fair/stone");
    assert.match((await market.send(say("dear/stone:nitro"))).target, /stone$/);
    assert.equal((await market.send(say("dear/stone", { models: ["dear/stone", "fair/stone"] }))).target, "dear/stone");
  });

  test("headers of other gateways", async () => {
    const rules = [{ name: "tagged", when: { tag: "b", user: "ada", session: "s1" }, ignore: ["dear/*"] }];
    await market.configure({ aliases: { any: { candidates: ["dear/stone", "fair/stone"] } }, rules });
    const litellm = { "x-litellm-tags": "a,b", "x-litellm-end-user-id": "ada", "x-litellm-session-id": "s1" };
    assert.equal((await market.send(say("any"), litellm)).target, "fair/stone");
    const portkey = { "x-portkey-metadata": '{"_user": "ada"}', "x-session-id": "s1", "x-latchkey-tags": "b" };
    assert.equal((await market.send(say("any"), portkey)).target, "fair/stone");
    upstream.behave(() => async (seen) => void (await seen.left));
    for (const header of [{ "x-portkey-request-timeout": "300" }, { "x-litellm-timeout": "0.3" }]) {
      assert.equal((await market.send(say("any"), header)).status, 504, JSON.stringify(header));
    }
  });
});

describe("objectives", () => {
  test("overlays by environment and team, virtual variants, wildcards and aliases of aliases", async () => {
    const { json: team } = await gateway.admin("POST", "/admin/teams", { name: "research" });
    const ours = await gateway.createKey({ team_id: team.id });
    const staging = await gateway.createKey({ environment: "staging" });
    await market.configure({
      aliases: {
        any: {
          candidates: ["dear/stone", "fair/stone"],
          variants: { thrifty: "cheapest" },
          overlays: [
            { when: { environment: "staging" }, candidates: ["sandbox/echo"] },
            { when: { team: team.id }, candidates: ["fair/pebble"] },
          ],
        },
        "claude-*": { candidates: ["any"] },
      },
    });
    assert.equal((await market.send(say("any"))).target, "dear/stone");
    assert.equal((await market.send(say("any"), {}, staging.key)).target, "sandbox/echo");
    assert.equal((await market.send(say("any"), {}, ours.key)).target, "fair/pebble");
    assert.equal((await market.send(say("any:thrifty"))).target, "fair/stone");
    assert.equal((await market.send(say("claude-next"))).target, "dear/stone");
  });

  test("prices of the hour decide", async () => {
    const minute = (shift) => new Date(Date.now() + shift * 60_000).toISOString().slice(11, 16);
    const peak = (usd, hours) => ({ usd_per_mtok: { input: usd, output: usd }, from: "2026-01-01", ...(hours && { hours }) });
    const prices = (hours) => ({ "dear/stone": { prices: [peak(9), peak(0.1, hours)] }, "fair/stone": { prices: [peak(1)] } });
    const aliases = { any: { candidates: ["dear/stone", "fair/stone"], strategy: "cheapest", margin: 0 } };
    await market.configure({ aliases, models: prices(`${minute(-60)}-${minute(60)}`) });
    assert.equal((await market.send(say("any"))).target, "dear/stone", "off-peak now");
    await market.configure({ aliases, models: prices(`${minute(120)}-${minute(180)}`) });
    assert.equal((await market.send(say("any"))).target, "fair/stone", "peak now");
  });

  test("budget_aware leaves the dear ones as its budget goes", async () => {
    const aliases = { any: { candidates: ["dear/stone", "fair/stone"], strategy: "budget_aware", budget_steps: [0.5] } };
    await market.configure({ aliases });
    const poor = await gateway.createKey({ budgets: [{ limit: 0.01, period: "day" }] });
    const seen = new Set();
    upstream.behave(() => answer("Hi", { usage: { prompt_tokens: 600, completion_tokens: 10, total_tokens: 610 } }));
    let last;
    for (let call = 0; call < 40; call += 1) {
      const { status, target } = await market.send(say("any", { max_tokens: 20 }), {}, poor.key);
      if (status !== 200) break;
      seen.add((last = target));
    }
    assert.deepEqual([...seen], ["dear/stone", "fair/stone"]);
    assert.equal(last, "fair/stone");
  });
});

test("semantic routes: vectors made with the configuration, kept in KV, a call's own asked in time", async () => {
  const vectors = { "my money back": [1, 0], "fix this bug": [0, 1], "Refund me!": [0.9, 0.2], "Hello": [-1, -1] };
  const embedding = (seen) => {
    if (!seen.path.includes("/embeddings")) return undefined;
    const inputs = [seen.json.input].flat();
    const data = inputs.map((input, index) => ({ object: "embedding", index, embedding: vectors[input] }));
    return json({ object: "list", model: "m", data, usage: { prompt_tokens: 3, total_tokens: 3 } });
  };
  upstream.behave(embedding);
  const semantics = { model: "openai/text-embedding-3-small", within_ms: 2000, routes: { refunds: ["my money back"], code: ["fix this bug"] } };
  const rules = [{ name: "refunds", when: { means: "refunds" }, alias: "clerk" }];
  await market.configure({ semantics, rules, aliases: { any: { candidates: ["dear/stone"] }, clerk: { candidates: ["fair/pebble"] } } });
  const asked = (content) => market.send({ model: "any", messages: [{ role: "user", content }] }, { "x-latchkey-explain": "true" });
  const first = await asked("Refund me!");
  assert.equal(first.target, "fair/pebble");
  assert.equal(first.json.latchkey.meaning.route, "refunds");
  assert.equal((await asked("Hello")).target, "dear/stone");
  const count = () => upstream.requests.filter(({ path }) => path.includes("/embeddings")).length;
  const before = count();
  assert.equal((await asked("Refund me!")).target, "fair/pebble");
  assert.equal(count(), before, "the same words are not asked for twice");
  const kv = await gateway.miniflare.getKVNamespace("CONFIG");
  const { keys } = await kv.list({ prefix: "vectors:" });
  assert.equal(keys.length, 1);
  upstream.behave((seen) => (seen.path.includes("/embeddings") ? async () => void (await seen.left) : undefined));
  await market.configure({ semantics: { ...semantics, within_ms: 100 }, rules, aliases: { any: { candidates: ["dear/stone"] }, clerk: { candidates: ["fair/pebble"] } } });
  assert.equal((await asked("Refund me!")).target, "dear/stone", "too late: decided without");
});

describe("experiments", () => {
  test("shadows are sent beside the answer, recorded, and kept to be compared", async () => {
    const shadow = { share: 1, candidates: ["fair/stone"], shadow: { limit: 1, period: "day" } };
    await market.configure({ aliases: { any: { candidates: ["dear/stone"] } }, experiments: { next: { alias: "any", by: "call", variants: { newer: shadow } } } });
    const { target, headers } = await market.send(say("any", { max_tokens: 50 }));
    assert.equal(target, "dear/stone");
    const streamed = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(say("any", { max_tokens: 50, stream: true })),
    });
    await streamed.text();
    const pairs = await until(async () => {
      const { json: told } = await gateway.admin("GET", "/admin/experiments/next/pairs");
      return told.data.length === 2 && told.data.every(({ call, shadow: its }) => call.content && its.content) && told.data;
    });
    const pair = pairs.find(({ call }) => call.request_id === headers.get("x-request-id"));
    assert.deepEqual([pair.variant, pair.call.target, pair.shadow.target], ["newer", "dear/stone", "fair/stone"]);
    assert.ok(pair.call.cost > pair.shadow.cost && pair.shadow.cost > 0);
    assert.match(pair.call.content, /"choices"/);
    assert.ok(pairs.some(({ call, shadow: its }) => call.content.startsWith("data:") && its.content.startsWith("data:")));
    const { json: figures } = await gateway.admin("GET", "/admin/experiments/next");
    assert.deepEqual(figures.variants.map(({ name, calls, shadow: is }) => [name, calls, is]), [["control", 2, false], ["newer", 2, true]]);
    const { json: usage } = await gateway.admin("GET", "/admin/usage?group_by=variant,key");
    const rows = usage.data.filter(({ variant }) => variant.startsWith("next:"));
    assert.deepEqual(rows.map(({ variant, calls }) => [variant, calls]), [["next:control", 2], ["next:newer", 2]]);
    assert.equal(rows[1].key_id, "shadow_next.newer");
    assert.ok("cache_hit_rate" in rows[0]);
  });
});

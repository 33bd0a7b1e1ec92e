// Every strategy in the running Worker, and what keeps a call where its prompt is cached.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { answer, openMarket, priced, say, until } from "./market.mjs";
import { chatEnd, chatEvents, chatStart, json } from "./replies.mjs";

const BOTH = ["dear/stone", "fair/stone"];
/** Percentiles from the first answers on, and news of them within a second. */
const health = { minimum_samples: 1, snapshot_age_ms: 1000 };
const STREAM = { stream: true };

let market;
let upstream;

before(async () => {
  market = await openMarket();
  ({ upstream } = market);
});

beforeEach(() => upstream.forget());

after(() => market?.close());

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A stream that waits before its first word, and then takes its time for so many tokens. */
function paced(before, during, tokens) {
  return async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    await wait(before);
    response.write(chatStart() + chatEvents("Hello"));
    await wait(during);
    response.end(chatEvents(" there") + chatEnd({ usage: { prompt_tokens: 9, completion_tokens: tokens, total_tokens: 9 + tokens } }));
  };
}

const at = (seen, host) => seen.path.startsWith(`/${host}/`);

/** Makes both hosts of a model known by streams of each, and gives the explanation by which the second comes first. */
async function learnt(strategy, [dear, fair]) {
  await market.alias({ candidates: [dear, fair], strategy, margin: 0 }, { health });
  return until(async () => {
    await Promise.all([dear, fair].map((model) => market.send(say(model, STREAM))));
    const told = await market.explained(say("any", STREAM));
    return told.candidates[0].target === fair && told;
  });
}

describe("strategies", () => {
  test("throughput goes where tokens come fastest", async () => {
    upstream.behave((seen) => (seen.json.stream ? (at(seen, "dear") ? paced(0, 400, 20) : paced(0, 100, 500)) : undefined));
    await market.alias({ candidates: BOTH, strategy: "throughput" });
    assert.equal((await market.send(say("any"))).target, "dear/stone", "of which nothing is known goes as it is written");
    const { strategy, candidates } = await learnt("throughput", BOTH);
    assert.equal(strategy, "throughput");
    const [fast, slow] = candidates.map(({ terms }) => terms.tokens_per_second);
    assert.ok(fast > slow && slow > 0, JSON.stringify(candidates));
    const nitro = await market.explained(say("any:nitro", STREAM));
    assert.deepEqual([nitro.strategy, nitro.candidates[0].target], ["throughput", "fair/stone"]);
    const sorted = await market.explained(say("any", { provider: { sort: "throughput" }, ...STREAM }));
    assert.deepEqual([sorted.strategy, sorted.candidates[0].target], ["throughput", "fair/stone"]);
    const wished = await market.explained(say(BOTH[0], { provider: { preferred_min_throughput: 200, allow_fallbacks: true } }));
    assert.deepEqual(wished.candidates.map(({ target }) => target), ["fair/stone", "dear/stone"], "the slower come last");
  });

  test("fastest goes where the first token comes soonest, fastest_total where the last does", async () => {
    const flints = ["dear/flint", "fair/flint"];
    upstream.behave((seen) => (seen.json.stream ? (at(seen, "dear") ? paced(600, 0, 50) : paced(0, 50, 50)) : undefined));
    const first = await learnt("fastest", flints);
    assert.ok(first.candidates[0].terms.wait_ms < first.candidates[1].terms.wait_ms, JSON.stringify(first.candidates));
    for (const asked of [say("any:fast", STREAM), say("any", { provider: { sort: "latency" }, ...STREAM })]) {
      const told = await market.explained(asked);
      assert.deepEqual([told.strategy, told.candidates[0].target], ["fastest", "fair/flint"]);
    }
    const wished = await market.explained(say(flints[0], { provider: { preferred_max_latency: 0.2, allow_fallbacks: true }, ...STREAM }));
    assert.deepEqual(wished.candidates.map(({ target }) => target), ["fair/flint", "dear/flint"], "the slower come last");

    // Later to begin and sooner to end: for a hundred tokens the second is the faster, and to the first word the other.
    const chalks = ["dear/chalk", "fair/chalk"];
    upstream.behave((seen) => (seen.json.stream ? (at(seen, "dear") ? paced(0, 500, 10) : paced(150, 20, 200)) : undefined));
    const { candidates } = await learnt("fastest_total", chalks);
    assert.ok(candidates[0].telemetry.first_token_p50_ms > candidates[1].telemetry.first_token_p50_ms, JSON.stringify(candidates));
    assert.equal((await market.explained(say("any:fast", STREAM))).candidates[0].target, "dear/chalk");
  });

  test("fastest goes where the whole answer comes soonest, for calls that want it in one piece", async () => {
    const flints = ["dear/flint", "fair/flint"];
    upstream.behave((seen) => async (_, response) => {
      await wait(at(seen, "dear") ? 20 : 400);
      await answer("Hello there")(seen, response);
    });
    await market.alias({ candidates: flints, strategy: "fastest", margin: 0 }, { health });
    const { candidates } = await until(async () => {
      await Promise.all(flints.map((model) => market.send(say(model))));
      const told = await market.explained(say("any"));
      return told.candidates.every(({ telemetry }) => telemetry.whole_p50_ms !== undefined) && told;
    });
    assert.deepEqual(candidates.map(({ target }) => target), flints, "though streams begin sooner at the other");
    assert.ok(candidates[0].telemetry.whole_p50_ms < 400 && candidates[1].telemetry.whole_p50_ms >= 380, JSON.stringify(candidates));
  });

  test("a latency budget of the call, and one that nobody makes", async () => {
    const flints = ["dear/flint", "fair/flint"];
    upstream.behave((seen) => (seen.json.stream ? (at(seen, "dear") ? paced(600, 50, 50) : paced(20, 50, 50)) : undefined));
    await learnt("fastest", flints);
    await market.alias({ candidates: flints }, { health });
    for (const [more, headers] of [[{ provider: { latency_budget_ms: 400 } }, {}], [{}, { "x-latchkey-latency-budget-ms": "400" }]]) {
      const told = await market.explained(say("any", { ...more, ...STREAM }), headers);
      assert.deepEqual(told.excluded.map(({ target, reason }) => [target, reason]), [["dear/flint", "latency_budget"]]);
      assert.ok(told.excluded[0].telemetry.first_token_p95_ms > 400);
    }
    await market.alias({ candidates: flints, latency_budget: { total_ms: 600 } }, { health });
    const whole = await market.explained(say("any", { max_tokens: 20, ...STREAM }));
    assert.deepEqual(whole.excluded.map(({ target, reason }) => [target, reason]), [["dear/flint", "latency_budget"]], "to the last token");
    const unmet = await market.explained(say("any", STREAM), { "x-latchkey-latency-budget-ms": "1" });
    assert.deepEqual([unmet.latency_budget_unmet, unmet.excluded, unmet.candidates[0].target], [true, [], "fair/flint"]);
  });

  test("least_busy goes where the least is under way, by weight", async () => {
    const under = [];
    const held = (seen) => (seen.json.messages[0].content === "wait" ? async (_, response) => void under.push(() => answer("late")(seen, response)) : undefined);
    upstream.behave(held);
    await market.alias({ candidates: BOTH, strategy: "least_busy" }, { aliases: { heavy: { candidates: [{ model: BOTH[0], weight: 3 }, BOTH[1]], strategy: "least_busy" } } });
    const waiting = { messages: [{ role: "user", content: "wait" }] };
    const arrives = upstream.next();
    const first = market.send(say("any", waiting));
    assert.ok(at(await arrives, "dear"), "of two that are idle the first");
    const told = await market.explained(say("any"));
    assert.deepEqual(told.candidates.map(({ target, terms }) => [target, terms.in_flight]), [["fair/stone", 0], ["dear/stone", 1]]);
    assert.equal((await market.send(say("heavy"))).target, "dear/stone", "one of three is less than one of one");
    const also = upstream.next();
    const second = market.send(say("any", waiting));
    assert.ok(at(await also, "fair"));
    assert.equal((await market.send(say("any"))).target, "dear/stone", "as many on both");
    under.forEach((finish) => finish());
    assert.deepEqual((await Promise.all([first, second])).map(({ target }) => target), BOTH);
  });

  test("balanced shares by the inverse square of the price, and passes over the unhealthy", async () => {
    await market.alias({ candidates: BOTH, strategy: "balanced" }, { health });
    const shares = async () => {
      const seen = { "dear/stone": 0, "fair/stone": 0 };
      for (let round = 0; round < 25; round += 1) {
        const answers = await Promise.all(Array.from({ length: 8 }, () => market.send(say("any"))));
        answers.forEach(({ target }) => (seen[target] += 1));
      }
      return seen;
    };
    // Four fifths of 200, and five standard deviations (5.7) to either side.
    const seen = await shares();
    assert.ok(seen["fair/stone"] > 131 && seen["fair/stone"] < 189, JSON.stringify(seen));
    const { candidates } = await market.explained(say("any"));
    assert.deepEqual(Object.keys(candidates[0].terms).sort(), ["cost", "draw", "error_ratio", "wait_ms", "weight"]);

    await market.alias({ candidates: BOTH, strategy: "balanced", balance: { price: 0 } }, { health });
    const even = await shares();
    assert.ok(even["fair/stone"] > 64 && even["fair/stone"] < 136, `price counts for nothing: ${JSON.stringify(even)}`);

    let asked = 0;
    upstream.behave((request) => (at(request, "fair") && (asked += 1) % 3 === 0 ? json({ error: { message: "no" } }, { status: 500 }) : undefined));
    await market.alias({ candidates: BOTH, strategy: "balanced" }, { health });
    const sick = await until(async () => {
      await market.send(say("fair/stone"));
      const told = await market.explained(say("any"));
      return told.candidates.find(({ target }) => target === "fair/stone").group === 1 && told;
    });
    assert.equal(sick.candidates[0].target, "dear/stone");
    assert.ok(sick.candidates[1].terms.error_ratio >= 0.1, JSON.stringify(sick.candidates));
  });

  test("weighted keeps its weights over sessions, and a session its choice", async () => {
    await market.alias({ candidates: [{ model: BOTH[0], weight: 3 }, BOTH[1]], strategy: "weighted" });
    const one = (session) => market.send(say("any"), { "x-latchkey-session": `w${session}` });
    let first = 0;
    for (let session = 0; session < 200; session += 1) {
      const { target } = await one(session);
      first += target === "dear/stone" ? 1 : 0;
      if (session % 10 === 0) assert.equal((await one(session)).target, target);
    }
    // Three quarters of 200; the draws are by hash, so they are the same each time.
    assert.ok(first > 125 && first < 175, `${first} of 200`);
  });

  test("explore sends its share to others, and says so", async () => {
    await market.alias({ candidates: BOTH, explore: 0.3 });
    let explored = 0;
    for (let round = 0; round < 25; round += 1) {
      const told = await Promise.all(Array.from({ length: 8 }, () => market.explained(say("any"))));
      for (const { explored: is, candidates } of told) {
        assert.equal(candidates[0].target, is ? "fair/stone" : "dear/stone");
        explored += is ? 1 : 0;
      }
    }
    // Three tenths of 200, and five standard deviations (6.5).
    assert.ok(explored > 27 && explored < 93, `${explored} of 200`);
    const sorted = await Promise.all(Array.from({ length: 20 }, () => market.explained(say("any", { provider: { sort: "price" } }))));
    assert.ok(sorted.every(({ explored: is }) => is === undefined), "who says how it is chosen is not experimented with");
  });
});

describe("prices", () => {
  test("of long prompts and of service tiers decide", async () => {
    const long = priced(0.5, 1, {}, { tiers_above: [{ input_tokens: 2000, usd_per_mtok: { input: 9, output: 9 } }] });
    const tiers = priced(3, 3, {}, { service_tiers: { flex: { input: 0.2, output: 0.2 }, batch: { input: 0.1, output: 0.1 } } });
    const cheapest = { candidates: BOTH, strategy: "cheapest", margin: 0 };
    await market.alias(cheapest, { models: { "dear/stone": long } });
    const prompt = (words) => ({ messages: [{ role: "user", content: "word ".repeat(words) }] });
    assert.equal((await market.send(say("any", prompt(100)))).target, "dear/stone", "short");
    assert.equal((await market.send(say("any", prompt(4000)))).target, "fair/stone", "above the tier");
    await market.alias(cheapest, { models: { "dear/stone": tiers } });
    assert.equal((await market.send(say("any"))).target, "fair/stone");
    for (const service_tier of ["flex", "batch"]) {
      assert.equal((await market.send(say("any", { service_tier }))).target, "dear/stone", service_tier);
    }
  });
});

describe("a prompt's cache", () => {
  const PEBBLES = ["dear/pebble", "fair/pebble"];
  const prompt = (beginning, said) => ({ messages: [{ role: "system", content: `${beginning} `.repeat(600) }, { role: "user", content: said }] });
  const only = (host) => ({ provider: { only: [host], allow_fallbacks: true } });

  beforeEach(() => {
    const cached = new Set();
    // A host has a prompt's beginning in its cache once it was sent it.
    upstream.behave((seen) => {
      const known = `${seen.path}${seen.json.messages[0].content}`;
      const cached_tokens = cached.has(known) ? 2_800 : 0;
      cached.add(known);
      return answer("Hi", { usage: { prompt_tokens: 3_000, completion_tokens: 2, total_tokens: 3_002, prompt_tokens_details: { cached_tokens } } });
    });
  });

  test("holds the calls that begin alike, unless leaving pays for the lost hits", async () => {
    await market.alias({ candidates: PEBBLES, strategy: "cheapest", margin: 0 });
    assert.equal((await market.send(say("any", prompt("Elsewhere.", "a")))).target, "fair/pebble", "cheaper while nothing is cached");
    assert.equal((await market.send(say("any", { ...prompt("These rules.", "a"), ...only("dear") }))).target, "dear/pebble");
    const told = await market.explained(say("any", prompt("These rules.", "b")));
    assert.deepEqual(told.candidates.map(({ target }) => target), PEBBLES, "its hits make up for its price");
    assert.ok(told.candidates[0].expected_cost < told.candidates[1].expected_cost, JSON.stringify(told.candidates));
    await market.alias({ candidates: PEBBLES, strategy: "cheapest", margin: 0 }, { models: { "fair/pebble": priced(0.01, 0.01) } });
    assert.equal((await market.send(say("any", prompt("These rules.", "c")))).target, "fair/pebble", "leaving pays");
  });

  test("holds the calls of a session and of a beginning whatever draws the lot, unless it is switched off", async () => {
    const settled = async (headers, beginning) => {
      const seen = new Set();
      for (let call = 0; call < 12; call += 1) seen.add((await market.send(say("any", prompt(beginning, `${call}`)), headers)).target);
      return seen.size;
    };
    await market.alias({ candidates: PEBBLES, strategy: "weighted" });
    assert.equal(await settled({}, "One and the same."), 1);
    assert.equal(await settled({ "x-latchkey-session": "sticky" }, "Another."), 1);
    await market.alias({ candidates: PEBBLES, strategy: "weighted", sticky: false });
    assert.equal(await settled({}, "A third."), 2, "each call draws its own");
  });

  test("is told as a rate for each key", async () => {
    await market.alias({ candidates: ["dear/pebble"] });
    const { id, key } = await market.gateway.createKey();
    for (const said of ["a", "b", "c", "d"]) await market.send(say("any", prompt("Figures.", said)), {}, key);
    const row = await until(async () => {
      const { json: usage } = await market.gateway.admin("GET", "/admin/usage?group_by=key");
      const own = usage.data.find(({ key_id }) => key_id === id);
      return own?.calls === 4 && own;
    });
    assert.equal(row.cache_hit_rate.toFixed(3), (8_400 / 12_000).toFixed(3));
  });
});

// Answers that fail their check, in the running Worker: who is asked next, within which bounds, and what is told and paid.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { answer, openMarket, say, until } from "./market.mjs";
import { chatEnd, chatEvents, chatStart, cut, silence, stream } from "./replies.mjs";

let market;
let upstream;
let gateway;

before(async () => {
  market = await openMarket();
  ({ upstream, gateway } = market);
});

beforeEach(() => upstream.forget());

after(() => market?.close());

const told = { "x-latchkey-explain": "true" };
const reasons = ({ latchkey }) => latchkey.attempts.map(({ reason }) => reason);

/** Puts an alias in force whose first candidate has a check. */
const checked = (check, more = {}) => market.alias({ candidates: [{ model: "fair/stone", check }, "dear/stone"], ...more });

describe("an answer in one piece", () => {
  const refusing = answer(null, { message: { refusal: "I cannot help with that." } });
  const filtered = answer("", { finish_reason: "content_filter" });
  const sure = (logprob) => ({ logprobs: { content: [{ token: "a", logprob, bytes: null, top_logprobs: [] }], refusal: null } });
  const schema = { type: "object", properties: { year: { type: "integer", minimum: 1900 } }, required: ["year"] };

  test("goes on by each check, and not where it passes", async () => {
    const cases = [
      ["check_json", { json: ["city"] }, answer("Rome"), answer('{"city": "Rome"}')],
      ["check_schema", { schema }, answer('{"year": 1066}'), answer('{"year": 1969}')],
      ["check_pattern", { matches: ["yes*", "no*"] }, answer("Perhaps."), answer("No.")],
      ["check_regex", { regex: "^\\{.*\\}$" }, answer("in 1969"), answer("{}")],
      ["check_too_short", { least_characters: 10 }, answer("Rome"), answer("Rome, of course")],
      ["check_refusal", { no_refusal: true }, refusing, answer("Sure")],
      ["check_refusal", { no_refusal: true }, filtered, answer("Sure")],
      ["check_confidence", { least_confidence: 0.6 }, answer("Rome", sure(-2)), answer("Rome", sure(-0.1))],
    ];
    for (const [fault, check, poor, good] of cases) {
      await checked(check);
      upstream.reply(poor, answer("It is Rome."));
      const better = await market.send(say("any", { logprobs: true }), told);
      assert.deepEqual([better.target, better.json.choices[0].message.content], ["dear/stone", "It is Rome."], fault);
      assert.deepEqual(reasons(better.json), [fault, "served"]);
      upstream.reply(good);
      assert.equal((await market.send(say("any", { logprobs: true }))).target, "fair/stone", fault);
      assert.equal(upstream.unused(), 0);
    }
  });

  test("keeps the schema that the call asks for", async () => {
    await checked({ schema: "asked" });
    const asked = say("any", { response_format: { type: "json_schema", json_schema: { name: "y", schema } } });
    upstream.reply(answer('{"year": 1066}'), answer('{"year": 1969}'));
    assert.equal((await market.send(asked)).target, "dear/stone");
    upstream.reply(answer("in 1066"));
    assert.equal((await market.send(say("any"))).target, "fair/stone", "nothing was asked for");
  });

  test("is judged by another model, whose own call is recorded", async () => {
    await checked({ judge: { model: "fair/pebble", criterion: "It names a year.", within_ms: 5000 } });
    upstream.reply(answer("Long ago."), answer("No."), answer("1969"));
    const { target, headers, json } = await market.send(say("any"), told);
    assert.deepEqual([target, json.choices[0].message.content], ["dear/stone", "1969"]);
    assert.deepEqual(upstream.requests.map(({ json: asked }) => asked.model), ["stone", "pebble", "stone"]);
    upstream.reply(answer("In 1969."), answer("Yes."));
    assert.equal((await market.send(say("any"))).target, "fair/stone");
    const id = headers.get("x-request-id");
    const rows = await until(async () => {
      const { json: calls } = await gateway.admin("GET", "/admin/calls?limit=20");
      const found = calls.data.filter((row) => row.request_id === id || row.made_for === id);
      return found.length === 3 && found;
    });
    const own = rows.find((row) => row.request_id === id && row.seq === 0);
    assert.deepEqual(own.tried.map(({ reason }) => reason), ["check_judge", "served"]);
    assert.equal(rows.find((row) => row.made_for === id).role, "judge");
    const generation = await gateway.fetch(`/v1/generation?id=${id}`, { headers: { authorization: `Bearer ${market.key}` } });
    const { data } = await generation.json();
    assert.equal(data.routing.candidates[0].target, "fair/stone");
    assert.ok(data.routing.seed.length > 0 && "telemetry" in data.routing.candidates[0]);
  });

  test("is not gone on from beyond a bound of cost or time", async () => {
    await checked({ regex: "never" }, { escalation: { max_usd: 0.000001 } });
    assert.equal((await market.send(say("any"))).target, "fair/stone");
    const slowly = async (seen, response) => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      answer("Something.")(seen, response);
    };
    await checked({ regex: "never" }, { escalation: { within_ms: 100 } });
    upstream.reply(slowly);
    assert.equal((await market.send(say("any"))).target, "fair/stone");
    await checked({ regex: "never" }, { escalation: { within_ms: 20_000 } });
    upstream.reply(slowly, answer("Better."));
    assert.equal((await market.send(say("any"))).target, "dear/stone");
  });
});

test("each attempt is a row of the ledger, and of usage, under its own target", async () => {
  await checked({ regex: "^Rome" });
  const { id: keyId, key } = await gateway.createKey({ budgets: [{ limit: 1, period: "day" }] });
  upstream.reply(answer("Who knows"), answer("Rome", { usage: { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 } }));
  const { headers, json } = await market.send(say("any"), {}, key);
  assert.deepEqual([json.usage.prompt_tokens, json.usage.completion_tokens], [18, 6], "the caller is told the sum");
  const id = headers.get("x-request-id");
  const ledger = await until(async () => {
    const { status, json: account } = await gateway.admin("GET", `/admin/ledger/${id}`);
    return status === 200 && account;
  });
  const [last, first] = ledger.rows;
  assert.deepEqual([last.seq, last.provider, last.status], [0, "dear", 200]);
  assert.deepEqual([first.seq, first.provider, first.state], [1, "fair", "settled_actual"]);
  const lines = ({ lines: all }) => all.map(({ bucket, count, per_million, amount }) => [bucket, count, per_million, amount]);
  assert.deepEqual(lines(first), [["input", 9, 1, 0.000009], ["output", 2, 1, 0.000002]]);
  assert.deepEqual(lines(last), [["input", 9, 2, 0.000018], ["output", 4, 2, 0.000008]]);
  assert.deepEqual(last.tried.map(({ target, reason, cost }) => [target, reason, cost > 0]).slice(0, 1), [["fair/stone", "check_regex", true]]);
  assert.equal(ledger.cost.toFixed(9), json.usage.cost.toFixed(9));
  const { json: usage } = await gateway.admin("GET", `/admin/usage?group_by=provider&key_id=${keyId}`);
  const by = Object.fromEntries(usage.data.map(({ provider, calls, cost }) => [provider, [calls, cost]]));
  assert.deepEqual([by.dear, by.fair], [[1, 0.000026], [0, 0.000011]], "one call, paid at two places");
  const spent = await until(async () => {
    const own = await gateway.fetch("/v1/key", { headers: { authorization: `Bearer ${key}` } });
    const [budget] = (await own.json()).budgets;
    return budget.spent > 0 && budget.spent;
  });
  assert.equal(spent, 0.000037, "counted once");
});

test("so is a target that another outpaced, and a stream that another went on with", async () => {
  const pebbles = ["fair/pebble", "dear/pebble"];
  const rows = async (headers) => {
    const account = await until(async () => {
      const { status, json } = await gateway.admin("GET", `/admin/ledger/${headers.get("x-request-id")}`);
      return status === 200 && json;
    });
    assert.ok(account.rows.every(({ lines }) => lines.length > 0), JSON.stringify(account.rows));
    assert.ok(Math.abs(account.cost - account.rows.reduce((sum, { cost }) => sum + cost, 0)) < 1e-12);
    return account.rows.map(({ seq, provider, status, state }) => [seq, provider, status, state]);
  };
  await market.alias({ candidates: pebbles, failover: { hedge: { after_ms: 100, percent: 100 } } });
  upstream.behave((seen) => (seen.path.startsWith("/fair/") ? silence() : undefined));
  const raced = await market.send(say("any"));
  assert.equal(raced.target, "dear/pebble");
  assert.deepEqual(await rows(raced.headers), [[0, "dear", 200, "settled_actual"], [1, "fair", 499, "settled_estimate"]]);

  await market.alias({ candidates: pebbles });
  upstream.behave((seen) => (seen.path.startsWith("/fair/") ? cut(chatStart() + chatEvents("Mercury, Venus")) : stream(chatStart() + chatEvents(", Earth") + chatEnd())));
  const joined = await market.send(say("any", { stream: true }), { "x-latchkey-continue": "true" });
  assert.match(joined.text, /Venus.*Earth.*\[DONE\]/s);
  assert.deepEqual(await rows(joined.headers), [[0, "dear", 200, "settled_actual"], [1, "fair", 502, "settled_estimate"]]);
});

describe("a stream", () => {
  const poor = stream(chatStart() + chatEvents("Who", " knows") + chatEnd());
  const good = stream(chatStart() + chatEvents("Rome", " it is") + chatEnd());
  const asked = say("any", { stream: true });

  test("goes on unchecked and says so, unless it is to be held back", async () => {
    await checked({ regex: "^Rome" });
    upstream.reply(poor);
    const usual = await market.send(asked);
    assert.deepEqual([usual.target, usual.headers.get("x-latchkey-adjusted")], ["fair/stone", "check=dropped"]);
    assert.match(usual.text, /knows/);
    upstream.reply(answer("Who knows"), answer("Rome"));
    const whole = await market.send(asked);
    assert.deepEqual([whole.target, whole.text.endsWith("data: [DONE]\n\n")], ["dear/stone", true], "in one piece it is checked");
  });

  test("is held back until it is checked where the operator wants that", async () => {
    await checked({ regex: "^Rome" }, { escalation: { streams: true } });
    upstream.reply(good);
    const first = await market.send(asked);
    assert.deepEqual([first.target, first.headers.get("x-latchkey-adjusted")], ["fair/stone", null]);
    assert.match(first.text, /Rome.*it is.*\[DONE\]/s);
    for (const failing of [poor, cut(chatStart() + chatEvents("Rome")), cut(chatStart() + chatEvents("Rome"), { clean: true })]) {
      upstream.reply(failing, good);
      const second = await market.send(asked, told);
      assert.equal(second.target, "dear/stone");
      assert.doesNotMatch(second.text, /knows/);
      assert.equal(second.text.match(/Rome/g).length, 1, "nothing of the first is in it");
      assert.match(second.text, /"latchkey".*\[DONE\]/s);
    }
    assert.equal(upstream.unused(), 0);
  });

  test("is judged while it is held back", async () => {
    const judge = { model: "fair/pebble", criterion: "It names a city." };
    await checked({ judge }, { escalation: { streams: true } });
    upstream.reply(poor, answer("No."), good);
    assert.equal((await market.send(asked)).target, "dear/stone");
    upstream.reply(good, answer("Yes."));
    const kept = await market.send(asked);
    assert.deepEqual([kept.target, /it is/.test(kept.text)], ["fair/stone", true]);
  });

  test("that falls silent while it is held back goes on unchecked", async () => {
    await market.alias({ candidates: [{ model: "fair/stone", check: { regex: "^Rome" } }, "dear/stone"], escalation: { streams: true } }, { limits: { deadlines: { commit_after_ms: 300 } } });
    upstream.reply(async (seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chatStart() + chatEvents("Who"));
      await new Promise((resolve) => setTimeout(resolve, 900));
      response.end(chatEvents(" knows") + chatEnd());
    });
    const silent = await market.send(asked);
    assert.deepEqual([silent.target, silent.headers.get("x-latchkey-adjusted")], ["fair/stone", "check=dropped"]);
    assert.match(silent.text, /Who.* knows.*\[DONE\]/s);
  });
});

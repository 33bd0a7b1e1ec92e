// Events on their way to webhooks, and what the schedule does by itself.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const HOUR = 3_600_000;
const CALL = { model: "openai/gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };

let upstream;
let gateway;
let database;
let webhook;
let secret;
/** What came in at the webhook, oldest first. */
const received = [];
/** The statuses that it answers with next. */
const answers = [];

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream, {}, { outside });
  database = await gateway.miniflare.getD1Database("DB");
  const made = await gateway.admin("POST", "/admin/webhooks", { url: "https://hooks.example.com/in", events: ["key.*"] });
  assert.equal(made.status, 201, made.text);
  webhook = made.json;
  ({ secret } = (await gateway.admin("GET", `/admin/webhooks/${webhook.id}/secret`)).json);
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

beforeEach(() => {
  received.length = 0;
  answers.length = 0;
});

/** Stands for the internet: the webhook's server, and the fake provider. */
async function outside(request) {
  if (!request.url.startsWith("https://hooks.example.com/")) return fetch(request.url, forwarded(request, await request.arrayBuffer()));
  received.push({ headers: Object.fromEntries(request.headers), body: await request.text() });
  return new Response(null, { status: answers.shift() ?? 204 });
}

function forwarded(request, body) {
  const headers = Object.fromEntries([...request.headers].filter(([name]) => !["host", "content-length"].includes(name)));
  return { method: request.method, headers, body: body.byteLength > 0 ? body : undefined };
}

async function until(holds) {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, "it never was");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const types = () => received.map(({ body }) => JSON.parse(body).type);

describe("an event", () => {
  test("is told at once, signed as Standard Webhooks wants it", async () => {
    const { id } = await gateway.createKey({ name: "told" });
    await until(() => received.length > 0);
    await gateway.admin("POST", `/admin/keys/${id}/revoke`);
    await until(() => received.length > 1);
    assert.deepEqual(types(), ["key.create", "key.revoke"]);
    const { headers, body } = received[1];
    const event = JSON.parse(body);
    assert.equal(event.subject, id);
    assert.equal(event.data.before.revoked_at, null);
    assert.ok(event.data.after.revoked_at > 0);
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    const signed = createHmac("sha256", key).update(`${event.id}.${headers["webhook-timestamp"]}.${body}`).digest("base64");
    assert.ok(headers["webhook-signature"].split(" ").includes(`v1,${signed}`));
    assert.equal(headers["webhook-id"], event.id);
  });

  test("is told again until it arrives, and then no more", async () => {
    answers.push(500);
    await gateway.createKey({ name: "retried" });
    await until(() => received.length === 1);
    await until(async () => (await database.prepare("SELECT 1 FROM deliveries WHERE answer = '500'").first()) !== null);
    await gateway.scheduled();
    assert.equal(received.length, 1, "not before its time");
    await gateway.scheduled(Date.now() + 60_000);
    await gateway.scheduled(Date.now() + 10 * HOUR);
    assert.equal(received.length, 2);
    assert.equal(received[0].headers["webhook-id"], received[1].headers["webhook-id"], "to be told apart from another");
  });

  test("of a budget that is used up tells which, when, and how much, once", async () => {
    const made = await gateway.admin("POST", "/admin/webhooks", { url: "https://hooks.example.com/budgets", events: ["budget.exhausted"] });
    assert.equal(made.status, 201, made.text);
    const limit = 0.0002;
    const { key, budgets } = await gateway.createKey({ budgets: [{ limit, period: "month", enforcement: "soft" }] });
    const spend = async () => {
      const response = await gateway.fetch("/v1/chat/completions", {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ ...CALL, max_tokens: 2 }),
      });
      await response.text();
      return response.status;
    };
    let calls = 0;
    while ((await spend()) === 200) assert.ok((calls += 1) < 300, "the budget never ends");
    const told = () => received.map(({ body }) => JSON.parse(body)).filter(({ type }) => type === "budget.exhausted");
    await until(async () => {
      await gateway.scheduled();
      return told().length > 0;
    });
    await gateway.scheduled(Date.now() + HOUR);
    const [{ subject, data }, ...more] = told();
    assert.deepEqual([subject, data.threshold, data.limit, more.length], [budgets[0].id, 1, limit, 0]);
    assert.ok(data.spent >= limit && data.spent <= limit * 1.1, `${data.spent}: no further than its credit`);
    const { headers, body } = received.find(({ body }) => JSON.parse(body).type === "budget.exhausted");
    const { secret: own } = (await gateway.admin("GET", `/admin/webhooks/${made.json.id}/secret`)).json;
    const signed = createHmac("sha256", Buffer.from(own.replace("whsec_", ""), "base64")).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
    assert.ok(headers["webhook-signature"].split(" ").includes(`v1,${signed.digest("base64")}`));
    await gateway.admin("DELETE", `/admin/webhooks/${made.json.id}`);
  });

  test("of another type, or for a webhook that is off, is not told", async () => {
    await gateway.admin("POST", "/admin/teams", { name: "untold" });
    await gateway.admin("PATCH", `/admin/webhooks/${webhook.id}`, { disabled: true });
    await gateway.createKey({ name: "untold" });
    await gateway.admin("PATCH", `/admin/webhooks/${webhook.id}`, { disabled: false });
    await gateway.scheduled(Date.now() + HOUR);
    assert.deepEqual(types(), []);
  });

  test("is not told again while its webhook is off", async () => {
    answers.push(500);
    await gateway.createKey({ name: "refused" });
    await until(() => received.length === 1);
    await until(async () => (await database.prepare("SELECT 1 FROM deliveries WHERE answer = '500'").first()) !== null);
    await gateway.admin("PATCH", `/admin/webhooks/${webhook.id}`, { disabled: true });
    await gateway.scheduled(Date.now() + 60_000);
    assert.equal(received.length, 1, "it is off");
    await gateway.admin("PATCH", `/admin/webhooks/${webhook.id}`, { disabled: false });
    await gateway.scheduled(Date.now() + 60_000);
    assert.equal(received.length, 2);
  });
});

describe("a watched key", () => {
  async function call({ key }, country, { model = CALL.model, address = "203.0.113.7" } = {}) {
    const response = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "cf-connecting-ip": address,
        "cf-ipcountry": country,
      },
      body: JSON.stringify({ ...CALL, model }),
    });
    await response.text();
    return response.status;
  }
  const habits = async ({ id }) =>
    (await database.prepare("SELECT what, value FROM key_habits WHERE key_id = ? ORDER BY 1, 2").bind(id).all()).results;

  test("is told of and suspended when it comes from a new country", async () => {
    const watched = await gateway.createKey({ name: "watched", on_anomaly: "suspend" });
    assert.equal(await call(watched, "DE"), 200);
    await until(async () => (await habits(watched)).length === 3);
    assert.deepEqual((await habits(watched)).map(({ value }) => value), ["DE", "openai/gpt-4o-mini", "203.0.113.0/24"]);
    await database.prepare("UPDATE key_habits SET first_at = first_at - ?").bind(48 * HOUR).run();
    assert.equal(await call(watched, "DE"), 200);
    assert.equal(await call(watched, "FR"), 200);
    await until(async () => (await habits(watched)).length === 4);
    received.length = 0;
    await gateway.scheduled();
    await gateway.scheduled();
    const anomaly = received.map(({ body }) => JSON.parse(body)).find(({ type }) => type === "key.anomaly");
    assert.deepEqual([anomaly.subject, anomaly.data], [watched.id, { what: "country", value: "FR" }]);
    assert.ok(types().includes("key.suspend"), types().join());
    const { json } = await gateway.admin("GET", `/admin/keys/${watched.id}`);
    assert.equal(json.disabled, true);
    const audit = await gateway.admin("GET", `/admin/audit?subject=${watched.id}&limit=1`);
    assert.deepEqual(audit.json.data.map(({ actor, action }) => [actor, action]), [["schedule", "key.suspend"]]);
    // Once enabled again, it is not suspended for the same thing twice.
    await gateway.admin("POST", `/admin/keys/${watched.id}/enable`);
    await gateway.scheduled();
    assert.equal((await gateway.admin("GET", `/admin/keys/${watched.id}`)).json.disabled, false);
  });

  for (const [what, value, unusual] of [
    ["network", "198.51.100.0/24", { address: "198.51.100.7" }],
    ["model", "openai/gpt-4o", { model: "openai/gpt-4o" }],
  ]) {
    test(`is told of a new ${what}, and goes on where that is all that is wanted`, async () => {
      const watched = await gateway.createKey({ name: `watched ${what}`, on_anomaly: "notify" });
      assert.equal(await call(watched, "DE"), 200);
      await until(async () => (await habits(watched)).length === 3);
      await database.prepare("UPDATE key_habits SET first_at = first_at - ?").bind(48 * HOUR).run();
      assert.equal(await call(watched, "DE", unusual), 200);
      await until(async () => (await habits(watched)).length === 4);
      received.length = 0;
      await gateway.scheduled();
      await gateway.scheduled();
      const anomalies = received.map(({ body }) => JSON.parse(body)).filter(({ type }) => type === "key.anomaly");
      assert.deepEqual(anomalies.map(({ subject, data }) => [subject, data]), [[watched.id, { what, value }]]);
      assert.equal((await gateway.admin("GET", `/admin/keys/${watched.id}`)).json.disabled, false);
      assert.equal(await call(watched, "DE", unusual), 200);
    });
  }

  test("is told of when it is called far more than usual", async () => {
    const busy = await gateway.createKey({ name: "busy", on_anomaly: "notify" });
    const hour = Math.floor(Date.now() / HOUR) * HOUR;
    const used = (at, calls) =>
      database
        .prepare("INSERT INTO usage VALUES (?, ?, '', '', '', 'openai', 'm', 3600000, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
        .bind(at, busy.id, calls)
        .run();
    await used(hour - 48 * HOUR, 100);
    await used(hour, 300);
    received.length = 0;
    await gateway.scheduled(hour + 10 * 60_000);
    assert.ok(!types().includes("key.anomaly"), "three times is not more than three times");
    await used(hour - HOUR, 0);
    await database.prepare("UPDATE usage SET calls = 301 WHERE key_id = ? AND at = ?").bind(busy.id, hour).run();
    await gateway.scheduled(hour + 10 * 60_000);
    await gateway.scheduled(hour + 10 * 60_000);
    const anomalies = received.map(({ body }) => JSON.parse(body)).filter(({ type }) => type === "key.anomaly");
    assert.deepEqual(anomalies.map(({ data }) => data), [{ what: "rate", value: 301, usual: 100 }]);
    // What comes in an hour's last minutes is seen once it is over.
    await used(hour + HOUR, 904);
    received.length = 0;
    await gateway.scheduled(hour + 2 * HOUR);
    await gateway.scheduled(hour + 2 * HOUR);
    const late = received.map(({ body }) => JSON.parse(body)).filter(({ type }) => type === "key.anomaly");
    assert.deepEqual(late.map(({ data }) => data), [{ what: "rate", value: 904, usual: 301 }]);
  });

  test("of others nothing is kept", async () => {
    const other = await gateway.createKey({ name: "unwatched" });
    await call(other, "DE");
    await until(async () => (await database.prepare("SELECT 1 FROM calls WHERE key_id = ?").bind(other.id).first()) !== null);
    assert.deepEqual(await habits(other), []);
  });

  test("leaves nothing behind once nobody watches it", async () => {
    const hour = Math.floor(Date.now() / HOUR) * HOUR;
    const keys = [];
    for (const name of ["still", "no more", "gone"]) keys.push(await gateway.createKey({ name, on_anomaly: "notify" }));
    for (const key of keys) await call(key, "DE");
    for (const key of keys) await until(async () => (await habits(key)).length === 3);
    const [still, noMore, gone] = keys;
    await gateway.admin("PATCH", `/admin/keys/${noMore.id}`, { on_anomaly: "ignore" });
    await gateway.admin("DELETE", `/admin/keys/${gone.id}`);
    await gateway.scheduled(hour + 7 * 60_000);
    assert.deepEqual([(await habits(still)).length, await habits(noMore), await habits(gone)], [3, [], []]);
  });
});

describe("what is old", () => {
  test("goes: calls and what was thought of them after 90 days, hours after 35, days after two years", async () => {
    const day = 24 * HOUR;
    const today = Math.floor(Date.now() / day) * day;
    await database.prepare("DELETE FROM usage").run();
    const insert = database.prepare("INSERT INTO calls (request_id, seq, at, key_id, record) VALUES (?, 0, ?, 'key_old', ?)");
    const record = JSON.stringify({ status: 200, state: "settled_actual", provider: "p", model: "m", cost_nano: 7 });
    const ages = [10 * day, 40 * day, 40 * day + HOUR, 100 * day, 800 * day];
    const scored = database.prepare("INSERT INTO feedback (request_id, name, at, score) VALUES (?, 'score', ?, 1)");
    for (const [index, age] of ages.entries()) {
      await insert.bind(`req_old_${index}`, today - age, record).run();
      await scored.bind(`req_old_${index}`, today - age).run();
    }
    await gateway.scheduled(today + 7 * 60_000);
    await gateway.scheduled(today + 7 * 60_000);
    const { results: calls } = await database.prepare("SELECT request_id FROM calls WHERE key_id = 'key_old' ORDER BY 1").all();
    assert.deepEqual(calls.map(({ request_id }) => request_id), ["req_old_0", "req_old_1", "req_old_2"]);
    const { results: scores } = await database.prepare("SELECT request_id FROM feedback ORDER BY 1").all();
    assert.deepEqual(scores, calls, "what somebody thought of them goes with them");
    const { results: sums } = await database.prepare("SELECT at, span, calls, cost_nano FROM usage ORDER BY at DESC").all();
    assert.deepEqual(sums, [
      { at: today - 10 * day, span: HOUR, calls: 1, cost_nano: 7 },
      { at: today - 40 * day, span: day, calls: 1, cost_nano: 7 },
      { at: today - 41 * day, span: day, calls: 1, cost_nano: 7 },
      { at: today - 100 * day, span: day, calls: 1, cost_nano: 7 },
    ]);
  });

  test("goes as fast as it came", async () => {
    const many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)";
    await database.prepare(`${many} INSERT INTO calls (request_id, seq, at, key_id, record)
      SELECT 'req_many_' || i, 0, 1000 + i, 'key_many', '{"status":200,"state":"settled_actual"}' FROM n`).run();
    await database.prepare(`${many} INSERT INTO events (id, at, type, subject, data)
      SELECT 'event_many_' || i, 1000 + i, 'key.create', 'key_many', '{}' FROM n`).run();
    const hour = Math.floor(Date.now() / HOUR) * HOUR;
    await gateway.scheduled(hour + 7 * 60_000);
    const count = async (from) => (await database.prepare(`SELECT count(*) AS n FROM ${from}`).first()).n;
    assert.equal(await count("calls WHERE key_id = 'key_many'"), 0);
    assert.equal(await count("events WHERE subject = 'key_many'"), 0);
    assert.equal(await count("deliveries WHERE event_id LIKE 'event_many_%'"), 0);
  });
});

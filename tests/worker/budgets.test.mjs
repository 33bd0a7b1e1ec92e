// Budgets and limits in the running Worker.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { startGateway } from "./gateway.mjs";
import { callOf, ledgerObject, ledgerOf, rowsOf, startBiller, UNDAUNTED } from "./spending.mjs";

const ISOLATES = 8;

let biller;
let gateway;

before(async () => {
  biller = await startBiller();
  gateway = await startGateway(biller, {}, { isolates: ISOLATES });
  await gateway.configure(UNDAUNTED);
});

after(async () => {
  await gateway?.close();
  await biller?.close();
});

/** A request to one of the isolates. */
const send = (init, isolate = 1) =>
  gateway.fetch("/v1/chat/completions", { ...init, headers: { ...init.headers, "x-isolate": String(isolate) } });

test("who leaves and has the answer aborted is charged the worst case, so that the budget holds", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }] });
  biller.bills.clear();
  const leave = new AbortController();
  const response = await send({ ...callOf(key, { kind: "leaving", output: 100, cap: 150 }), signal: leave.signal });
  const request = response.headers.get("x-request-id");
  await response.body.getReader().read();
  leave.abort();
  const { spent } = await ledgerOf(gateway, budgets[0].id);
  const { rows } = await rowsOf(gateway, id, spent);
  assert.deepEqual(rows.map(({ request_id, state }) => [request_id, state]), [[request, "committed_ceiling"]]);
  assert.ok(BigInt(spent) >= biller.bills.get(request), `${spent}`);
});

test("a limit of requests is a 429 that says when to come back", async () => {
  const { key } = await gateway.createKey({ limits: [{ unit: "requests", per: "minute", max: 2 }] });
  assert.equal((await send(callOf(key))).status, 200);
  const second = await send(callOf(key));
  assert.equal(second.headers.get("x-ratelimit-limit-requests"), "2");
  assert.equal(second.headers.get("x-ratelimit-remaining-requests"), "0");
  const third = await send(callOf(key));
  assert.equal(third.status, 429);
  const { error } = await third.json();
  assert.equal(error.code, "rate_limit_exceeded");
  assert.deepEqual([error.limit.unit, error.limit.max, error.limit.scope.type], ["requests", 2, "key"]);
  assert.ok(error.limit.reset_at > Date.now());
  assert.ok(Number(third.headers.get("retry-after")) > 0);
  assert.match(third.headers.get("ratelimit"), /^"requests";r=0;t=\d+$/);
  assert.equal(third.headers.get("ratelimit-policy"), '"requests";q=2;w=60');
});

test("limits are one for all isolates, and a refused call takes nothing of them", async () => {
  const { key } = await gateway.createKey({ limits: [{ unit: "requests", per: "day", max: 20 }] });
  const statuses = await Promise.all(Array.from({ length: 60 }, (_, number) => send(callOf(key), 1 + (number % ISOLATES)).then(({ status }) => status)));
  const served = statuses.filter((status) => status === 200).length;
  assert.ok(served <= 20, `${served}`);
  // What isolates have leased and do not use comes back to those that ask.
  for (let tries = 0, last = served; last < 20; tries += 1) {
    assert.ok(tries < 60, `${last} of 20 were served`);
    if ((await send(callOf(key), 1 + (tries % ISOLATES))).status === 200) last += 1;
    else await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const response = await send(callOf(key));
  assert.equal(response.status, 429, "and not one more");
});

test("a place among parallel calls is free again after errors and disconnects", async () => {
  const { key } = await gateway.createKey({ limits: [{ unit: "parallel", max: 1 }] });
  for (const kind of ["failing", "leaving", "streamed", "plain", "retried"]) {
    const leave = new AbortController();
    const response = await send({ ...callOf(key, { kind }), signal: leave.signal });
    assert.notEqual(response.status, 429, kind);
    if (kind === "leaving") {
      await response.body.getReader().read();
      leave.abort();
    } else await response.text();
  }
});

test("a key is told what it has left", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "month" }], limits: [{ unit: "requests", per: "minute", max: 60 }] });
  const answer = await send(callOf(key));
  assert.equal(answer.status, 200);
  assert.ok(Number(answer.headers.get("x-latchkey-budget-remaining")) <= 1);
  const { spent } = await ledgerOf(gateway, budgets[0].id);
  const told = await (await gateway.fetch("/v1/key", { headers: { authorization: `Bearer ${key}` } })).json();
  const [budget] = told.budgets;
  assert.deepEqual([budget.id, budget.limit, budget.spent, budget.remaining], [budgets[0].id, 1, spent / 1e9, 1 - spent / 1e9]);
  assert.ok(budget.resets_at > Date.now());
  assert.ok(told.limits[0].remaining >= 59);
  const { json: seen } = await gateway.admin("GET", `/admin/keys/${id}`);
  assert.deepEqual([seen.budgets[0].spent, seen.budgets[0].remaining], [budget.spent, budget.remaining], "and so is the operator");
  assert.ok(seen.limits[0].remaining >= 59);
});

test("a mark-up is charged to budgets, and the provider's price stands beside it", async () => {
  const markup = { factor: 1.5, fixed: 0.001 };
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }], markup });
  const { usage } = await (await send(callOf(key))).json();
  const raw = 775_000;
  const charged = raw * 1.5 + 1_000_000;
  assert.deepEqual([usage.cost, usage.cost_details.upstream_inference_cost], [charged / 1e9, raw / 1e9]);
  const { spent } = await ledgerOf(gateway, budgets[0].id);
  assert.equal(spent, charged);
  const { rows } = await rowsOf(gateway, id, spent);
  const { json: ledger } = await gateway.admin("GET", `/admin/ledger/${rows[0].request_id}`);
  assert.match(JSON.stringify(ledger), /0\.0021625/, "what was charged");
  assert.match(JSON.stringify(ledger), /0\.000775/, "what it cost");
});

test("a call that may cost more than the key's calls may is refused before it is sent", async () => {
  biller.bills.clear();
  // 150 tokens of prompt at the most by their bytes, and 60 of an answer.
  const { key } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }], max_cost_per_call: 0.002 });
  const dear = await send(callOf(key, { cap: 1_000 }));
  assert.equal(dear.status, 400);
  const { error } = await dear.json();
  assert.equal(error.code, "max_cost_per_call_exceeded");
  assert.match(error.message, /max_tokens/);
  assert.equal(biller.bills.size, 0, "nobody was asked");
  assert.equal((await send(callOf(key))).status, 200);
});

test("a revoked key stops everywhere within the lease time", async () => {
  const { id, key } = await gateway.createKey();
  for (const isolate of [1, 2]) assert.equal((await send(callOf(key), isolate)).status, 200);
  const revoked = await gateway.admin("POST", `/admin/keys/${id}/revoke`, undefined, { "x-isolate": "1" });
  assert.equal(revoked.status, 200);
  assert.equal((await send(callOf(key), 1)).status, 401);
  const before = Date.now();
  while ((await send(callOf(key), 2)).status !== 401) {
    assert.ok(Date.now() - before < 10_000, "still served after ten seconds");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});

test("a budget that is reached is an event, once", async () => {
  const { key, budgets } = await gateway.createKey({ budgets: [{ limit: 0.0014, period: "total", warn_at: [0.5] }] });
  for (const _ of [1, 2, 3]) await send(callOf(key));
  await ledgerOf(gateway, budgets[0].id);
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  const events = async () =>
    (await database.prepare("SELECT type, subject, data FROM events WHERE subject = ? ORDER BY at").bind(budgets[0].id).all()).results;
  for (let tries = 0; tries < 60 && (await events()).length === 0; tries += 1) await new Promise((resolve) => setTimeout(resolve, 250));
  const [event, ...more] = await events();
  assert.equal(event?.type, "budget.threshold");
  const { threshold, limit } = JSON.parse(event.data);
  assert.deepEqual([threshold, limit, more.length], [0.5, 0.0014, 0]);
});

test("an old copy of a key at the edge brings nothing back", async () => {
  const { id, key } = await gateway.createKey();
  assert.equal((await send(callOf(key), 3)).status, 200);
  const copies = await gateway.miniflare.getKVNamespace("KEYS", gateway.name);
  const before = new Map();
  for (const { name } of (await copies.list()).keys) before.set(name, await copies.get(name));
  assert.equal((await gateway.admin("POST", `/admin/keys/${id}/revoke`)).status, 200);
  for (const [name, value] of before) await copies.put(name, value);
  assert.equal((await send(callOf(key), 4)).status, 401, "the ledger says so to an isolate that reads the old copy");
});

test("the database being away loses nothing, and holds no call up", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }] });
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  assert.equal((await send(callOf(key))).status, 200);
  await ledgerOf(gateway, budgets[0].id);
  await database.prepare("ALTER TABLE calls RENAME TO calls_away").run();
  const answers = await Promise.all([1, 2, 3].map(() => send(callOf(key))));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  const { spent } = await ledgerOf(gateway, budgets[0].id);
  assert.equal(spent, 4 * 775_000);
  // Until the database has it, a call is told of out of the ledger.
  const path = `/v1/generation?id=${answers[0].headers.get("x-request-id")}`;
  const ask = (holder) => gateway.fetch(path, { headers: { authorization: `Bearer ${holder}`, "x-isolate": "1" } });
  const told = await ask(key);
  const { data } = await told.json();
  assert.deepEqual([told.status, data.total_cost, data.streamed], [200, 0.000775, false]);
  const { key: other } = await gateway.createKey();
  assert.equal((await ask(other)).status, 404, "to nobody but the key that made it");
  await database.prepare("ALTER TABLE calls_away RENAME TO calls").run();
  const { sum, rows } = await rowsOf(gateway, id, spent);
  assert.deepEqual([sum, rows.length], [spent, 4]);
});

test("what the database refuses steps aside until it is taken, and holds up nothing else", async () => {
  const { id } = await gateway.createKey();
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  await database.prepare("CREATE TRIGGER refuse BEFORE INSERT ON calls WHEN NEW.request_id LIKE 'req_bad%' BEGIN SELECT raise(ABORT, 'refused'); END").run();
  const object = await ledgerObject(gateway);
  const record = (request_id) => ({ request_id, seq: 0, at: Date.now(), key_id: id, cost_nano: 1, status: 200, state: "settled_actual", total_ms: 1 });
  const tell = async (batch, requests) => {
    const body = JSON.stringify({ version: 2, batch, records: requests.map(record) });
    assert.equal((await object.fetch("http://ledger/records", { method: "POST", body })).status, 200);
  };
  // These are the first that the object looks at.
  for (const batch of [1, 2, 3, 4]) await tell(`!${batch}`, [`req_good_${batch}`, `req_bad_${batch}`, `req_well_${batch}`]);
  await tell("~", ["req_last"]);
  const { rows } = await rowsOf(gateway, id, 9);
  assert.equal(rows.length, 9, JSON.stringify(rows));
  const { results: events } = await database.prepare("SELECT type, subject, data FROM events WHERE type = 'ledger.refused' ORDER BY subject").all();
  assert.deepEqual(events.map(({ subject }) => subject.split("/")[0]), ["!1", "!2", "!3", "!4"]);
  assert.match(JSON.parse(events[0].data).error, /refused/);
  assert.match(gateway.log(), /ledger\.refused/);
  const ledgers = async () => (await gateway.admin("GET", "/admin/health")).json.ledgers;
  for (let tries = 0; tries < 60 && (await ledgers())[0].outbox.aside < 4; tries += 1) await new Promise((resolve) => setTimeout(resolve, 250));
  const [{ team_id, error, outbox }, ...others] = await ledgers();
  assert.deepEqual([team_id, error, outbox.aside, others.length], [null, null, 4, 0]);
  await database.prepare("DROP TRIGGER refuse").run();
  assert.equal((await rowsOf(gateway, id, 13)).rows.length, 13, "nothing is lost");
});

test("what the database stumbles over once is tried again, and nobody is alarmed", async () => {
  const { id } = await gateway.createKey();
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  await database.prepare("CREATE TRIGGER stumble BEFORE INSERT ON calls WHEN NEW.request_id LIKE 'req_once%' BEGIN SELECT raise(ABORT, 'Network connection lost.'); END").run();
  const object = await ledgerObject(gateway);
  const records = [1, 2].map((number) => ({ request_id: `req_once_${number}`, seq: 0, at: Date.now(), key_id: id, cost_nano: 1, status: 200, state: "settled_actual", total_ms: 1 }));
  await object.fetch("http://ledger/records", { method: "POST", body: JSON.stringify({ version: 2, batch: "!once", records }) });
  const aside = async () => (await gateway.admin("GET", "/admin/health")).json.ledgers[0].outbox.aside;
  for (let tries = 0; (await aside()) === 0; tries += 1) {
    assert.ok(tries < 200, "it was never refused");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await database.prepare("DROP TRIGGER stumble").run();
  assert.equal((await rowsOf(gateway, id, 2)).rows.length, 2);
  const { results: events } = await database.prepare("SELECT subject FROM events WHERE type = 'ledger.refused' AND subject LIKE '!once%'").all();
  assert.deepEqual(events, []);
});

test("in steady traffic calls do not wait for the ledger", async (t) => {
  const { key } = await gateway.createKey({ budgets: [{ limit: 1_000, period: "month" }], limits: [{ unit: "requests", per: "minute", max: 100_000 }] });
  const waits = async (calls) => {
    let waited = 0;
    for (let call = 0; call < calls; call += 1) {
      const timing = (await send(callOf(key))).headers.get("server-timing");
      if (/ledger;dur=/.test(timing)) waited += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return waited;
  };
  assert.equal(await waits(1), 1, "the first call asks");
  // Leases are sized by the demand of the last seconds, which has to be seen first.
  await waits(150);
  const waited = await waits(150);
  t.diagnostic(`${waited} of 150 calls waited`);
  // A machine that stalls sends its calls in a burst afterwards.
  assert.ok(waited <= 5, `${waited}`);
});

test("the ledger object takes the settlements of a thousand calls a second", async (t) => {
  const { id, budgets } = await gateway.createKey({ budgets: [{ limit: 1_000, period: "total" }] });
  const object = await ledgerObject(gateway);
  const tell = async (route, message) => (await object.fetch(`http://ledger${route}`, { method: "POST", body: JSON.stringify({ version: 2, ...message }) })).json();
  const CALLS = 100;
  const BATCHES = 40;
  const isolates = await Promise.all(
    Array.from({ length: ISOLATES }, async (_, number) => {
      const isolate = `iso_load_${number}`;
      const needs = [{ pot: budgets[0].id, least: 1_000, want: CALLS * BATCHES }];
      const { leases } = await tell("/ask", { isolate, ask: 1, keys: [{ key: id, have: 0 }], needs });
      return { isolate, lease: leases[0] };
    }),
  );
  const started = performance.now();
  for (let batch = 1; batch <= BATCHES; batch += 1) {
    const { isolate, lease } = isolates[batch % ISOLATES];
    const record = (call) => ({ request_id: `req_load_${batch}_${call}`, seq: 0, at: Date.now(), key_id: id, provider: "p", model: "m", cost_nano: 1, status: 200, state: "settled_actual", total_ms: 1 });
    const report = { lease: lease.lease, pot: lease.pot, used: batch * CALLS, returned: 0, want: 0, renew: true };
    const message = { version: 2, isolate, report: batch, leases: [report] };
    await tell("/records", { batch: `${isolate}.${batch}`, records: Array.from({ length: CALLS }, (_, call) => record(call)), report: message });
  }
  const rate = (CALLS * BATCHES) / ((performance.now() - started) / 1_000);
  t.diagnostic(`${Math.round(rate)} settlements a second`);
  assert.ok(rate >= 1_000, `${rate}`);
});

test("what the ledger object is told twice, or late, is counted once", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }] });
  const object = await ledgerObject(gateway);
  const rule = `${budgets[0].id}`;
  const tell = async (route, message) => {
    const response = await object.fetch(`http://ledger${route}`, { method: "POST", body: JSON.stringify({ version: 2, isolate: "iso_test", ...message }) });
    assert.equal(response.status, 200, await response.clone().text());
    return response.json();
  };
  await send(callOf(key));
  const before = await ledgerOf(gateway, rule);
  const ask = { ask: 1, keys: [{ key: id, have: 0 }], needs: [{ pot: rule, least: 1_000, want: 1_000 }] };
  const [first, again] = [await tell("/ask", ask), await tell("/ask", ask)];
  const [lease] = first.leases;
  assert.equal(again.leases[0].granted, lease.granted, "asked twice, granted once");
  const report = { lease: lease.lease, pot: lease.pot, used: 400, returned: lease.granted - 400, want: 0, renew: false };
  const record = { request_id: "req_twice", seq: 0, at: Date.now(), key_id: id, cost_nano: 400, status: 200, state: "settled_actual", total_ms: 1 };
  for (const number of [1, 1, 2]) {
    const message = { version: 2, isolate: "iso_test", report: number, leases: [report] };
    await tell("/records", { batch: `iso_test.${number}`, records: [record], report: message });
  }
  const old = { version: 2, isolate: "iso_test", report: 1, leases: [{ ...report, used: 100, returned: 0 }] };
  await tell("/records", { batch: "iso_test.1", records: [record], report: old });
  const { spent } = await ledgerOf(gateway, rule);
  assert.equal(spent, before.spent + 400);
  const { sum, rows } = await rowsOf(gateway, id, spent);
  assert.deepEqual([sum, rows.length], [spent, 2]);
});

// What isolates lease of money, and what travels with it: through clocks that differ, an object that is evicted, storage that
// is away, and isolates that die.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { startGateway } from "./gateway.mjs";
import { callOf, DOLLAR, ledgerObject, ledgerOf, rowsOf, spend, startBiller } from "./spending.mjs";

/** By how much the clocks of the isolates are off, in milliseconds. */
const SKEWS = [0, 5_000, -5_000, 0];
/** Nothing blocks a provider by itself, and what isolates hear of health is too old to carry a kill switch in time. */
const HEALTH = { failures_in_a_row: 1_000, error_percent: 101, poor_percent: 101, snapshot_age_ms: 300_000 };
/** For so long an isolate may go by what it was told. */
const LEASE_MS = 10_000;
/** What a plain call of the smallest kind costs, in nano-dollars. */
const COST = 775_000;

let biller;
let gateway;

before(async () => {
  biller = await startBiller();
  gateway = await startGateway(biller, {}, { isolates: SKEWS.length, skews: SKEWS, partial: true, troubled: true });
  await gateway.configure({ health: HEALTH });
});

after(async () => {
  await gateway?.close();
  await biller?.close();
});

/** A request to one of the isolates. */
const send = (init, isolate = 1) =>
  gateway.fetch("/v1/chat/completions", { ...init, headers: { ...init.headers, "x-isolate": String(isolate) } });

/** A plain call; its status. */
async function call(key, isolate, headers = {}) {
  const response = await send(callOf(key, { headers }), isolate);
  await response.text();
  return response.status;
}

/** A message to the ledger object, as isolates send them. */
async function tell(route, message) {
  const object = await ledgerObject(gateway);
  const response = await object.fetch(`http://ledger${route}`, { method: "POST", body: JSON.stringify({ version: 2, ...message }) });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

async function until(holds, what, patience = 30_000) {
  const end = Date.now() + patience;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `within ${patience} ms: ${what}`);
    await delay(200);
  }
}

test("clocks that are five seconds off to either side overspend nothing, and leave nothing unspent", async (t) => {
  biller.bills.clear();
  const limit = 0.1;
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit, period: "total" }], on_disconnect: "drain" });
  const { statuses, refused } = await spend({ send: (init, number) => send(init, 1 + (number % SKEWS.length)), key, callers: 120, refusals: 20 });
  const { spent, leased } = await ledgerOf(gateway, budgets[0].id);
  const { rows, sum } = await rowsOf(gateway, id, spent);
  const told = `billed ${biller.billed()}, ledger ${spent}, leased ${leased}, database ${sum}, ${JSON.stringify([...statuses])}`;
  t.diagnostic(told);
  assert.ok(refused >= 20, told);
  assert.ok(biller.billed() <= BigInt(limit * DOLLAR) && spent <= limit * DOLLAR, told);
  assert.ok(biller.billed() >= BigInt(limit * DOLLAR * 0.9), told);
  assert.deepEqual([leased, sum], [0, spent], told);
  for (const row of rows.filter(({ state }) => state === "settled_actual")) {
    assert.equal(BigInt(row.cost_nano), biller.bills.get(row.request_id), row.request_id);
  }
});

test("a ledger object that is evicted again and again in the middle of calls counts each once", async (t) => {
  biller.bills.clear();
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }] });
  const statuses = new Map();
  let over = false;
  let evictions = 0;
  const caller = async (number) => {
    // On a quick machine a few calls are over before the object has been evicted often enough.
    for (let turn = 0; turn < 25 || (evictions < 5 && turn < 120); turn += 1) {
      const status = await call(key, number % 2 === 0 ? 1 : 4);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  const evicting = (async () => {
    while (!over) {
      // It fails while no object runs: since the last time nobody has called it back to life.
      const evicted = gateway.miniflare.unsafeEvictDurableObject(gateway.name, "Ledger", { name: "account" });
      evictions += await evicted.then(() => 1, () => 0);
      await delay(60);
    }
  })();
  await Promise.all(Array.from({ length: 8 }, (_, number) => caller(number)));
  over = true;
  await evicting;
  const { spent, leased } = await ledgerOf(gateway, budgets[0].id);
  const { rows, sum } = await rowsOf(gateway, id, spent);
  const told = `${evictions} evictions: billed ${biller.billed()}, ledger ${spent}, database ${sum} in ${rows.length} rows, ${JSON.stringify([...statuses])}`;
  t.diagnostic(told);
  assert.ok(evictions >= 5 && (statuses.get(200) ?? 0) >= 100, told);
  assert.deepEqual([leased, BigInt(spent), sum], [0, biller.billed(), spent], told);
});

test("with KV or the database away, keys work and money is exact", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }] });
  for (const [isolate, away] of [[2, "KEYS,CONFIG"], [3, "DB"], [3, "DB"], [2, "KEYS,CONFIG,DB"]]) {
    assert.equal(await call(key, isolate, { "x-away": away }), 200, `isolate ${isolate} without ${away}`);
  }
  assert.equal(await call(key, 4, { "x-away": "KEYS,DB" }), 503, "only one that nobody here knows cannot be looked up");
  for (const event of ["copy_not_read", "keys_away"]) assert.ok(gateway.log().includes(`{"event":"${event}"`), event);
  const { spent } = await ledgerOf(gateway, budgets[0].id);
  const { sum } = await rowsOf(gateway, id, spent);
  assert.deepEqual([spent, sum], [4 * COST, 4 * COST]);
});

test("what a ledger does not take is told again though no other call comes", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }] });
  assert.equal(await call(key, 4, { "x-stumbles": "0-2" }), 200);
  const { spent, leased } = await ledgerOf(gateway, budgets[0].id);
  const { sum } = await rowsOf(gateway, id, spent);
  assert.deepEqual([spent, leased, sum], [COST, 0, COST]);
});

test("a long call keeps its place though the request that renewed it is no more", async () => {
  const { key } = await gateway.createKey({ limits: [{ unit: "parallel", max: 1 }], on_disconnect: "abort" });
  // The first call's request renews for all, and is cut off after some seconds.
  assert.equal(await call(key, 1, { "x-stumbles": "8-1000" }), 200);
  const leave = new AbortController();
  const long = await send({ ...callOf(key, { kind: "lasting" }), signal: leave.signal });
  assert.equal(long.status, 200);
  await long.body.getReader().read();
  const end = Date.now() + 2.5 * LEASE_MS;
  while (Date.now() < end) {
    assert.equal(await call(key, 4), 429, `${end - Date.now()} ms before the end`);
    await delay(1_000);
  }
  leave.abort();
  await until(async () => (await call(key, 4)) === 200, "its place is free when it is over");
});

test("a kill switch travels with leases: it bites within ten seconds though no health object hears of it", async (t) => {
  const { key } = await gateway.createKey();
  const isolates = SKEWS.map((_, index) => index + 1);
  for (const isolate of isolates) assert.equal(await call(key, isolate), 200);
  await gateway.trouble(Infinity);
  const everywhere = async (status, what) => {
    const from = Date.now();
    await until(async () => (await Promise.all(isolates.map((isolate) => call(key, isolate)))).every((found) => found === status), what);
    t.diagnostic(`${what} after ${Date.now() - from} ms`);
    return Date.now() - from;
  };
  const blocked = await gateway.admin("POST", "/admin/health/block", { target: "openai", reason: "leaking" });
  assert.equal(blocked.json.error.code, "not_everywhere");
  assert.ok((await everywhere(503, "off everywhere")) < LEASE_MS + 1_000);
  await gateway.admin("POST", "/admin/health/reset", { target: "openai" });
  await everywhere(200, "on again everywhere");
  await gateway.trouble(0);
});

test("what a dead isolate had leased stays charged until the operator releases it, with an entry in the audit trail", async () => {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 0.01, period: "total" }] });
  const rule = budgets[0].id;
  const needs = [{ pot: rule, least: 8_000_000, want: 8_000_000 }];
  const { leases } = await tell("/ask", { isolate: "iso_dead", ask: 1, keys: [{ key: id, have: 0, terms: { key: id, updated_at: Date.now() + 1, budgets } }], needs });
  assert.equal(leases[0].granted, 8_000_000);
  const shown = async () => (await gateway.admin("GET", `/admin/keys/${id}`)).json.budgets[0];
  const { spent, leased, remaining } = await shown();
  assert.deepEqual([spent, leased, remaining], [0, 0.008, 0.002]);
  const release = () => gateway.admin("POST", `/admin/budgets/${rule}/release`, { silent_seconds: 10 });
  assert.equal((await release()).json.released, 0, "it may live");
  await until(async () => (await release()).json.released === 0.008, "it is taken for dead");
  assert.equal((await shown()).remaining, 0.01);
  const { json: audit } = await gateway.admin("GET", `/admin/audit?subject=${rule}&limit=1`);
  assert.deepEqual([audit.data[0].action, audit.data[0].after.released], ["budget.release", 0.008]);
  // If it lived after all, what it says it spent is counted.
  const report = { lease: leases[0].lease, pot: rule, used: 1_000, returned: 0, want: 0, renew: false };
  await tell("/records", { batch: "iso_dead.1", records: [], report: { version: 2, isolate: "iso_dead", report: 1, leases: [report] } });
  assert.equal((await ledgerOf(gateway, rule)).spent, 1_000);
  assert.equal(await call(key, 1), 200);
});

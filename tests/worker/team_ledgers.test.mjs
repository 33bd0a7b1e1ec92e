// Two teams with ledgers of their own that share a budget of the account: together they never pass it, neither passes its
// own, and every figure is the sum over all ledgers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { startGateway } from "./gateway.mjs";
import { callOf, spend, startBiller, UNDAUNTED } from "./spending.mjs";

const ISOLATES = 2;
/** In nano-dollars: the account's, and each team's. */
const ACCOUNT = 300_000_000;
const TEAM = 200_000_000;

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

async function made(path, body) {
  const { status, json, text } = await gateway.admin("POST", path, body);
  assert.equal(status, 201, text);
  return json;
}

async function ledger(name) {
  const namespace = await gateway.miniflare.getDurableObjectNamespace("LEDGER", gateway.name);
  return namespace.get(namespace.idFromName(name));
}

/** What one ledger alone says of a budget. */
async function standingIn(name, rule) {
  const body = JSON.stringify({ version: 2, rules: [rule] });
  const response = await (await ledger(name)).fetch("http://ledger/standings", { method: "POST", body });
  return Object.values((await response.json()).standings[rule] ?? {})[0];
}

const nano = (dollars) => Math.round(dollars * 1e9);

async function until(what, patience = 30_000) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await what();
    if (found.done || Date.now() > deadline) return found;
    await delay(250);
  }
}

test("two teams share the account's budget, and neither passes its own", async (t) => {
  // One budget is there before the teams are, and one comes after them.
  const shared = await made("/admin/budgets", { scope: { type: "account" }, limit: ACCOUNT / 1e9, period: "total" });
  const each = await made("/admin/budgets", { scope: { type: "team", id: "*" }, limit: TEAM / 1e9, period: "total" });
  const teams = [];
  for (const name of ["Search", "Shop"]) {
    const team = await made("/admin/teams", { name, own_ledger: true });
    assert.match(team.id, /^team_own_/);
    const key = await gateway.createKey({ team_id: team.id, on_disconnect: "drain", budgets: [{ limit: 1, period: "total" }] });
    teams.push({ team, key });
  }
  const [search] = teams;
  const named = await made("/admin/budgets", { scope: { type: "team", id: search.team.id }, limit: 1, period: "month" });

  const isolate = (number) => ({ "x-isolate": String(1 + (number % ISOLATES)) });
  const spending = teams.map(({ key: { key } }) => {
    const send = (init, number) => gateway.fetch("/v1/chat/completions", { ...init, headers: { ...init.headers, ...isolate(number) } });
    return spend({ send, key, callers: 60, refusals: 8, longest: 60_000 });
  });
  const refused = (await Promise.all(spending)).map((found) => found.refused);
  assert.ok(refused.every((times) => times >= 8), `${refused}`);

  // Everything is given back and told, to both levels.
  const quiet = await until(async () => {
    const { json } = await gateway.admin("GET", `/admin/budgets/${shared.id}`);
    return { json, done: json.leased === 0 && json.held === 0 };
  });
  const billed = Number(biller.billed());
  const told = `billed ${billed}, told ${JSON.stringify(quiet.json)}`;
  t.diagnostic(told);
  assert.ok(billed <= ACCOUNT && nano(quiet.json.spent) <= ACCOUNT, told);
  assert.ok(billed >= ACCOUNT * 0.9, `nearly all of it is spent: ${told}`);

  const perTeam = await until(async () => {
    const { json } = await gateway.admin("GET", `/admin/budgets/${each.id}`);
    const spenders = json.spenders ?? [];
    const sum = spenders.reduce((total, { spent }) => total + nano(spent), 0);
    return { spenders, sum, done: sum === nano(quiet.json.spent) };
  });
  assert.equal(perTeam.sum, nano(quiet.json.spent), "the account's figure is the sum of the teams'");
  assert.deepEqual(perTeam.spenders.map(({ id }) => id).sort(), teams.map(({ team }) => team.id).sort());
  assert.ok(perTeam.spenders.every(({ spent }) => nano(spent) <= TEAM), JSON.stringify(perTeam.spenders));

  // Each pot is in one ledger: the account's has nothing of the teams', and they nothing of the account's.
  assert.ok((await standingIn("account", shared.id)).spent > 0);
  assert.equal((await standingIn("account", named.id)).spent, 0);
  assert.ok((await standingIn(`account/${search.team.id}`, named.id)).spent > 0);
  assert.equal(await standingIn(`account/${search.team.id}`, shared.id), undefined);

  // The rows of both reach the database, each once.
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  const rows = await until(async () => {
    const { results } = await database.prepare("SELECT team_id, SUM(cost_nano) AS cost FROM calls GROUP BY team_id").all();
    const sum = results.reduce((total, { cost }) => total + (cost ?? 0), 0);
    return { results, sum, done: sum === nano(quiet.json.spent) };
  });
  assert.equal(rows.sum, nano(quiet.json.spent), JSON.stringify(rows.results));
  const usage = await gateway.admin("GET", "/admin/usage?group_by=team");
  assert.equal(usage.status, 200, usage.text);

  // The key sees all that it is subject to.
  const answer = await gateway.fetch("/v1/key", { headers: { authorization: `Bearer ${search.key.key}`, "x-isolate": "1" } });
  const seen = (await answer.json()).budgets.map(({ id }) => id);
  for (const id of [shared.id, each.id, named.id, search.key.budgets[0].id]) assert.ok(seen.includes(id), `${id} of ${seen}`);

  // A budget that is made to be about another team leaves the ledger of the first.
  const moved = await gateway.admin("PATCH", `/admin/budgets/${named.id}`, { scope: { type: "team", id: teams[1].team.id } });
  assert.equal(moved.status, 200, moved.text);
  assert.equal((await standingIn(`account/${teams[1].team.id}`, named.id)).spent, 0);
  assert.equal(await standingIn(`account/${search.team.id}`, named.id), undefined);
});

test("a revoked key of such a team is refused, and a key does not move between ledgers", async () => {
  const team = await made("/admin/teams", { name: "Short", own_ledger: true });
  const other = await made("/admin/teams", { name: "Plain" });
  const key = await gateway.createKey({ team_id: team.id });
  const moved = await gateway.admin("PATCH", `/admin/keys/${key.id}`, { team_id: other.id });
  assert.equal(moved.status, 400);
  assert.deepEqual(moved.json.error.faults.map(({ path }) => path), ["team_id"]);
  for (const [id, change] of [[team.id, false], [other.id, true]]) {
    const changed = await gateway.admin("PATCH", `/admin/teams/${id}`, { own_ledger: change });
    assert.deepEqual([changed.status, changed.json.error.faults[0].path], [400, "own_ledger"]);
  }
  assert.equal((await gateway.admin("POST", `/admin/keys/${key.id}/revoke`)).status, 200);
  const answer = await gateway.fetch("/v1/chat/completions", { ...callOf(key.key), headers: { ...callOf(key.key).headers, "x-isolate": "1" } });
  assert.equal(answer.status, 401);
});

// Teams, users, budgets and limits over the admin API, in the real database.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

let upstream;
let gateway;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** A good body of each kind, and a change of it. */
const KINDS = {
  teams: [{ name: "Search", markup: { factor: 1.2, fixed: 0.0001 } }, { name: "Find" }],
  users: [{ id: "alice/1@example.com", name: "Alice" }, { metadata: { plan: "free" } }],
  budgets: [{ scope: { type: "team", id: "*" }, limit: 12.5, period: "month", warn_at: [0.8] }, { limit: 20 }],
  limits: [{ scope: { type: "account" }, unit: "tokens", per: "minute", max: 5000 }, { max: 6000 }],
};

/** What the operator set, apart from what the ledger counts by it (`remaining`, `spent`, …). */
function figured({ spent, held, leased, remaining, resets_at, ...facts }) {
  return { facts, figures: { spent, held, leased, remaining, resets_at } };
}

describe("each kind", () => {
  for (const [kind, [body, change]] of Object.entries(KINDS)) {
    test(`${kind}: made, read, listed, changed, deleted, made again`, async () => {
      const base = `/admin/${kind}`;
      const made = await gateway.admin("POST", base, body);
      assert.equal(made.status, 201, made.text);
      const path = `${base}/${encodeURIComponent(made.json.id)}`;
      assert.deepEqual(figured((await gateway.admin("GET", path)).json).facts, made.json);
      const listed = (await gateway.admin("GET", base)).json;
      assert.deepEqual({ ...listed, data: listed.data.map((one) => figured(one).facts) }, { data: [made.json], next_cursor: null });
      const changed = await gateway.admin("PATCH", path, change);
      assert.deepEqual(changed.json, { ...made.json, ...change, updated_at: changed.json.updated_at });
      assert.equal((await gateway.admin("DELETE", path)).status, 200);
      assert.equal((await gateway.admin("GET", path)).status, 404);
      assert.deepEqual((await gateway.admin("GET", base)).json.data, []);
      const audit = await gateway.admin("GET", `/admin/audit?subject=${encodeURIComponent(made.json.id)}`);
      const name = kind.slice(0, -1);
      assert.deepEqual(audit.json.data.map(({ action }) => action), [`${name}.delete`, `${name}.update`, `${name}.create`]);
      assert.equal((await gateway.admin("POST", base, body)).status, 201);
    });
  }

  test("is refused with every fault at once", async () => {
    const { status, json } = await gateway.admin("POST", "/admin/budgets", { limit: 0, period: "year", scope: { type: "user" } });
    assert.equal(status, 400);
    assert.deepEqual(json.error.faults.map(({ path }) => path).sort(), ["limit", "period", "scope.id"]);
  });

  test("has an id only once", async () => {
    const user = { id: "bob" };
    assert.equal((await gateway.admin("POST", "/admin/users", user)).status, 201);
    const again = await gateway.admin("POST", "/admin/users", user);
    assert.equal(again.status, 409);
    assert.equal(again.json.error.code, "already_exists");
  });
});

describe("a team", () => {
  const call = async (key) => (await gateway.fetch("/v1/models", { headers: { authorization: `Bearer ${key}` } })).status;

  test("that is disabled takes its keys with it, and gives them back", async () => {
    const team = (await gateway.admin("POST", "/admin/teams", { name: "Ads" })).json.id;
    const [inside, outside] = [await gateway.createKey({ team_id: team }), await gateway.createKey()];
    assert.deepEqual([await call(inside.key), await call(outside.key)], [200, 200]);
    const disabled = await gateway.admin("PATCH", `/admin/teams/${team}`, { disabled: true });
    assert.equal(disabled.status, 200, disabled.text);
    assert.deepEqual([await call(inside.key), await call(outside.key)], [401, 200]);
    await gateway.admin("PATCH", `/admin/teams/${team}`, { disabled: false });
    assert.equal(await call(inside.key), 200);
  });

  test("is not deleted while it has keys", async () => {
    const team = (await gateway.admin("POST", "/admin/teams", { name: "Maps" })).json.id;
    const { id } = await gateway.createKey({ team_id: team });
    assert.equal((await gateway.admin("DELETE", `/admin/teams/${team}`)).json.error.code, "team_has_keys");
    const listed = await gateway.admin("GET", `/admin/keys?team_id=${team}`);
    assert.deepEqual(listed.json.data.map((key) => key.id), [id]);
    await gateway.admin("DELETE", `/admin/keys/${id}`);
    assert.equal((await gateway.admin("DELETE", `/admin/teams/${team}`)).status, 200);
    const orphan = await gateway.admin("POST", "/admin/keys", { name: "orphan", team_id: team });
    assert.deepEqual(orphan.json.error.faults.map(({ path }) => path), ["team_id"]);
  });
});

test("a key shows its own budgets and limits, to the operator and to its holder", async () => {
  const made = await gateway.createKey({
    budgets: [{ limit: 5, period: "day", time_zone: "Europe/Berlin" }],
    limits: [{ unit: "requests", per: "minute", max: 60 }],
  });
  assert.equal(made.budgets[0].scope.id, made.id);
  const own = await (await gateway.fetch("/v1/key", { headers: { authorization: `Bearer ${made.key}` } })).json();
  const facts = (list) => list.map((one) => figured(one).facts);
  // What the account may do as a whole binds the key too.
  const ofKey = own.limits.filter(({ scope }) => scope.type === "key");
  assert.deepEqual([facts(own.budgets), facts(ofKey)], [made.budgets, made.limits]);
  const { resets_at, ...spent } = figured(own.budgets[0]).figures;
  assert.deepEqual(spent, { spent: 0, held: 0, leased: 0, remaining: 5 });
  assert.equal(new Date(resets_at).toLocaleTimeString("en-GB", { timeZone: "Europe/Berlin" }), "00:00:00");
  assert.equal(figured(ofKey[0]).figures.remaining, 60);
});

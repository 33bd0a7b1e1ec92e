// What calls used and cost: summed by the database, explained line by line, charged with a mark-up.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SECRETS, startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const CALL = { model: "openai/gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };

let upstream;
let gateway;
let team;
let plain;
let marked;
/** The answers of all calls, oldest first: request id and body. */
const answers = [];

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  team = (await gateway.admin("POST", "/admin/teams", { name: "Search", markup: { factor: 2, fixed: 0.001 } })).json.id;
  plain = await gateway.createKey();
  marked = await gateway.createKey({ team_id: team });
  await call(plain, { "x-latchkey-user": "ada", "x-latchkey-tags": "blue, green, blue" });
  await call(plain, { "x-latchkey-user": "=ada" });
  await call(marked, { "x-latchkey-tags": "green" });
  await call(plain, {}, { ...CALL, model: "openai/never-heard-of" });
  await until(async () => (await usage("")).data[0].calls === answers.length);
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

async function call({ key }, headers, body = CALL) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200);
  answers.push({ id: response.headers.get("x-request-id"), body: await response.json() });
}

async function usage(query) {
  const { status, json, text } = await gateway.admin("GET", `/admin/usage?${query}`);
  assert.equal(status, 200, text);
  return json;
}

const close = (one, other) => assert.ok(Math.abs(one - other) < 1e-12, `${one} and ${other}`);

describe("a mark-up", () => {
  test("is charged, and what it cost is told beside it", () => {
    const [{ body: unmarked }, , { body }] = answers;
    const cost = unmarked.usage.cost_details.upstream_inference_cost;
    close(unmarked.usage.cost, cost);
    close(body.usage.cost_details.upstream_inference_cost, cost);
    close(body.usage.cost, cost * 2 + 0.001);
  });
});

describe("usage", () => {
  test("is summed by whatever is asked for", async () => {
    const [total] = (await usage("")).data;
    assert.equal(total.calls, 4);
    assert.equal(total.unpriced_calls, 1);
    const cost = answers[0].body.usage.cost;
    close(total.upstream_cost, 3 * cost);
    close(total.cost, 4 * cost + 0.001);
    const column = async (query, field) => (await usage(query)).data.map((row) => [row[field], row.calls]);
    assert.deepEqual(await column("group_by=key", "key_id"), [[plain.id, 3], [marked.id, 1]].sort());
    assert.deepEqual(await column("group_by=team", "team_id"), [["", 3], [team, 1]]);
    assert.deepEqual(await column("group_by=tag", "tag"), [["", 2], ["blue", 1], ["green", 2]]);
    assert.deepEqual(await column("group_by=model&provider=openai", "model"), [["gpt-4o-mini", 3], ["never-heard-of", 1]]);
    assert.deepEqual(await column("group_by=tag&user=ada", "tag"), [["blue", 1], ["green", 1]]);
    assert.deepEqual(await column("tag=green&group_by=key", "key_id"), [[plain.id, 1], [marked.id, 1]].sort());
    const [today] = (await usage("group_by=day,hour")).data;
    assert.equal(today.day % 86_400_000, 0);
    assert.equal(today.hour % 3_600_000, 0);
    assert.deepEqual((await usage("until=1000")).data[0].calls, 0);
  });

  test("comes in pages, and as a table without formulas", async () => {
    const first = await usage("group_by=user&limit=2");
    const second = await usage(`group_by=user&limit=2&cursor=${first.next_cursor}`);
    assert.deepEqual([...first.data, ...second.data].map(({ user }) => user), ["", "=ada", "ada"]);
    assert.equal(second.next_cursor, null);
    const whole = (await usage("group_by=tag,hour,key")).data;
    const paged = [];
    for (let next = ""; next !== null; ) {
      const { data, next_cursor } = await usage(`group_by=tag,hour,key&limit=1${next && `&cursor=${next}`}`);
      paged.push(...data);
      next = next_cursor;
    }
    assert.deepEqual(paged, whole);
    const response = await gateway.fetch("/admin/usage?group_by=user&format=csv", {
      headers: { authorization: `Bearer ${SECRETS.ADMIN_KEY}` },
    });
    assert.match(response.headers.get("content-type"), /^text\/csv/);
    const lines = (await response.text()).split("\r\n");
    assert.match(lines[0], /^user,calls,/);
    assert.match(lines[2], /^'=ada,1,/);
  });

  test("says who spent most", async () => {
    const { json } = await gateway.admin("GET", "/admin/spend");
    assert.equal(json.keys[0].key_id, marked.id);
    assert.equal(json.teams[0].team_id, team);
    assert.equal(json.calls, 4);
  });
});

describe("a cost", () => {
  test("is explained by its lines", async () => {
    const { json, text } = await gateway.admin("GET", `/admin/ledger/${answers[2].id}`);
    const [row] = json.rows;
    assert.equal(row.state, "settled_actual", text);
    assert.match(row.prices.source, /^catalogue 20\d\d-\d\d$/);
    assert.equal(row.team_id, team);
    assert.deepEqual(row.lines.map(({ bucket }) => bucket), ["input", "output"]);
    assert.equal(row.lines[0].count, answers[2].body.usage.prompt_tokens);
    close(row.upstream_cost, row.lines.reduce((sum, { amount }) => sum + amount, 0));
    for (const { count, per_million, amount } of row.lines) close(amount, Math.ceil(count * per_million * 1000 - 1e-6) / 1e9);
    close(json.cost, row.upstream_cost * 2 + 0.001);
  });

  test("that is not known is told as such", async () => {
    const { json } = await gateway.admin("GET", `/admin/ledger/${answers[3].id}`);
    const [row] = json.rows;
    assert.deepEqual([row.cost, row.upstream_cost, row.prices, row.lines], [null, null, null, []]);
    assert.equal((await gateway.admin("GET", "/admin/ledger/req_none")).status, 404);
  });
});

describe("a finished call", () => {
  const ask = async ({ key }, query) => {
    const response = await gateway.fetch(`/v1/generation${query}`, { headers: { authorization: `Bearer ${key}` } });
    return { status: response.status, ...(await response.json()) };
  };

  test("is told to the key that made it", async () => {
    const { status, data } = await ask(plain, `?id=${answers[0].id}`);
    assert.equal(status, 200);
    const { usage } = answers[0].body;
    assert.deepEqual(
      [data.id, data.model, data.user, data.tokens_prompt, data.tokens_completion, data.total_cost],
      [answers[0].id, "openai/gpt-4o-mini", "ada", usage.prompt_tokens, usage.completion_tokens, usage.cost],
    );
    const unpriced = await ask(plain, `?id=${answers[3].id}`);
    assert.equal(unpriced.data.total_cost, null);
  });

  test("is told to no other", async () => {
    for (const [holder, query] of [[marked, `?id=${answers[0].id}`], [plain, "?id=req_none"]]) {
      const { status, error } = await ask(holder, query);
      assert.deepEqual([status, error.code], [404, "generation_not_found"]);
    }
    assert.equal((await ask(plain, "")).status, 400);
    assert.equal((await gateway.fetch(`/v1/generation?id=${answers[0].id}`)).status, 401);
  });
});

describe("a call that was booked at its ceiling", () => {
  test("is an estimate no more when the truth is known", async () => {
    const database = await gateway.miniflare.getD1Database("DB");
    const write = (seq, cost_nano, state) => {
      const record = JSON.stringify({ request_id: "req_late", seq, at: 0, key_id: "key_late", status: 200, cost_nano, state });
      const statement = "INSERT INTO calls (request_id, seq, at, key_id, record) VALUES ('req_late', ?, 0, 'key_late', ?)";
      return database.prepare(statement).bind(seq, record).run();
    };
    const sums = async () => {
      const [{ calls, estimated_calls, cost }] = (await usage("key_id=key_late&from=0&until=3600000")).data;
      return [calls, estimated_calls, cost];
    };
    await write(2 ** 30, 900_000_000, "committed_ceiling");
    assert.deepEqual(await sums(), [0, 1, 0.9]);
    await write(2 ** 30 + 1, -900_000_000, "committed_ceiling");
    await write(0, 100_000_000, "settled_actual");
    assert.deepEqual(await sums(), [1, 0, 0.1]);
    await database.prepare("DELETE FROM calls WHERE key_id = 'key_late'").run();
  });
});

describe("what is written once", () => {
  test("is neither counted nor changed again", async () => {
    const database = await gateway.miniflare.getD1Database("DB");
    const { results: rows } = await database.prepare("SELECT request_id, seq, at, key_id, record FROM calls").all();
    for (const { request_id, seq, at, key_id, record } of rows) {
      const again = database.prepare("INSERT INTO calls (request_id, seq, at, key_id, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
      await again.bind(request_id, seq, at, key_id, record).run();
    }
    assert.equal((await usage("")).data[0].calls, rows.length);
    await assert.rejects(database.prepare("UPDATE audit SET actor = 'nobody'").run(), /append-only/);
    await assert.rejects(database.prepare("DELETE FROM audit").run(), /append-only/);
  });
});

/** Asks until it is so: records travel in batches. */
async function until(holds) {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, "it never was");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

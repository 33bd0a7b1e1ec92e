// A thousand callers at once against one dollar, through one isolate and through eight.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { startGateway } from "./gateway.mjs";
import { DOLLAR, ledgerOf, rowsOf, spend, startBiller, UNDAUNTED } from "./spending.mjs";

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

/** A thousand callers against a dollar, and everybody's tally. */
async function rehearse(isolateOf, fields = {}) {
  biller.bills.clear();
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }], ...fields });
  const { statuses, refused } = await spend({ send: (init, number) => send(init, isolateOf(number)), key, callers: 1_000, refusals: 50 });
  const { spent, leased } = await ledgerOf(gateway, budgets[0].id);
  const { rows, sum } = await rowsOf(gateway, id, spent);
  const billed = biller.billed();
  const told = `billed ${billed}, ledger ${spent}, leased ${leased}, database ${sum}, ${JSON.stringify([...statuses])}`;
  assert.ok(refused >= 50, told);
  assert.ok(billed <= BigInt(DOLLAR), told);
  assert.ok(spent <= DOLLAR, told);
  assert.equal(leased, 0, told);
  assert.equal(sum, spent, `the database has what the ledger has: ${told}`);
  for (const row of rows.filter(({ state }) => state === "settled_actual")) {
    assert.equal(BigInt(row.cost_nano), biller.bills.get(row.request_id), `${row.request_id}, to the nano-dollar`);
  }
  const seen = new Set(rows.map(({ request_id }) => request_id));
  assert.ok([...biller.bills.keys()].every((request) => seen.has(request)), "every bill has its row");
  return { rows, billed, spent, told, statuses };
}

const marked = (rows) => rows.filter(({ state }) => state === "settled_estimate" || state === "committed_ceiling");

test("a thousand callers at once never overspend a dollar, and get nearly all of it", async (t) => {
  const { billed, rows, told } = await rehearse(() => 1, { on_disconnect: "drain" });
  t.diagnostic(told);
  assert.ok(billed >= (BigInt(DOLLAR) * 95n) / 100n, told);
  assert.equal(marked(rows).length, 0, "those who left were read to the end");
});

test("neither do they through eight isolates", async (t) => {
  const { billed, rows, told } = await rehearse((number) => 1 + (number % ISOLATES), { on_disconnect: "drain" });
  t.diagnostic(told);
  assert.ok(billed >= (BigInt(DOLLAR) * 95n) / 100n, told);
  assert.equal(marked(rows).length, 0, "those who left were read to the end");
});

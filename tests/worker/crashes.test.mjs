// Money through crashes: `npm run rehearse:crash` does the same a hundred times and prints the table.

import { test } from "node:test";
import assert from "node:assert/strict";
import { crash } from "./crashes.mjs";

test("nothing is counted twice and no budget is overspent when the process is killed again and again", async (t) => {
  const end = await crash({ kills: 5, booked: false });
  const told = JSON.stringify(end, (_, value) => (typeof value === "bigint" ? Number(value) : value));
  t.diagnostic(told);
  assert.ok(end.rounds.some(({ served }) => served > 0), told);
  assert.ok(end.billed <= BigInt(end.limit), told);
  assert.ok(end.spent + end.leased <= end.limit, told);
  assert.ok(end.billed <= BigInt(end.spent + end.leased), `what was lost is still charged: ${told}`);
  assert.equal(end.wrong, 0, `what is known is known to the nano-dollar: ${told}`);
  assert.equal(end.sum, end.spent, `the database has what the ledger has: ${told}`);
});

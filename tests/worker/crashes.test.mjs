// Money through crashes: `npm run rehearse:crash` prints the same, and waits until the calls that were lost are booked.

import { test } from "node:test";
import assert from "node:assert/strict";
import { crash, summary, table } from "./crashes.mjs";

const KILLS = 100;
/** A kill, with the start after it, takes some two seconds on a small machine that has other things to do. */
const LONGEST_MS = 420_000;
/** What is left after the last kill: to ask everybody what they have until they agree. */
const LAST_MS = 60_000;

test("nothing is counted twice and no budget is overspent when the process is killed a hundred times", { timeout: LONGEST_MS }, async () => {
  const end = await crash({ kills: KILLS, within: LONGEST_MS - LAST_MS, limit: 10, booked: false });
  console.log(`${table(end)}\n${summary(end)}`);
  const told = JSON.stringify({ ...end, rounds: end.rounds.length }, (_, value) => (typeof value === "bigint" ? Number(value) : value));
  assert.equal(end.rounds.length, KILLS, told);
  assert.ok(end.rounds.filter(({ served }) => served > 0).length >= KILLS / 4, `calls were under way: ${told}`);
  assert.ok(end.billed <= BigInt(end.limit), told);
  assert.ok(end.spent + end.leased <= end.limit, told);
  assert.ok(end.billed <= BigInt(end.spent + end.leased), `what was lost is still charged: ${told}`);
  assert.ok(end.exact > 0, `some of it is known: ${told}`);
  assert.equal(end.wrong, 0, `what is known is known to the nano-dollar: ${told}`);
  assert.equal(end.sum, end.spent, `the database has what the ledger has: ${told}`);
});

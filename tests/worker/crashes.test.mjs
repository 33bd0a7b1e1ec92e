// Money through crashes: `npm run rehearse:crash` does the same a hundred times.

import { test } from "node:test";
import assert from "node:assert/strict";
import { crash, HEADING, line, summary } from "./crashes.mjs";

/** As many as fit into a minute, which is some twenty on a small machine; fewer would show nothing. */
const KILLS = 100;
const WITHIN_MS = 50_000;
const FEWEST = 5;

test("nothing is counted twice and no budget is overspent when the process is killed again and again", async () => {
  const lines = [HEADING];
  const end = await crash({ kills: KILLS, within: WITHIN_MS, limit: 2, told: (number, round) => lines.push(line(number, round)), booked: false });
  console.log(`${lines.join("\n")}\n${summary(end)}`);
  const told = JSON.stringify(end, (_, value) => (typeof value === "bigint" ? Number(value) : value));
  assert.ok(end.rounds.length >= FEWEST && end.rounds.some(({ served }) => served > 0), told);
  assert.ok(end.billed <= BigInt(end.limit), told);
  assert.ok(end.spent + end.leased <= end.limit, told);
  assert.ok(end.billed <= BigInt(end.spent + end.leased), `what was lost is still charged: ${told}`);
  assert.equal(end.wrong, 0, `what is known is known to the nano-dollar: ${told}`);
  assert.equal(end.sum, end.spent, `the database has what the ledger has: ${told}`);
});

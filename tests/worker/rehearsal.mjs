// The rehearsal behind `npm run rehearse:budget`; the bundle must have been built.

import { startGateway } from "./gateway.mjs";
import { ledgerOf, rowsOf, spend, startBiller, UNDAUNTED } from "./spending.mjs";

const usd = (nano) => `$${(Number(nano) / 1e9).toFixed(9)}`;

const biller = await startBiller();
const gateway = await startGateway(biller);
await gateway.configure(UNDAUNTED);
try {
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }], on_disconnect: "drain" });
  const started = Date.now();
  const send = (init) => gateway.fetch("/v1/chat/completions", init);
  const { statuses, refused } = await spend({ send, key, callers: 1_000, refusals: 50 });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const { spent, leased } = await ledgerOf(gateway, budgets[0].id);
  const { rows, sum } = await rowsOf(gateway, id, spent);
  const billed = biller.billed();
  const marked = rows.filter(({ state }) => state !== "settled_actual" && state !== "released").length;
  console.log(`1,000 callers for ${seconds} s, until the smallest call was refused ${refused} times`);
  console.log(`answers        ${[...statuses].map(([status, count]) => `${count} × ${status === 0 ? "left" : status}`).join(", ")}`);
  console.log(`the budget     ${usd(1e9)}`);
  console.log(`the provider   ${usd(billed)} billed`);
  console.log(`the ledger     ${usd(spent)} spent, ${usd(leased)} leased`);
  console.log(`the database   ${usd(sum)} in ${rows.length} rows, ${marked} of them estimated`);
} finally {
  await gateway.close();
  await biller.close();
}

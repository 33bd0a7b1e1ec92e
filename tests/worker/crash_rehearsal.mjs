// The rehearsal behind `npm run rehearse:crash`; the bundle must have been built.

import { crash } from "./crashes.mjs";

const usd = (nano) => `$${(Number(nano) / 1e9).toFixed(9)}`;
const kills = Number(process.argv[2] ?? 100);

console.log("kill | after   | served | billed by the provider");
const told = (number, { after, served, billed }) =>
  console.log(`${String(number).padStart(4)} | ${String(after).padStart(4)} ms | ${String(served).padStart(6)} | ${usd(billed)}`);
const end = await crash({ kills, limit: 10, told });
console.log(`
after ${kills} kills
the budget                        ${usd(end.limit)}
billed by the provider            ${usd(end.billed)}
spent, as the ledger says         ${usd(end.spent)}
  in the database                 ${usd(end.sum)} in ${end.rows} rows
  known to the nano-dollar        ${end.exact} rows, ${end.wrong} of them wrong
  booked at the worst case        ${end.ceilings} rows
still charged to dead isolates    ${usd(end.leased)}
calls of which no row is left     ${end.lost}, for ${usd(end.lostCost)}, within what is still charged or booked`);

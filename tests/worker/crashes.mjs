// The gateway killed at random points while it spends from a budget, again and again, and what is left of the money.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startGateway } from "./gateway.mjs";
import { callOf, ledgerOf, rowsOf, startBiller, UNDAUNTED } from "./spending.mjs";

const CALLERS = 12;
const KINDS = ["plain", "streamed", "cached", "leaving", "failing", "retried"];
/** Calls end soon, so that those that were lost are booked soon: half a minute after their deadline. */
const CONFIGURATION = { ...UNDAUNTED, limits: { deadlines: { total_ms: 3_000 } } };
const BOOKED_WITHIN = 45_000;
/**
 * The latest moment of a kill. An isolate answers after some 200 ms and reports what it spent a second later, so that
 * some kills meet one that has just borrowed money, most one that spends it, and some one that is telling of it.
 */
const LATEST_KILL_MS = 1_600;

/**
 * Kills the gateway so many times at moments that `random` draws, for at most `within` milliseconds, and starts it again
 * on the same storage. Gives the figures of every round and of the end, `booked` once those calls are booked that were
 * never heard of again.
 */
export async function crash({ kills, within = Infinity, limit = 1, random = Math.random, told = () => {}, booked = true }) {
  const started = Date.now();
  const folder = mkdtempSync(join(tmpdir(), "latchkey-crash-"));
  const biller = await startBiller();
  const rounds = [];
  let gateway = await startGateway(biller, {}, { folder });
  try {
    await gateway.configure(CONFIGURATION);
    const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit, period: "total" }], on_disconnect: "drain" });
    for (let kill = 0; kill < kills && Date.now() - started < within; kill += 1) {
      rounds.push(await round(gateway, biller, key, 30 + Math.floor(random() * (LATEST_KILL_MS - 30))));
      told(kill + 1, rounds.at(-1));
      await gateway.close();
      gateway = await startGateway(biller, {}, { folder, again: true });
    }
    return { rounds, ...(await settled(gateway, biller, id, budgets[0].id, booked)) };
  } finally {
    await gateway.close();
    await biller.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Calls at once, until the process is killed in the middle of them after so many milliseconds. */
async function round(gateway, biller, key, after) {
  const before = { bills: biller.bills.size, billed: biller.billed() };
  let over = false;
  let served = 0;
  const caller = async (number) => {
    for (let turn = number; !over; turn += 1) {
      const response = await gateway.fetch("/v1/chat/completions", callOf(key, { kind: KINDS[turn % KINDS.length], output: 20, cap: 40 })).catch(() => undefined);
      await response?.text().catch(() => undefined);
      if (response?.status === 200) served += 1;
      else await delay(20);
    }
  };
  const callers = Array.from({ length: CALLERS }, (_, number) => caller(number));
  await delay(after);
  kill();
  over = true;
  await Promise.all(callers);
  return { after, served, bills: biller.bills.size - before.bills, billed: biller.billed() - before.billed };
}

/** Kills the runtimes that this process has started. */
function kill() {
  const children = execFileSync("pgrep", ["-P", String(process.pid), "workerd"], { encoding: "utf8" });
  for (const id of children.trim().split("\n")) process.kill(Number(id), "SIGKILL");
}

/** What everybody has; where that is asked for, once all calls that were lost are booked. */
async function settled(gateway, biller, keyId, rule, booked) {
  const first = await ledgerOf(gateway, rule, { patience: 1_000 });
  if (booked && first.leased > 0) await delay(BOOKED_WITHIN);
  const { spent, leased, limit, rows, sum } = await agreed(gateway, keyId, rule);
  const told = new Map();
  for (const row of rows) told.set(row.request_id, (told.get(row.request_id) ?? 0) + (row.cost_nano ?? 0));
  const exact = rows.filter(({ state }) => state === "settled_actual");
  const wrong = exact.filter(({ request_id, cost_nano }) => biller.bills.get(request_id) !== BigInt(cost_nano));
  const lost = [...biller.bills].filter(([request]) => !told.has(request));
  return {
    limit,
    spent,
    leased,
    sum,
    billed: biller.billed(),
    rows: rows.length,
    exact: exact.length,
    ceilings: rows.filter(({ state }) => state === "committed_ceiling").length,
    wrong: wrong.length,
    lost: lost.length,
    lostCost: lost.reduce((total, [, cost]) => total + cost, 0n),
  };
}

/** What ledger and database have, once that is the same: calls that were lost are booked all the while. */
async function agreed(gateway, keyId, rule) {
  const deadline = Date.now() + BOOKED_WITHIN;
  for (;;) {
    const standing = await ledgerOf(gateway, rule, { patience: 1_000 });
    const { rows, sum } = await rowsOf(gateway, keyId, standing.spent, { patience: 5_000 });
    if (sum === standing.spent || Date.now() > deadline) return { ...standing, rows, sum };
  }
}

/** Of the table of all kills. */
const COLUMNS = 4;

const usd = (nano) => `$${(Number(nano) / 1e9).toFixed(9)}`;

/** The heading over the lines of `line`. */
export const HEADING = "kill | after  | served | billed by the provider";

/** One kill, as a line of the table. */
export const line = (number, { after, served, billed }) =>
  `${String(number).padStart(4)} | ${String(after).padStart(3)} ms | ${String(served).padStart(6)} | ${usd(billed)}`;

/** All kills in four columns, each with its moment and what was served until then. */
export function table({ rounds }) {
  const cells = rounds.map(({ after, served }, index) => `${String(index + 1).padStart(4)} | ${String(after).padStart(3)} ms | ${String(served).padStart(6)}`);
  const height = Math.ceil(cells.length / COLUMNS);
  const rows = Array.from({ length: height }, (_, row) => cells.filter((_, index) => index % height === row).join("  ||"));
  return [Array(COLUMNS).fill("kill | after  | served").join("  ||"), ...rows].join("\n");
}

/** What became of the money, as the end of the table. */
export const summary = (end) => `
after ${end.rounds.length} kills
the budget                        ${usd(end.limit)}
billed by the provider            ${usd(end.billed)}
spent, as the ledger says         ${usd(end.spent)}
  in the database                 ${usd(end.sum)} in ${end.rows} rows
  known to the nano-dollar        ${end.exact} rows, ${end.wrong} of them wrong
  booked at the worst case        ${end.ceilings} rows
still charged to dead isolates    ${usd(end.leased)}
calls of which no row is left     ${end.lost}, for ${usd(end.lostCost)}, within what is still charged or booked`;

// Many callers at once who spend from one key until nothing fits any more, and everybody's tally of it.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

/** What OpenAI asks for gpt-4o, in nano-dollars a token. */
const RATES = { fresh: 2500n, cached: 1250n, output: 10_000n };
const MODEL = "openai/gpt-4o";

export const DOLLAR = 1_000_000_000;

/** A third of the calls fails, on purpose: that is no reason to leave the provider alone. */
export const UNDAUNTED = { health: { enabled: false } };

/** A provider that answers at once, bills by its own rules, and remembers what it billed, by request id. */
export async function startBiller() {
  const bills = new Map();
  const failed = new Set();
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const asked = JSON.parse(text);
    const { kind, output } = JSON.parse(asked.messages[0].content);
    const id = request.headers["x-client-request-id"];
    if (kind === "failing" || (kind === "retried" && !failed.has(id))) {
      failed.add(id);
      response.writeHead(500, { "content-type": "application/json" });
      return response.end(`{"error":{"message":"no","type":"server_error","param":null,"code":null}}`);
    }
    const cached = kind === "cached" ? 60 : 0;
    const usage = {
      prompt_tokens: 150,
      completion_tokens: output,
      total_tokens: 150 + output,
      prompt_tokens_details: { cached_tokens: cached },
    };
    const cost = BigInt(150 - cached) * RATES.fresh + BigInt(cached) * RATES.cached + BigInt(output) * RATES.output;
    bills.set(id, (bills.get(id) ?? 0n) + cost);
    if (!asked.stream) {
      response.writeHead(200, { "content-type": "application/json" });
      const message = { role: "assistant", content: "ok" };
      const choices = [{ index: 0, message, finish_reason: "stop" }];
      return response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "gpt-4o", choices, usage }));
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = (choices, more = {}) =>
      response.write(`data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "gpt-4o", choices, ...more })}\n\n`);
    chunk([{ index: 0, delta: { role: "assistant", content: "ok" }, finish_reason: null }]);
    // Who leaves in the middle is billed all the same.
    if (kind === "leaving") await delay(200);
    if (kind === "lasting") return;
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]);
    chunk([], { usage });
    response.end("data: [DONE]\n\n");
  });
  // A connection that is closed for being idle may have a request on its way.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    bills,
    /** All that was billed, in nano-dollars. */
    billed: () => [...bills.values()].reduce((sum, cost) => sum + cost, 0n),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The request for a call that the biller answers as `kind` with so many tokens. */
export function callOf(key, { kind = "plain", output = 40, cap = 60, headers = {} } = {}) {
  const stream = ["streamed", "leaving", "lasting"].includes(kind);
  const messages = [{ role: "user", content: JSON.stringify({ kind, output }) }];
  return {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: MODEL, stream, max_tokens: cap, messages }),
  };
}

const KINDS = ["plain", "streamed", "cached", "failing", "retried", "leaving"];

/** A call by its number: from half a tenth of a cent to half a cent, and at most twice that in the worst case. */
function plan(number) {
  const kind = KINDS[number % KINDS.length];
  const output = 60 + ((number * 37) % 400);
  // The smallest of all is the one that must be refused for good.
  return number === 0 ? { kind: "plain", output: 40, cap: 60 } : { kind, output, cap: Math.ceil(output * 1.5) };
}

/**
 * Lets `callers` spend at the same time, each trying again when refused, until the smallest call was refused `refusals`
 * times. `send` makes one request to some isolate; it is told the number of the caller.
 */
export async function spend({ send, key, callers, refusals, longest = 120_000 }) {
  const statuses = new Map();
  let refused = 0;
  const deadline = Date.now() + longest;
  const caller = async (number, planned) => {
    while (refused < refusals && Date.now() < deadline) {
      const leave = new AbortController();
      const status = await send({ ...callOf(key, planned), signal: leave.signal }, number).then(
        async (response) => {
          if (planned.kind === "leaving" && response.status === 200) {
            await response.body.getReader().read();
            leave.abort();
          } else await response.text();
          return response.status;
        },
        () => 0,
      );
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (planned.cap === 60 && status === 402) refused += 1;
      // A gateway that says that it is overrun is left alone for a moment, as its `retry-after` asks.
      if (status === 503) await delay(2_000 + ((number * 37) % 2_000));
      else if (status !== 200) await delay(20 + ((number * 7) % 80));
    }
  };
  const some = Array.from({ length: callers }, (_, number) => caller(number, plan(number % 10 === 0 ? 0 : number)));
  await Promise.all(some);
  return { statuses, refused };
}

/**
 * A thousand callers against a dollar, spread over so many isolates: what holds for
 * everybody's tally, whatever the machine. Gives it in words, too.
 */
export async function rehearse({ biller, gateway, send, isolates = 1 }) {
  biller.bills.clear();
  const { id, key, budgets } = await gateway.createKey({ budgets: [{ limit: 1, period: "total" }], on_disconnect: "drain" });
  const { statuses, refused } = await spend({ send: (init, number) => send(init, 1 + (number % isolates)), key, callers: 1_000, refusals: 50 });
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
  assert.ok(billed >= (BigInt(DOLLAR) * 95n) / 100n, `nearly all of it is spent: ${told}`);
  const marked = rows.filter(({ state }) => state === "settled_estimate" || state === "committed_ceiling");
  assert.equal(marked.length, 0, "those who left were read to the end");
  return told;
}

/** The ledger object of a gateway. */
export async function ledgerObject({ miniflare, name }) {
  const namespace = await miniflare.getDurableObjectNamespace("LEDGER", name);
  return namespace.get(namespace.idFromName("account"));
}

/** What the ledger says of a budget, once nothing is leased any more. */
export async function ledgerOf(gateway, rule, { patience = 30_000 } = {}) {
  const object = await ledgerObject(gateway);
  const body = JSON.stringify({ version: 2, rules: [rule] });
  return until(patience, async () => {
    const response = await object.fetch("http://ledger/standings", { method: "POST", body });
    const { standings } = await response.json();
    const [standing] = Object.values(standings[rule] ?? {});
    return { value: standing, done: standing?.leased === 0 };
  });
}

/** The rows of a key's calls, once the database has as much as `spent`. */
export async function rowsOf(gateway, keyId, spent, { patience = 30_000 } = {}) {
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  return until(patience, async () => {
    const { results: rows } = await database.prepare("SELECT * FROM calls WHERE key_id = ?").bind(keyId).all();
    const sum = rows.reduce((total, row) => total + (row.cost_nano ?? 0), 0);
    return { value: { rows, sum }, done: sum === spent };
  });
}

/** Asks until it is done, or for so long; gives what it got the last time. */
async function until(patience, ask) {
  const deadline = Date.now() + patience;
  for (;;) {
    const { value, done } = await ask();
    if (done || Date.now() > deadline) return value;
    await delay(250);
  }
}

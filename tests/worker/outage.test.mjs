// Providers that are down or fail every third call, under load: what callers notice of it, and what it costs.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { json, synthetic } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const CALLS = 2_000;
const CONCURRENCY = 32;
const FIRST = "openai/gpt-4o-mini";
const SECOND = "mistral/mistral-small-latest";
const WELL = "deepseek/deepseek-chat";
/** Blocks so short that some end while the load lasts. */
const BLOCK_MS = 1_000;
const FAILED = json({ error: { message: "Try later.", type: "server_error" } }, { status: 500 });

let upstream;
let gateway;
let key;
/** When requests came to each provider. */
let asked;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  const health = { block_ms: BLOCK_MS, longest_block_ms: BLOCK_MS };
  const put = await gateway.admin("PUT", "/admin/config", { version: 1, health }, { "if-match": "*" });
  assert.equal(put.status, 200, put.text);
  ({ key } = await gateway.createKey());
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

beforeEach(async () => {
  upstream.forget();
  asked = { openai: [], mistral: [], deepseek: [] };
  for (const target of Object.keys(asked)) {
    assert.equal((await gateway.admin("POST", "/admin/health/reset", { target })).status, 200);
  }
});

/** Has providers answer as `manners` say, by their names, and well where that says nothing. */
function providers(manners) {
  upstream.behave((request) => {
    const name = request.path.split("/")[1];
    asked[name].push(performance.now());
    return manners[name]?.() ?? synthetic(request);
  });
}

/** One call that may go to each of `models`; gives its status, when it began and how long it took. */
async function call(models) {
  const begun = performance.now();
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ models, messages: [{ role: "user", content: "Say hello" }] }),
  });
  await response.arrayBuffer();
  return { status: response.status, begun, took: performance.now() - begun };
}

/** Makes `count` calls, so many at a time; each as `make` makes it of its number. */
async function load(count, make) {
  const results = [];
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const index = next++;
      results[index] = { index, ...(await make(index)) };
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, caller));
  return results;
}

function percentile95(results) {
  const sorted = results.map(({ took }) => took).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)];
}

/** Numbers in [0, 1) that are the same in each run. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("of two providers", () => {
  test("one that is dead is noticed by no caller, and costs no time once it is blocked", async (context) => {
    providers({ openai: () => (_, response) => response.destroy() });
    // Turn by turn, so that whatever else the machine does falls on both: calls whose first provider is dead, and calls
    // that have two which are well.
    const results = await load(2 * CALLS, (index) => call(index % 2 === 0 ? [FIRST, SECOND] : [WELL, SECOND]));
    assert.deepEqual(results.filter(({ status }) => status !== 200), []);

    // Calls that were under way when the third one failed may have asked it too.
    const settled = asked.openai[2] + 500;
    const later = results.filter(({ begun }) => begun > settled);
    const troubled = later.filter(({ index }) => index % 2 === 0);
    assert.ok(troubled.length > CALLS / 2, `${troubled.length} calls came after the trip`);
    const dead = percentile95(troubled);
    const both = percentile95(later.filter(({ index }) => index % 2 === 1));
    context.diagnostic(`p95 with one dead ${dead.toFixed(1)} ms, with both alive ${both.toFixed(1)} ms, of ${later.length} calls`);
    assert.ok(dead <= 1.1 * both, `p95 is ${dead.toFixed(1)} ms with one dead, ${both.toFixed(1)} ms with both alive`);

    const probes = asked.openai.filter((at) => at > settled);
    context.diagnostic(`the dead one was asked ${asked.openai.length} times, ${probes.length} of them as a probe`);
    const gaps = probes.slice(1).map((at, index) => Math.round(at - probes[index]));
    assert.ok(gaps.every((gap) => gap >= BLOCK_MS), `no two probes within a block: ${gaps}`);
  });

  test("that fail three calls of ten each, hardly any caller notices", async (context) => {
    const chance = generator(20_261_121);
    const fails = () => (chance() < 0.3 ? FAILED : undefined);
    providers({ openai: fails, mistral: fails });
    const results = await load(CALLS, () => call([FIRST, SECOND]));
    const served = results.filter(({ status }) => status === 200).length;
    const sent = asked.openai.length + asked.mistral.length;
    const { json: health } = await gateway.admin("GET", "/admin/health");
    const refused = health.regions.reduce((sum, { retries_refused: more }) => sum + more, 0);
    context.diagnostic(`${served} of ${CALLS} calls were served with ${sent} requests; the budget refused ${refused} repetitions`);
    assert.ok(served >= 0.99 * CALLS, `${served} of ${CALLS} calls were served`);
    assert.ok(refused > 0, "what the budget refused is counted");
    // Each call may ask either provider once; beyond that, a repetition for every fifth call and 25 at once.
    assert.ok(sent <= CALLS * 2.2 + 25, `${sent} requests for ${CALLS} calls`);
  });
});

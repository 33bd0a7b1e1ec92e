// Breakers that eight isolates share through one object, and what they do while it is slow or dead.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { SECRETS, startGateway } from "./gateway.mjs";
import { json, silence, synthetic } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const ISOLATES = 8;
/** One more Worker, which serves nobody and only has the schedule. */
const IDLE = ISOLATES + 1;
const TARGET = "openai/gpt-4o-mini";
const OTHER = "mistral/mistral-small-latest";
/** Blocks and news so short that a test can wait for them. */
const HEALTH = {
  block_ms: 3_000,
  longest_block_ms: 3_000,
  probe_ms: 4_000,
  snapshot_age_ms: 1_000,
  patience_ms: 250,
  poor_minimum_calls: 5,
  active_probe: true,
};
/** Two servers of one model. */
const server = (id) => ({ base_url: `${upstream.url}/${id}`, auth: "bearer", models: ["llama-5"] });
/** From a change at the object until every isolate under traffic knows: a snapshot's age, and a reply. */
const NEWS = HEALTH.snapshot_age_ms + 1_500;
const FAILED = json({ error: { message: "Try later.", type: "server_error" } }, { status: 503 });

let upstream;
let gateway;
let key;
/** Requests that OpenAI's part of the upstream has under way and had at most, and when each began. */
let seen;

before(async () => {
  upstream = await startUpstream();
  const keys = { OPENAI_API_KEY_2: "sk-openai-second-for-tests", CAVE_API_KEY: "cave-key-for-tests", DEN_API_KEY: "den-key-for-tests" };
  gateway = await startGateway(upstream, keys, { isolates: IDLE, troubled: true });
  const config = { version: 1, health: HEALTH, providers: { cave: server("cave"), den: server("den") } };
  const put = await gateway.admin("PUT", "/admin/config", config, { "if-match": "*" });
  assert.equal(put.status, 200, put.text);
  ({ key } = await gateway.createKey());
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

beforeEach(async () => {
  await gateway.trouble(0);
  upstream.forget();
  upstream.behave();
  for (const target of ["openai", "mistral", "cave", "den"]) {
    assert.equal((await gateway.admin("POST", "/admin/health/reset", { target })).status, 200);
  }
  await everywhere(async (isolate) => (await call(isolate, { model: TARGET })).status === 200, "all is well");
  seen = { underWay: 0, most: 0, begun: [] };
});

/** One call through an isolate (from 1). */
async function call(isolate, body, signal) {
  const begun = performance.now();
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-isolate": String(isolate) },
    body: JSON.stringify({ messages: [{ role: "user", content: "Say hello" }], ...body }),
    signal,
  });
  const answer = await response.json();
  const provider = response.headers.get("x-latchkey-provider");
  const attempts = response.headers.get("x-latchkey-attempts");
  return { status: response.status, provider, attempts, answer, took: performance.now() - begun };
}

/** Waits until `holds` does, within reason. */
async function until(holds, what, patience = 15_000) {
  const end = Date.now() + patience;
  for (;;) {
    if (await holds()) return;
    assert.ok(Date.now() < end, `within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Waits until `holds` does for every isolate. */
function everywhere(holds, what = "every isolate") {
  const each = Array.from({ length: ISOLATES }, (_, index) => until(() => holds(index + 1), `${what} (isolate ${index + 1})`));
  return Promise.all(each);
}

/** What OpenAI's part of the upstream answers from now on, after `wait` milliseconds; the rest is well. */
function openai(reply, wait = 0) {
  upstream.behave((asked) => {
    if (!asked.path.startsWith("/openai")) return synthetic(asked);
    return async (request, response) => {
      seen.begun.push(Date.now());
      seen.underWay += 1;
      seen.most = Math.max(seen.most, seen.underWay);
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      seen.underWay -= 1;
      await (typeof reply === "function" ? reply : synthetic(asked))(request, response);
    };
  });
}

/** The target as the object has it. */
async function breaker() {
  const { status, json: health, text } = await gateway.admin("GET", "/admin/health");
  assert.equal(status, 200, text);
  const targets = health.regions.flatMap((region) => region.targets);
  return targets.find(({ target }) => target === TARGET);
}

/** Has one isolate find out that the target fails. */
async function trip() {
  openai(FAILED);
  await until(async () => {
    await call(1, { model: TARGET });
    return (await breaker())?.state === "blocking";
  }, "the breaker trips");
  seen.begun.length = 0;
}

describe("a target that fails", () => {
  test("is blocked for all isolates, with an event in the log and in the audit trail", async () => {
    const since = Date.now();
    await trip();
    const { tripped_by: reason, last_errors: errors } = await breaker();
    assert.match(reason, /failures in a row: overloaded \(503\)$/);
    assert.deepEqual([errors.at(-1).kind, errors.at(-1).status], ["overloaded", 503]);
    await everywhere(async (isolate) => {
      const asked = seen.begun.length;
      const { status } = await call(isolate, { model: TARGET });
      return status === 503 && seen.begun.length === asked;
    }, "the target is left alone");
    const { json: status } = { json: await (await gateway.fetch("/health/providers")).json() };
    assert.equal(status.providers.find(({ id }) => id === "openai").status, "down");
    const event = gateway.log().split("\n").filter((line) => line.includes('"event":"breaker"')).at(-1);
    assert.equal(JSON.parse(event).transition.target, TARGET);
    await until(async () => {
      const { json: audit } = await gateway.admin("GET", `/admin/audit?subject=${encodeURIComponent(TARGET)}`);
      const entry = audit.data.find(({ action, at }) => action === "health.trip" && at >= since);
      return entry?.actor === "breaker" && entry.after.reason === reason;
    }, "the audit trail has it");
  });

  test("is known to be blocked by an object that was restarted", async () => {
    await trip();
    await gateway.miniflare.unsafeEvictDurableObject("latchkey", "Health", { name: "north-america" });
    assert.equal((await breaker()).state, "blocking");
    await until(async () => {
      const asked = seen.begun.length;
      await call(2, { model: TARGET });
      return seen.begun.length === asked;
    }, "an isolate hears of it", 5_000);
  });

  test("gets one probe at a time, and passes once that is served", async () => {
    await trip();
    // From here on every isolate asks for it all the time; the provider holds each request long enough to see two at once.
    openai(FAILED, 300);
    const start = Date.now();
    const hammering = Array.from({ length: ISOLATES }, async (_, index) => {
      while (Date.now() < start + 9_000) {
        await call(index + 1, { model: TARGET });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    await new Promise((resolve) => setTimeout(resolve, NEWS));
    seen = { underWay: seen.underWay, most: 0, begun: [] };
    await Promise.all(hammering);
    assert.ok(seen.begun.length >= 1, "it was probed");
    assert.equal(seen.most, 1, "never twice at once");
    const gaps = seen.begun.slice(1).map((at, index) => at - seen.begun[index]);
    assert.ok(gaps.every((gap) => gap >= HEALTH.block_ms), `no probe before the window has passed: ${gaps}`);
    openai(undefined);
    await everywhere(async (isolate) => (await call(isolate, { model: TARGET })).status === 200, "it is back");
    assert.equal((await breaker()).state, "passing");
  });

  test("is probed by another isolate when the first says nothing of its probe", async () => {
    await trip();
    let silent = true;
    openai((request, response) => {
      if (!silent) return synthetic(request)(request, response);
      silent = false;
      return silence()(request, response);
    });
    const caller = new AbortController();
    await until(() => {
      call(1, { model: TARGET }, caller.signal).catch(() => {});
      return seen.begun.length === 1;
    }, "an isolate probes it");
    await until(async () => (await call(2, { model: TARGET })).status === 200, "another one's probe is served");
    const gap = seen.begun[1] - seen.begun[0];
    // It was granted before it was sent.
    assert.ok(gap >= HEALTH.probe_ms / 2, `the second probe came after ${gap} ms`);
    assert.equal((await breaker()).state, "passing");
    caller.abort();
  });

  test("and that nobody calls is probed by the schedule, in an isolate that never had a request", async () => {
    await trip();
    openai(undefined);
    const scheduled = () => gateway.scheduled(Date.now(), `latchkey-${IDLE}`);
    await scheduled();
    assert.equal(seen.begun.length, 0, "not while it is blocked");
    await until(async () => {
      await scheduled();
      return (await breaker()).state === "passing";
    }, "it is back");
    assert.equal(seen.begun.length, 1);
    assert.equal(upstream.last().json.max_tokens, 16);
    await everywhere(async (isolate) => (await call(isolate, { model: TARGET })).status === 200, "all hear of it");
  });

  test("is passed over for another one", async () => {
    await trip();
    await everywhere(async (isolate) => {
      const asked = seen.begun.length;
      const { status, provider } = await call(isolate, { model: TARGET, models: [OTHER] });
      assert.equal(status, 200);
      assert.equal(provider, "mistral");
      return seen.begun.length === asked;
    }, "only the other one is asked");
  });
});

describe("a credential", () => {
  for (const status of [401, 402, 403]) {
    test(`that is refused with a ${status} is left alone by every isolate, and the provider's others are used`, async () => {
      const asked = { first: 0, others: 0 };
      upstream.behave((seen) => {
        if (!seen.path.startsWith("/openai")) return synthetic(seen);
        const isFirst = seen.headers.authorization === `Bearer ${SECRETS.OPENAI_API_KEY}`;
        asked[isFirst ? "first" : "others"] += 1;
        return isFirst ? json({ error: { message: "No.", type: "invalid_request_error", code: null } }, { status }) : synthetic(seen);
      });
      // An isolate may still be leaving it alone for what another test found out.
      await until(async () => {
        const { status, attempts } = await call(1, { model: TARGET });
        assert.equal(status, 200, "the caller notices nothing");
        return attempts === "2";
      }, "it is asked with");
      await everywhere(async (isolate) => {
        const before = asked.first;
        const { status, attempts } = await call(isolate, { model: TARGET });
        return status === 200 && attempts === "1" && asked.first === before;
      }, "nobody asks with it");
      const { json: health } = await gateway.admin("GET", "/admin/health");
      const states = health.regions.flatMap(({ targets }) => targets);
      assert.equal(states.find(({ target }) => target === `${TARGET}#1`)?.state, "blocking");
      assert.equal(states.find(({ target }) => target === TARGET)?.state ?? "passing", "passing", "the provider itself is well");
    });
  }
});

describe("an answer that came whole", () => {
  test("counts against its target when it says nothing", async () => {
    openai(json({ choices: [{ index: 0, message: { role: "assistant", content: "" }, finish_reason: "stop" }] }));
    await until(async () => {
      const { status } = await call(1, { model: TARGET });
      return status === 503;
    }, "five empty answers of ten block it");
    await until(async () => (await breaker()).state === "blocking", "the object knows");
    assert.equal((await breaker()).last_errors.at(-1).kind, "empty_answer");
  });

  test("counts against its target when its tool calls are no JSON", async () => {
    const call_of = { id: "t", type: "function", function: { name: "look", arguments: '{"place": "Par' } };
    openai(json({ choices: [{ index: 0, message: { role: "assistant", content: null, tool_calls: [call_of] }, finish_reason: "tool_calls" }] }));
    const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: { place: { type: "string" } } } } }];
    await until(async () => (await call(1, { model: TARGET, tools })).status === 503, "five such answers block it");
    await until(async () => (await breaker()).state === "blocking", "the object knows");
    assert.match((await breaker()).last_errors.at(-1).kind, /tool_call/);
    await everywhere(async (isolate) => (await call(isolate, { model: TARGET, tools })).status === 503, "and all isolates");
  });

  test("and leaves little of its provider's limit sends the next calls of all isolates elsewhere", async () => {
    const low = {
      "x-ratelimit-limit-requests": "1000",
      "x-ratelimit-remaining-requests": "3",
      "x-ratelimit-reset-requests": "1m0s",
    };
    const asked = { cave: 0, den: 0 };
    upstream.behave((request) => {
      const name = request.path.split("/")[1];
      if (!(name in asked)) return synthetic(request);
      asked[name] += 1;
      const answer = { choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }] };
      return json(answer, { headers: name === "cave" ? low : {} });
    });
    const body = { model: "llama-5", provider: { order: ["cave", "den"] } };
    assert.equal((await call(1, body)).provider, "cave");
    await everywhere(async (isolate) => (await call(isolate, body)).provider === "den", "it is spared");
    const before = asked.cave;
    for (let isolate = 1; isolate <= ISOLATES; isolate += 1) await call(isolate, body);
    assert.equal(asked.cave, before);
  });
});

describe("a call", () => {
  test("under a millisecond's deadline of the caller's says nothing of a slow target", async () => {
    openai(undefined, 50);
    for (let turn = 0; turn < 10; turn += 1) {
      const response = await gateway.fetch("/v1/chat/completions", {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-latchkey-timeout-ms": "1" },
        body: JSON.stringify({ model: TARGET, messages: [{ role: "user", content: "Hi" }] }),
      });
      assert.equal(response.status, 504, await response.text());
    }
    assert.equal((await call(1, { model: TARGET })).status, 200);
  });

  test("to what the sandbox stages is served elsewhere, and the next one goes there at once", async () => {
    const body = { model: "sandbox/status-503", models: ["sandbox/echo"] };
    const first = await call(1, body);
    assert.deepEqual([first.status, first.provider, first.attempts], [200, "sandbox", "4"]);
    const second = await call(1, body);
    assert.deepEqual([second.status, second.attempts], [200, "1"]);
    const { json: health } = await gateway.admin("GET", "/admin/health");
    const states = health.regions.flatMap(({ targets }) => targets).filter(({ target }) => target.startsWith("sandbox/"));
    assert.equal(states.find(({ target }) => target === "sandbox/status-503")?.state ?? "blocking", "blocking");
    assert.equal((await gateway.admin("POST", "/admin/health/reset", { target: "sandbox" })).status, 200);
  });
});

describe("a kill switch", () => {
  test("bites in every isolate within the age of a snapshot, and opens again", async () => {
    const closed = Date.now();
    const { status } = await gateway.admin("POST", "/admin/health/block", { target: "openai", reason: "leaking" });
    assert.equal(status, 200);
    openai(undefined);
    await everywhere(async (isolate) => (await call(isolate, { model: TARGET })).status === 503, "it is off");
    const took = Date.now() - closed;
    assert.ok(took < NEWS + 1_000, `it took ${took} ms`);
    const asked = seen.begun.length;
    for (let isolate = 1; isolate <= ISOLATES; isolate += 1) {
      assert.equal((await call(isolate, { model: TARGET, models: [OTHER] })).provider, "mistral");
    }
    assert.equal(seen.begun.length, asked);
    assert.match(await (await gateway.fetch("/health/providers")).text(), /"openai","name":"OpenAI","status":"off"/);
    const { json: audit } = await gateway.admin("GET", "/admin/audit?subject=openai");
    assert.deepEqual([audit.data[0].action, audit.data[0].after.reason], ["health.block", "leaking"]);
  });

  test("of one model leaves the provider's others alone", async () => {
    assert.equal((await gateway.admin("POST", "/admin/health/block", { target: TARGET })).status, 200);
    await until(async () => (await call(1, { model: TARGET })).status === 503, "it is off");
    assert.equal((await call(1, { model: "openai/gpt-4o" })).status, 200);
  });
});

describe("an object", () => {
  for (const [what, milliseconds] of [["200 ms late", 200], ["5 s late", 5_000], ["dead", Infinity]]) {
    test(`that is ${what} costs no call, and little time`, async () => {
      await gateway.trouble(milliseconds);
      const taken = [];
      const end = Date.now() + 3_000;
      while (Date.now() < end) {
        for (let isolate = 1; isolate <= 3; isolate += 1) {
          const { status, took } = await call(isolate, { model: TARGET });
          assert.equal(status, 200);
          taken.push(took);
        }
      }
      taken.sort((a, b) => a - b);
      const [middle, most] = [taken[taken.length >> 1], taken.at(-1)];
      assert.ok(most < HEALTH.patience_ms + 1_500, `the slowest of ${taken.length} calls took ${most.toFixed()} ms`);
      assert.ok(middle < HEALTH.patience_ms, `the usual one took ${middle.toFixed()} ms`);
    });
  }

  test("that is dead leaves each isolate its own breaker", async () => {
    await gateway.trouble(Infinity);
    openai(FAILED);
    await until(async () => {
      const asked = seen.begun.length;
      await call(4, { model: TARGET });
      return seen.begun.length === asked;
    }, "the isolate blocks it");
    openai(undefined);
    await until(async () => (await call(4, { model: TARGET })).status === 200, "and probes it by itself", 20_000);
  });
});

test("nobody but the operator reads or moves breakers", async () => {
  for (const [method, path] of [["GET", "/admin/health"], ["POST", "/admin/health/block"]]) {
    const response = await gateway.fetch(path, { method, headers: { authorization: `Bearer ${key}` } });
    assert.equal(response.status, 401);
  }
  const { text } = await gateway.admin("GET", "/admin/health");
  for (const secret of Object.values(SECRETS)) assert.ok(!text.includes(secret));
});

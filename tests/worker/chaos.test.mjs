// What a caller sees when providers fail in every way there is, what was tried, and what the circuit breaker made of it.
// Real HTTP to a fault-injecting upstream on localhost. The table is printed when all faults have been played.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FAULTS } from "./faults.mjs";
import { startGateway } from "./gateway.mjs";
import { chatEnd, chatEvents, chatStart, endless, event, json, silence, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const QUESTION = [{ role: "user", content: "Say hello" }];
const GOOD = "mistral/mistral-small-latest";
/** Short deadlines of the operator's own: a caller's would not count against a target. */
const LIMITS = {
  event_bytes: 65_536,
  answer_bytes: 400_000,
  deadlines: { connect_ms: 400, first_token_ms: 600, idle_ms: 500, total_ms: 5_000, commit_after_ms: 3_000 },
};
/** No repetitions on one target, so that each call tells one attempt from another. */
const FAILOVER = { same_target: 0, backoff_ms: 20 };

let upstream;
let gateway;
let key;
const table = [];

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream, {
    OPENAI_API_KEY_2: "sk-second-openai-key-for-tests",
    // Nobody listens on this port.
    DEEPSEEK_BASE_URL: "http://127.0.0.1:9/deepseek/v1",
  });
  await gateway.configure({ limits: LIMITS, failover: FAILOVER });
  ({ key } = await gateway.createKey());
});

beforeEach(() => upstream.forget());

after(async () => {
  if (table.length > 0) printTable();
  await gateway?.close();
  await upstream?.close();
});

/** Sends a call and reads everything, whatever becomes of it. */
async function ask(body, headers = {}) {
  const started = Date.now();
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-latchkey-explain": "true", ...headers },
    body: JSON.stringify({ messages: QUESTION, ...body }),
  });
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) text += decoder.decode(chunk, { stream: true });
  const objects = text.startsWith("data:") || text.startsWith(":") ? events(text) : [JSON.parse(text)];
  const told = objects.map(({ latchkey }) => latchkey).findLast((latchkey) => latchkey !== undefined);
  return {
    status: response.status,
    header: (name) => response.headers.get(name),
    text,
    said: objects.flatMap(({ choices }) => choices ?? []).map(({ delta, message }) => (delta ?? message)?.content ?? "").join(""),
    error: objects.map(({ error }) => error).find((error) => error !== undefined),
    attempts: told?.attempts ?? [],
    continued: told?.continued,
    usage: objects.findLast(({ usage }) => usage)?.usage,
    milliseconds: Date.now() - started,
  };
}

function events(text) {
  const data = text.split("\n\n").filter((event) => event.startsWith("data: ")).map((event) => event.slice(6));
  return data.filter((event) => event !== "[DONE]").map((event) => JSON.parse(event));
}

/** Plays a fault to everybody who asks for the model of its name. */
function play(faults) {
  upstream.behave((seen) => faults.find(({ name }) => seen.json?.model?.startsWith(name))?.reply);
}

describe("each fault", () => {
  for (const fault of FAULTS) {
    const provider = fault.provider ?? "openai";

    test(`${fault.name}: a stream with nowhere else to go ends truly`, async () => {
      play([fault]);
      const answer = await ask({ model: `${provider}/${fault.name}-alone`, stream: true });
      assert.equal(answer.status, fault.alone, answer.text.slice(0, 500));
      assert.ok(answer.error !== undefined, "an error is told");
      assert.ok(!answer.text.includes("data: [DONE]"), "nothing looks finished");
      assert.ok(answer.attempts.length >= 1 && answer.attempts.every(({ reason }) => reason !== "served"));
      if (fault.retryAfter !== undefined) assert.equal(answer.header("retry-after"), fault.retryAfter);
      assert.ok(answer.milliseconds < 4_000, `bounded: ${answer.milliseconds} ms`);
      row(fault, { alone: `${answer.status} ${answer.error.code}` });
    });

    test(`${fault.name}: a stream with another target ${fault.elsewhere ? "succeeds there" : "has begun already"}`, async () => {
      play([fault]);
      const answer = await ask({ models: [`${provider}/${fault.name}-else`, GOOD], stream: true });
      row(fault, { elsewhere: `${answer.status} ${answer.error?.code ?? "whole"}`, attempts: answer.attempts.map(shown).join(", ") });
      assert.equal(answer.status, 200, answer.text.slice(0, 500));
      if (!fault.elsewhere) {
        assert.ok(answer.error !== undefined && !answer.text.includes("data: [DONE]"));
        return;
      }
      assert.equal(answer.error, undefined, answer.text);
      assert.equal(answer.said, "Hello there");
      assert.ok(answer.text.trimEnd().endsWith("data: [DONE]"));
      assert.equal(answer.header("x-latchkey-model"), GOOD);
      assert.equal(answer.attempts.at(-1).target, GOOD);
      assert.equal(answer.header("x-latchkey-attempts"), String(answer.attempts.length));
    });

    if (!fault.elsewhere) {
      test(`${fault.name}: who asks for it has the stream ${fault.continues ? "continued" : "ended truly all the same"}`, async () => {
        play([fault, { name: "mistral-small", reply: stream(chatStart() + chatEvents(" and", " went", " on.") + chatEnd()) }]);
        const answer = await ask({ models: [`${provider}/${fault.name}-continue`, GOOD], stream: true, stream_options: { include_usage: true } }, { "x-latchkey-continue": "true" });
        row(fault, { continued: `${answer.status} ${answer.error?.code ?? "whole"}` });
        assert.equal(answer.status, 200);
        assert.equal(answer.text.includes("data: [DONE]"), fault.continues, answer.text.slice(-500));
        if (!fault.continues) return;
        assert.equal(answer.error, undefined);
        assert.equal(answer.said, "Hello and went on.");
        assert.equal(answer.continued, true);
        assert.deepEqual(answer.attempts.map(({ target }) => target), [`${provider}/${fault.name}-continue`, GOOD]);
        const { messages } = upstream.last().json;
        assert.equal(messages[1].content, "Hello", "the second target is told what was said");
        // Both are billed, each once.
        const cost = answer.attempts.map((attempt) => attempt.cost ?? 0).reduce((sum, each) => sum + each);
        assert.equal(answer.usage.completion_tokens, answer.attempts.reduce((sum, attempt) => sum + attempt.output_tokens, 0));
        assert.ok(cost > 0);
      });
    }

    test(`${fault.name}: the breaker`, async () => {
      play([fault]);
      const model = `${provider}/${fault.name}-again`;
      const asked = [];
      for (let call = 0; call < 4; call += 1) {
        const answer = await ask({ models: [model, GOOD], stream: true });
        asked.push(answer.attempts.filter(({ target }) => target === model).length);
      }
      const trips = asked.at(-1) === 0;
      row(fault, { breaker: trips ? `blocks after ${asked.filter((count) => count > 0).length}` : "passes" });
      assert.ok(trips, `three failures in a row block a target: ${asked}`);
    });

    if (!fault.plain) continue;
    test(`${fault.name}: a plain call with another target succeeds there`, async () => {
      play([fault]);
      const answer = await ask({ models: [`${provider}/${fault.name}-plain`, GOOD] });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.said, "Hello there");
      assert.ok(answer.attempts.length >= 2);
    });
  }
});

describe("a caller's own fault", () => {
  for (const status of [400, 413, 422]) {
    test(`status ${status} is tried nowhere else`, async () => {
      upstream.reply(json({ error: { message: "no", type: "invalid_request_error", code: null, param: null } }, { status }));
      const answer = await ask({ models: [`openai/caller-${status}`, GOOD] });
      assert.equal(answer.status, status);
      assert.equal(upstream.requests.length, 1);
    });
  }
});

describe("credentials", () => {
  test("are rotated, and a refused one is left alone", async () => {
    upstream.behave((seen) =>
      seen.json?.model === "rotated" && !seen.headers.authorization.includes("second") ? json({ error: { message: "no" } }, { status: 401 }) : undefined,
    );
    const first = await ask({ model: "openai/rotated" });
    assert.deepEqual(first.attempts.map(({ credential, reason }) => [credential, reason === "served"]), [[1, false], [2, true]]);
    const second = await ask({ model: "openai/rotated" });
    assert.deepEqual(second.attempts.map(({ credential }) => credential), [2]);
  });
});

describe("deadlines of the caller", () => {
  test("connect is kept for plain calls too", async () => {
    upstream.behave((seen) => (seen.json?.model === "mute" ? silence() : undefined));
    const answer = await ask({ models: ["openai/mute", GOOD] }, { "x-latchkey-connect-timeout-ms": "200" });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.milliseconds < 2_000, `${answer.milliseconds} ms`);
    assert.equal(answer.attempts[0].reason, "Timeout");
    const left = upstream.requests.find(({ json }) => json.model === "mute").left;
    assert.equal(await left, true, "the upstream is let go of");
  });

  test("total ends everything, and the error names it", async () => {
    upstream.behave(() => silence());
    const answer = await ask({ models: ["openai/mute-2", GOOD] }, { "x-latchkey-timeout-ms": "300" });
    assert.equal(answer.status, 504);
    assert.equal(answer.error.param, "total");
  });

  test("first token goes on while there are only pings, also once silence has begun the answer", async () => {
    upstream.reply(async (seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(event({ type: "message_start", message: { id: "msg_1", role: "assistant", content: [], model: "m" } }, "message_start"));
      let left = false;
      void seen.left.then(() => (left = true));
      await delay(LIMITS.deadlines.commit_after_ms + 200);
      while (!left) {
        response.write(event({ type: "ping" }, "ping"));
        await delay(100);
      }
    });
    const answer = await ask({ model: "anthropic/claude-sonnet-4-5", stream: true }, { "x-latchkey-first-token-timeout-ms": "4000" });
    assert.equal(answer.status, 200);
    assert.match(answer.error?.message ?? "", /`first_token`/, answer.text);
  });

  test("what else comes to a stream that passes natively is no first token either", async () => {
    await gateway.configure({ limits: LIMITS, failover: FAILOVER, lanes: { relay: true } });
    const role = { id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] };
    upstream.reply(async (seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": processing\n\n");
      let left = false;
      void seen.left.then(() => (left = true));
      await delay(LIMITS.deadlines.commit_after_ms + 200);
      response.write(event(role));
      while (!left) {
        response.write(": processing\n\n");
        await delay(100);
      }
    });
    const body = { model: "openai/gpt-4o", stream: true, stream_options: { include_usage: true } };
    // What is to be explained does not pass natively.
    const headers = { "x-latchkey-explain": "false", "x-latchkey-first-token-timeout-ms": "4000" };
    const answer = await ask(body, headers);
    await gateway.configure({ limits: LIMITS, failover: FAILOVER });
    assert.equal(answer.status, 200);
    assert.match(answer.error?.message ?? "", /`first_token`/, answer.text);
    assert.match(answer.text, /^: processing/);
  });
});

describe("load", () => {
  // On a busy machine a plain answer may take longer than the tests of deadlines let it.
  const patient = { ...LIMITS, deadlines: { ...LIMITS.deadlines, connect_ms: 4_000 } };
  before(() => gateway.configure({ limits: patient, failover: FAILOVER }));
  after(() => gateway.configure({ limits: LIMITS, failover: FAILOVER }));

  test("with one of two providers dead, no caller sees an error", async () => {
    const bodies = { models: ["openai/dead", GOOD] };
    upstream.behave((seen) => (seen.json?.model === "dead" ? json({ error: { message: "down" } }, { status: 503 }) : undefined));
    assert.deepEqual(await storm(2_000, 32, bodies), { 200: 2_000 });
    const asked = upstream.requests.filter(({ json }) => json.model === "dead").length;
    // What that costs in time is in outage.test.mjs.
    console.log(`one of two dead: ${asked} of 2000 calls reached it`);
    // 32 calls may be under way when the third failure comes; from then on there are only probes.
    assert.ok(asked <= 40, `${asked} requests to the dead provider`);
  });

  test("with two providers that fail 30 % each, 99 % of callers are served", async () => {
    await gateway.configure({ limits: LIMITS, failover: { same_target: 2, backoff_ms: 5 }, health: { failures_in_a_row: 1000, error_percent: 101 } });
    // Each provider fails by a fixed pattern, so that the test says the same each time.
    const counts = { ember: 0, flame: 0 };
    const fails = (model) => ((counts[model] += 1) * (model === "ember" ? 7 : 3)) % 10 < 3;
    upstream.behave((seen) => {
      const model = seen.json?.model;
      return model in counts && fails(model) ? json({ error: { message: "flaky" } }, { status: 500 }) : undefined;
    });
    const statuses = await storm(600, 16, { models: ["openai/ember", "mistral/flame"] });
    await gateway.configure({ limits: LIMITS, failover: FAILOVER });
    console.log(`two providers failing 30 % each: ${JSON.stringify(statuses)} with ${counts.ember + counts.flame} requests`);
    assert.ok((statuses[200] ?? 0) >= 594, JSON.stringify(statuses));
    assert.ok(counts.ember + counts.flame <= 600 * 1.7, "retries stay a share of traffic");
  });
});

describe("a second target beside a slow first", () => {
  const QUIET = ["slow-headers", "slow-first-token", "start-and-no-token"];

  before(() => gateway.configure({ limits: LIMITS, failover: { ...FAILOVER, hedge: { after_ms: 100, percent: 100 } } }));
  after(() => gateway.configure({ limits: LIMITS, failover: FAILOVER }));

  for (const fault of FAULTS) {
    const provider = fault.provider ?? "openai";
    const quiet = QUIET.includes(fault.name);

    test(`${fault.name}: ${quiet ? "the second answers, and the first is aborted" : "what the caller sees is the same"}`, async () => {
      play([fault]);
      const arrived = upstream.next();
      const answer = await ask({ models: [`${provider}/${fault.name}-hedge`, GOOD], stream: true });
      row(fault, { hedged: `${answer.status} ${answer.error?.code ?? "whole"}${quiet ? ", loser aborted" : ""}` });
      assert.equal(answer.status, 200, answer.text.slice(0, 500));
      assert.equal(answer.error === undefined, fault.elsewhere);
      if (fault.elsewhere) assert.equal(answer.said, "Hello there");
      if (!quiet) return;
      assert.deepEqual(answer.attempts.map(({ reason }) => reason), ["outpaced", "served"]);
      assert.ok(answer.attempts[0].cost === undefined || answer.attempts[0].cost > 0);
      assert.equal(upstream.requests.length, 2);
      const answered = Date.now();
      assert.equal(await (await arrived).left, true, "the loser's connection is closed");
      assert.ok(Date.now() - answered < 1_000);
    });
  }

  test("a plain call's slow target is overtaken too", async () => {
    play([{ name: "mute", reply: silence() }]);
    const arrived = upstream.next();
    const answer = await ask({ models: ["openai/mute", GOOD] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.header("x-latchkey-model"), GOOD);
    assert.equal(answer.header("x-latchkey-attempts"), "2");
    assert.equal(await (await arrived).left, true);
  });

  test("the first may still speak first, and then the second is aborted", async () => {
    const late = async (_, response) => {
      await upstream.asked("mistral-small-latest");
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(chatStart() + chatEvents("Late") + chatEnd());
    };
    play([{ name: "late", reply: late }, { name: "mistral-small", reply: silence() }]);
    const answer = await ask({ models: ["openai/late", GOOD], stream: true });
    assert.equal(answer.said, "Late");
    assert.deepEqual(answer.attempts.map(({ reason }) => reason).sort(), ["outpaced", "served"]);
    assert.equal(await upstream.last().left, true);
  });
});

describe("a stream that is slower than the operator wants", () => {
  before(() => gateway.configure({ limits: LIMITS, failover: { ...FAILOVER, throughput: { tokens_per_second: 100, within_ms: 300 } } }));
  after(() => gateway.configure({ limits: LIMITS, failover: FAILOVER }));

  /** A word now, and then one every tenth of a second. */
  const trickle = async (seen, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(chatStart());
    let left = false;
    void seen.left.then(() => (left = true));
    for (let words = 0; words < 30 && !left; words += 1) {
      response.write(chatEvents("hm "));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    response.end(chatEnd());
  };

  test("moves on before anything of it is told", async () => {
    play([{ name: "trickle", reply: trickle }]);
    const arrived = upstream.next();
    const answer = await ask({ models: ["openai/trickle", GOOD], stream: true });
    assert.deepEqual([answer.status, answer.said], [200, "Hello there"], answer.text);
    assert.deepEqual(answer.attempts.map(({ target }) => target), ["openai/trickle", GOOD]);
    assert.notEqual(answer.attempts[0].reason, "served");
    assert.equal(await (await arrived).left, true, "the slow one is let go of");
  });

  test("is taken as it is where there is no other", async () => {
    play([{ name: "trickle", reply: trickle }]);
    const answer = await ask({ model: "openai/trickle-alone", stream: true });
    assert.equal(answer.status, 200);
    assert.equal(answer.said, "hm ".repeat(30));
  });
});

describe("callers who leave", () => {
  for (const streamed of [false, true]) {
    test(`${streamed ? "a stream's" : "a plain call's"} upstream is aborted within a second`, async () => {
      const going = endless(chatStart() + chatEvents("once "), chatEvents("again "));
      upstream.behave(() => (streamed ? going : silence()));
      const arrived = upstream.next();
      const call = httpRequest(new URL("/v1/chat/completions", gateway.url), {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      });
      call.on("error", () => {});
      call.end(JSON.stringify({ model: `openai/left-${streamed}`, messages: QUESTION, stream: streamed }));
      const seen = await arrived;
      const left = Date.now();
      call.socket.resetAndDestroy();
      assert.equal(await seen.left, true);
      assert.ok(Date.now() - left < 1_000, `${Date.now() - left} ms`);
    });
  }
});

/** Calls at a fixed concurrency: statuses by count. */
async function storm(calls, concurrency, body) {
  const statuses = {};
  let started = 0;
  const worker = async () => {
    while (started < calls) {
      started += 1;
      const response = await gateway.fetch("/v1/chat/completions", {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ messages: QUESTION, ...body }),
      });
      await response.arrayBuffer();
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return statuses;
}

function shown({ target, credential, status, reason }) {
  return `${target.split("/")[0]}#${credential} ${status ?? "-"} ${reason}`;
}

function row(fault, facts) {
  const known = table.find(({ name }) => name === fault.name);
  if (known === undefined) table.push({ name: fault.name, ...facts });
  else Object.assign(known, facts);
}

function printTable() {
  const columns = ["name", "alone", "elsewhere", "continued", "hedged", "attempts", "breaker"];
  const titles = { name: "fault", alone: "caller, alone", elsewhere: "caller, with a fallback", continued: "caller, continued", hedged: "caller, hedged", attempts: "attempts", breaker: "breaker" };
  const lines = [titles, ...table].map((line) => columns.map((column) => line[column] ?? ""));
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at].length)));
  console.log(lines.map((line) => line.map((cell, at) => cell.padEnd(widths[at])).join("  ").trimEnd()).join("\n"));
}

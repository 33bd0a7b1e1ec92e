// What a caller sees when something goes wrong: the SDK's exception classes, errors inside streams, and who is let go of.

import assert from "node:assert/strict";
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { after, before, beforeEach, describe, test } from "node:test";
import OpenAI from "openai";
import { SECRETS, startGateway } from "./gateway.mjs";
import { chatEnd, chatEvents, cut, endless, event, headersOnly, json, page, silence, stall, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const QUESTION = [{ role: "user", content: "Say hello" }];
const OPENAI = "openai/gpt-4o-mini";
const ANTHROPIC = "anthropic/claude-sonnet-4-5";

let upstream;
let gateway;
let client;
let key;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  // One attempt a call: what follows a failure has tests of its own, in chaos.test.mjs.
  await gateway.configure({ failover: { enabled: false }, health: { enabled: false } });
  ({ key } = await gateway.createKey());
  client = gateway.client(key);
});

beforeEach(() => upstream.forget());

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

function ask(model, options = {}, headers = {}) {
  return client.chat.completions.create({ model, messages: QUESTION, ...options }, { headers });
}

describe("an upstream's refusal", () => {
  const openAiError = (message, code = null) => ({ error: { message, type: "invalid_request_error", param: null, code } });
  const anthropicError = (type, message) => ({ type: "error", error: { type, message } });
  const cases = [
    [OPENAI, 400, openAiError("bad temperature"), OpenAI.BadRequestError],
    [OPENAI, 404, openAiError("no such model", "model_not_found"), OpenAI.NotFoundError],
    [OPENAI, 429, openAiError("slow down", "rate_limit_exceeded"), OpenAI.RateLimitError],
    [ANTHROPIC, 400, anthropicError("invalid_request_error", "max_tokens: too large"), OpenAI.BadRequestError],
    [ANTHROPIC, 429, anthropicError("rate_limit_error", "slow down"), OpenAI.RateLimitError],
    [ANTHROPIC, 529, anthropicError("overloaded_error", "Overloaded"), OpenAI.InternalServerError],
    ["gemini/gemini-2.5-flash", 429, { error: { code: 429, message: "Quota", status: "RESOURCE_EXHAUSTED" } }, OpenAI.RateLimitError],
    ["gemini/gemini-2.5-flash", 400, { error: { code: 400, message: "bad", status: "INVALID_ARGUMENT" } }, OpenAI.BadRequestError],
  ];
  for (const [model, status, body, expected] of cases) {
    for (const streamed of [false, true]) {
      test(`${status} of ${model}, ${streamed ? "streamed" : "plain"}, is ${expected.name}`, async () => {
        upstream.reply(json(body, { status }));
        const error = await ask(model, { stream: streamed }).then(() => undefined, (error) => error);
        assert.ok(error instanceof expected, String(error));
        assert.equal(typeof error.error.message, "string");
        assert.equal(typeof error.type, "string");
        assert.equal(error.headers.get("content-type").split(";")[0], "application/json");
        assert.match(error.requestID, /\S/);
      });
    }
  }

  test("keeps retry-after", async () => {
    upstream.reply(json(openAiError("slow down"), { status: 429, headers: { "retry-after": "7" } }));
    const error = await ask(OPENAI).catch((error) => error);
    assert.equal(error.headers.get("retry-after"), "7");
  });

  test("of our provider key is not the caller's fault, and shows no key", async () => {
    const body = openAiError(`Incorrect API key provided: ${SECRETS.OPENAI_API_KEY}`, "invalid_api_key");
    upstream.reply(json(body, { status: 401 }));
    const error = await ask(OPENAI).catch((error) => error);
    assert.equal(error.status, 502);
    assert.equal(error.code, "upstream_credentials_exhausted");
    assert.ok(!JSON.stringify(error.error).includes(SECRETS.OPENAI_API_KEY));
  });

  test("as a page of HTML becomes a plain error", async () => {
    upstream.reply(page(502));
    const error = await ask(OPENAI).catch((error) => error);
    assert.ok(error.status >= 500);
    assert.ok(!error.message.includes("<html>"));
  });
});

describe("an answer that is none", () => {
  test("garbage under status 200 is an upstream error", async () => {
    upstream.reply(page(200, "certainly not JSON"));
    await assert.rejects(ask(OPENAI), { status: 502 });
    upstream.reply(page(200, "certainly not JSON"));
    await assert.rejects(ask(ANTHROPIC), { status: 502 });
  });

  test("a connection closed without an answer is an upstream error", async () => {
    upstream.reply((_, response) => response.destroy());
    await assert.rejects(ask(OPENAI), (error) => error.status === 502 || error.status === 504);
  });

  test("silence ends at the caller's deadline, which the error names", async () => {
    upstream.reply(silence());
    const error = await ask(OPENAI, {}, { "x-latchkey-timeout-ms": "300" }).catch((error) => error);
    assert.equal(error.status, 504);
    assert.equal(error.code, "deadline_exceeded");
  });

  test("silence after the headers of a stream ends at the deadline for the first token", async () => {
    upstream.reply(headersOnly());
    // The first of them leaves headers time also on a machine that is busy.
    const deadlines = { "x-latchkey-connect-timeout-ms": "3000", "x-latchkey-first-token-timeout-ms": "3500" };
    const error = await ask(OPENAI, { stream: true }, deadlines).catch((error) => error);
    assert.equal(error.status, 504);
    assert.equal(error.code, "deadline_exceeded");
    assert.match(error.message, /first_token/, "the headers came in time");
  });
});

describe("a stream that breaks", () => {
  for (const clean of [false, true]) {
    test(`off ${clean ? "quietly" : "abruptly"} ends in an error, never in [DONE]`, async () => {
      upstream.reply(cut(chatEvents("Hello", " there"), { clean }));
      const text = await raw(OPENAI);
      assert.match(text, /Hello/);
      assert.match(text, /"error"/);
      assert.ok(!text.includes("data: [DONE]"));

      upstream.reply(cut(chatEvents("Hello", " there"), { clean }));
      await assert.rejects(Array.fromAsync(await ask(OPENAI, { stream: true })), OpenAI.APIError);
    });
  }

  test("off inside a translated tool call ends in an error", async () => {
    const events = [
      { type: "message_start", message: { id: "msg_1", role: "assistant", model: "m", content: [], usage: { input_tokens: 9 } } },
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "toolu_1", name: "f", input: {} } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '{"city":"Os' } },
    ];
    upstream.reply(cut(events.map((data) => event(data, data.type)).join(""), { clean: true }));
    const text = await raw(ANTHROPIC);
    assert.match(text, /"error"/);
    assert.ok(!text.includes("data: [DONE]"));
    assert.ok(!text.includes('"tool_calls"}'), "an unfinished call has no finish reason");
  });

  test("with an error event before the first token is an error response", async () => {
    upstream.reply(stream(event({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, "error")));
    await assert.rejects(ask(ANTHROPIC, { stream: true }), (error) => error.status >= 500);
  });

  test("with an error event after the first token ends in an error event", async () => {
    const error = event({ error: { message: "The server had an error", type: "server_error", code: null, param: null } });
    upstream.reply(stream(chatEvents("Hello") + error));
    const text = await raw(OPENAI);
    assert.match(text, /Hello/);
    assert.match(text, /"error"/);
    assert.ok(!text.includes("data: [DONE]"));
  });

  test("with an event too large to be one ends in an error", async () => {
    upstream.reply(stream(`${chatEvents("Hello")}data: {"x":"${"y".repeat(17 * 1024 * 1024)}"}\n\n${chatEnd()}`));
    const text = await raw(OPENAI);
    assert.match(text, /"error"/);
    assert.ok(!text.includes("data: [DONE]"));
  });

  test("off for too long ends at the idle deadline", async () => {
    upstream.reply(stall(chatEvents("Hello")));
    const began = Date.now();
    const text = await raw(OPENAI, { "x-latchkey-idle-timeout-ms": "300" });
    assert.ok(Date.now() - began < 5_000, "long before anything else that is waited for");
    assert.match(text, /Hello/);
    assert.match(text, /deadline_exceeded/);
    assert.ok(!text.includes("data: [DONE]"));
    assert.equal(await upstream.last().left, true);
  });
});

describe("a caller who leaves", () => {
  test("before the answer lets go of the upstream", async () => {
    upstream.reply(silence());
    const arrived = upstream.next();
    const call = request(new URL("/v1/chat/completions", gateway.url), {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    });
    call.on("error", () => {});
    call.end(JSON.stringify({ model: OPENAI, messages: QUESTION }));
    const seen = await arrived;
    // workerd takes a connection that is merely closed for one whose caller still listens.
    call.socket.resetAndDestroy();
    assert.equal(await seen.left, true);
  });

  const delta = { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "again " } };
  const message = { id: "msg_1", role: "assistant", model: "m", content: [], usage: { input_tokens: 9 } };
  const block = { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } };
  const endlessly = {
    [OPENAI]: endless(chatEvents("once "), chatEvents("again ")),
    [ANTHROPIC]: endless(
      event({ type: "message_start", message }, "message_start") + event(block, block.type),
      event(delta, delta.type),
    ),
  };
  for (const [model, reply] of Object.entries(endlessly)) {
    test(`in the middle of a stream of ${model} lets go of the upstream`, async () => {
      upstream.reply(reply);
      let read = 0;
      for await (const _ of await ask(model, { stream: true })) if (++read === 20) break;
      assert.equal(await upstream.last().left, true);
    });
  }
});

describe("the gateway's own refusals", () => {
  test("a wrong key is an AuthenticationError", async () => {
    const call = gateway.client("lk-wrong").chat.completions.create({ model: OPENAI, messages: QUESTION });
    await assert.rejects(call, (error) => error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key");
    assert.equal(upstream.requests.length, 0);
  });

  test("the admin key is no gateway key", async () => {
    const call = gateway.client(SECRETS.ADMIN_KEY).chat.completions.create({ model: OPENAI, messages: QUESTION });
    await assert.rejects(call, OpenAI.AuthenticationError);
  });

  test("an unknown model is a NotFoundError that names near ones", async () => {
    const error = await ask("gpt-4o-mimi").catch((error) => error);
    assert.ok(error instanceof OpenAI.NotFoundError, String(error));
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /gpt-4o-mini/);
  });

  test("a bad request is a BadRequestError that names the parameter", async () => {
    const error = await ask(ANTHROPIC, { messages: "not a list" }).catch((error) => error);
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
    assert.match(JSON.stringify(error.error), /messages/);
  });
});

describe("a plain answer that breaks off", () => {
  const rowsOf = async (requestId) => {
    const database = await gateway.miniflare.getD1Database("DB", gateway.name);
    for (const until = Date.now() + 20_000; Date.now() < until; await delay(200)) {
      const found = await database.prepare("SELECT state, cost_nano FROM calls WHERE request_id = ? ORDER BY seq").bind(requestId).all();
      if (found.results.length > 0) return found.results;
    }
    throw new Error("its record does not come");
  };
  for (const [how, headers] of [["with less than it promised", { "content-length": "5000" }], ["in its chunks", {}]]) {
    test(`${how} is an error, and what the provider may bill for it is in the record`, async () => {
      upstream.reply(async (_, response) => {
        response.writeHead(200, { "content-type": "application/json", ...headers });
        response.write('{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Well');
        await delay(50);
        response.destroy();
      });
      const error = await ask(OPENAI).catch((error) => error);
      assert.equal(error.status, 502, String(error));
      const [call, attempt, ...more] = await rowsOf(error.headers.get("x-request-id"));
      assert.deepEqual([call.state, call.cost_nano, attempt?.state, more], ["released", null, "settled_estimate", []]);
      assert.ok(attempt.cost_nano > 0);
    });
  }
});

describe("an answer that grows when it is unpacked", () => {
  /** A few kilobytes that become 40 megabytes, more than an answer may have. */
  const packed = (status) => (_, response) => {
    const bytes = gzipSync(Buffer.concat([Buffer.from('{"choices":[]'), Buffer.alloc(40 << 20, " "), Buffer.from("}")]));
    response.writeHead(status, { "content-type": "application/json", "content-encoding": "gzip", "content-length": String(bytes.length) });
    response.end(bytes);
  };
  for (const [status, stream] of [[200, false], [200, true], [400, true]]) {
    test(`is read no further than answers may be long: ${status}, ${stream ? "streamed" : "plain"}`, async () => {
      upstream.reply(packed(status));
      const { error, status: told } = await ask(OPENAI, { stream }).then(() => ({}), (error) => error);
      assert.equal(told, status === 200 ? 413 : 502, JSON.stringify(error));
      assert.match(error.message, status === 200 ? /limit `answer_bytes`/ : /connection to the provider/);
    });
  }
});

/** The bytes of a streamed answer as they came, also where the connection breaks. */
async function raw(model, headers = {}) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, messages: QUESTION, stream: true }),
  });
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body) text += decoder.decode(chunk, { stream: true });
  } catch (error) {
    text += `\n(connection broken: ${error.message})`;
  }
  return text;
}

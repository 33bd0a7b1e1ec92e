// Streams that die and go on elsewhere, as the official clients of Responses, Converse and Cohere's Chat read them: each
// provider's own recording is cut, and another's stream goes on with words that overlap and words that are new.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { BedrockRuntimeClient, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { CohereClientV2 } from "cohere-ai";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { chatEnd, chatEvents, chatStart, json, silence, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const QUESTION = "What should I do next?";
const FALLBACK = "mistral/mistral-small-latest";
const FALLBACKS = {
  "openai/gpt-5": [FALLBACK],
  "bedrock/amazon.nova-lite-v1:0": [FALLBACK],
  "cohere/command-a-03-2025": [FALLBACK],
};

let upstream;
let gateway;
let key;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream, {
    BEDROCK_API_KEY: "bedrock-key-for-tests-7a8b9c0d1e2f",
    BEDROCK_BASE_URL: `${upstream.url}/bedrock`,
    COHERE_API_KEY: "cohere-key-for-tests-6f7a8b9c0d1e",
    COHERE_BASE_URL: `${upstream.url}/cohere`,
  });
  await gateway.configure({ fallbacks: FALLBACKS, failover: { continue: true, same_target: 0, backoff_ms: 20 } });
  ({ key } = await gateway.createKey());
});

beforeEach(() => upstream.forget());

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** The recording is sent up to `cut` of its bytes; then the fallback goes on with `text`. */
function dies(id, cut, text) {
  const { response } = recordings(id.split(".")[0]).find((recording) => recording.id === id);
  const bytes = Buffer.from(response.body, response.encoding ?? "utf8");
  const begin = (_, answer) => {
    answer.writeHead(200, response.headers);
    answer.write(bytes.subarray(0, Math.floor(bytes.length * cut)), () => answer.destroy());
  };
  upstream.behave((seen) => (seen.path.includes("/mistral/") ? stream(chatStart() + chatEvents(...text(seen)) + chatEnd()) : begin));
}

/** Words that were said already, and then the rest of what the recording says. */
const overlapping = (whole) => (seen) => {
  const said = seen.json.messages[1].content;
  assert.ok(said.length > 20 && whole.startsWith(said), said);
  return [whole.slice(said.length - 15, said.length + 5), whole.slice(said.length + 5)];
};


function assertFacts(latchkey, first) {
  assert.equal(latchkey.continued, true);
  assert.deepEqual(latchkey.attempts.map(({ target }) => target), [first, FALLBACK]);
  return latchkey.attempts.reduce((sum, { output_tokens: tokens }) => sum + tokens, 0);
}

describe("a stream that dies under a caller of", () => {
  test("Responses has one beginning, one end, and numbers without a gap", async () => {
    const id = "openai.responses-stream.d1b433092b";
    const body = recordings("openai").find((recording) => recording.id === id).response.body;
    const told = body.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
    const whole = told.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta).join("");
    dies(id, 0.7, overlapping(whole));
    const events = await Array.fromAsync(await gateway.client(key).responses.create({ model: "openai/gpt-5", input: QUESTION, stream: true }));
    assert.deepEqual(events.map(({ sequence_number: number }) => number), events.map((_, index) => index));
    for (const once of ["response.created", "response.completed", "response.output_text.done"]) {
      assert.equal(events.filter(({ type }) => type === once).length, 1, once);
    }
    assert.equal(events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta).join(""), whole);
    const { response } = events.at(-1);
    assert.equal(response.id, events[0].response.id);
    const done = events.filter(({ type }) => type === "response.output_item.done");
    assert.deepEqual(done.map(({ output_index: index }) => index), response.output.map((_, index) => index));
    assert.deepEqual(done.map(({ item }) => item), response.output);
    assert.equal(response.output.at(-1).content[0].text, whole);
    assert.equal(response.usage.output_tokens, assertFacts(response.latchkey, "openai/gpt-5"));

    // The SDK puts the same together.
    dies(id, 0.7, overlapping(whole));
    const put = await gateway.client(key).responses.stream({ model: "openai/gpt-5", input: QUESTION }).finalResponse();
    assert.equal(put.output_text, whole);
  });

  test("Converse has one beginning, one end, and its block goes on", async () => {
    const client = new BedrockRuntimeClient({
      region: "us-east-1",
      endpoint: gateway.url,
      token: { token: key },
      authSchemePreference: ["httpBearerAuth"],
      maxAttempts: 1,
      requestHandler: new NodeHttpHandler(),
    });
    const read = async () => {
      const messages = [{ role: "user", content: [{ text: QUESTION }] }];
      const { stream: events } = await client.send(new ConverseStreamCommand({ modelId: "bedrock/amazon.nova-lite-v1:0", messages }));
      return Array.fromAsync(events);
    };
    const said = (events) => events.map(({ contentBlockDelta: delta }) => delta?.delta.text ?? "").join("");
    const id = "bedrock.cache-stream.a6073f8780";
    const { response } = recordings("bedrock").find((recording) => recording.id === id);
    upstream.behave(() => (_, answer) => answer.writeHead(200, response.headers).end(Buffer.from(response.body, "base64")));
    const whole = said(await read());
    assert.ok(whole.length > 200);
    dies(id, 0.5, overlapping(whole));
    const events = await read();
    assert.equal(said(events), whole);
    for (const once of ["messageStart", "contentBlockStop", "messageStop", "metadata"]) {
      assert.equal(events.filter((event) => event[once]).length, 1, once);
    }
    assert.equal(events.at(-2).messageStop.stopReason, "end_turn");
    assert.ok(events.at(-1).metadata.usage.outputTokens > 20);
  });

  test("Cohere's Chat has one beginning, one end, and its content goes on", async () => {
    const client = new CohereClientV2({ environment: gateway.url, token: key, maxRetries: 0 });
    const whole = "The current weather in Paris is 15°C with winds of 10 km/h.";
    const ask = { model: "cohere/command-a-03-2025", messages: [{ role: "user", content: QUESTION }] };
    dies("cohere.tools-stream.f94689d192", 0.6, overlapping(whole));
    const events = await Array.fromAsync(await client.chatStream(ask));
    assert.equal(events.map(({ type, delta }) => (type === "content-delta" ? delta.message.content.text : "")).join(""), whole);
    for (const once of ["message-start", "content-start", "content-end", "message-end"]) {
      assert.equal(events.filter(({ type }) => type === once).length, 1, once);
    }
    // What the SDK has no name for stands in the bytes.
    dies("cohere.tools-stream.f94689d192", 0.6, overlapping(whole));
    const answer = await gateway.fetch("/v2/chat", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ ...ask, stream: true }),
    });
    const data = (await answer.text()).split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
    const { delta, latchkey } = data.at(-1);
    assert.equal(delta.usage.tokens.output_tokens, assertFacts(latchkey, "cohere/command-a-03-2025"));
  });
});

describe("connect_ms that the operator chose", () => {
  const hung = (seen) => (seen.json?.model?.startsWith("mute") ? silence() : json(ANSWER));
  const ANSWER = { id: "1", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1 } };

  async function ask(body, bearer) {
    const started = Date.now();
    const answer = await gateway.fetch("/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json", "x-latchkey-explain": "true" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }], ...body }),
    });
    const { latchkey } = await answer.json();
    assert.equal(answer.status, 200);
    assert.equal(latchkey.attempts[0].reason, "Timeout");
    return Date.now() - started;
  }

  test("holds for plain calls: the gateway's, the alias's, the key's", async () => {
    const deadlines = { connect_ms: 900 };
    const aliases = { quick: { candidates: ["openai/mute-alias", FALLBACK], deadlines: { connect_ms: 500 } } };
    await gateway.configure({ limits: { deadlines }, aliases, failover: { same_target: 0, backoff_ms: 20 } });
    const { key: hasty } = await gateway.createKey({ deadlines: { connect_ms: 200 } });
    upstream.behave(hung);
    const took = [
      await ask({ models: ["openai/mute-gateway", FALLBACK] }, key),
      await ask({ model: "quick" }, key),
      await ask({ models: ["openai/mute-key", FALLBACK] }, hasty),
    ];
    for (const [index, least] of [900, 500, 200].entries()) {
      assert.ok(took[index] >= least && took[index] < least + 700, `${took} ms`);
    }
  });
});

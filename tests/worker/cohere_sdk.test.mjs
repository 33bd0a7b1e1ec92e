// Cohere's Chat as what callers speak, driven by Cohere's own SDK. Upstreams of two protocols answer with recordings.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CohereClientV2 } from "cohere-ai";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { startUpstream } from "./upstream.mjs";

const MESSAGES = [{ role: "user", content: "hi" }];
const TOOLS = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } }];

describe("cohere's SDK", () => {
  let upstream;
  let gateway;
  let client;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(upstream, {
      COHERE_API_KEY: "cohere-key-for-tests-6f7a8b9c0d1e",
      COHERE_BASE_URL: `${upstream.url}/cohere`,
    });
    const { key } = await gateway.createKey();
    client = new CohereClientV2({ environment: gateway.url, token: key, maxRetries: 0 });
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  async function streamed(model) {
    const answer = { text: "", thoughts: "", calls: [], finish: undefined, tokens: undefined };
    for await (const event of await client.chatStream({ model, messages: MESSAGES, tools: TOOLS })) {
      const { message, finishReason, usage } = event.delta ?? {};
      answer.text += message?.content?.text ?? "";
      answer.thoughts += message?.content?.thinking ?? "";
      if (event.type === "tool-call-start") answer.calls.push({ name: message.toolCalls.function.name, arguments: "" });
      if (event.type === "tool-call-delta") answer.calls.at(-1).arguments += message.toolCalls.function.arguments;
      answer.finish = finishReason ?? answer.finish;
      answer.tokens = usage?.tokens ?? answer.tokens;
    }
    return answer;
  }

  test("of Cohere: an answer and a stream pass as they came", async () => {
    upstream.reply(replay("cohere.tools.eec88626f2"));
    const answer = await client.chat({ model: "cohere/command-a-03-2025", messages: MESSAGES, documents: ["A document."] });
    assert.deepEqual(answer.message.toolCalls.map(({ function: { name } }) => name), Array(3).fill("dice_roll"));
    assert.equal(answer.message.toolPlan, "I will roll the dice three times.");
    assert.deepEqual(upstream.last().json.documents, ["A document."]);
    upstream.reply(replay("cohere.thinking-stream.5c8eed34d5"));
    const stream = await streamed("cohere/command-a-plus-05-2026");
    assert.match(stream.text, /Yukihiro Matsumoto/);
    assert.match(stream.thoughts, /^The document clearly states/);
    assert.equal(stream.finish, "COMPLETE");
    assert.deepEqual([stream.tokens.inputTokens, stream.tokens.outputTokens], [508, 86]);
  });

  test("of Chat Completions: a stream with calls", async () => {
    upstream.reply(replay("openai.tools-stream.a773dd1c43"));
    const answer = await streamed("openai/gpt-4o");
    assert.ok(answer.calls.length > 0);
    for (const call of answer.calls) assert.equal(typeof JSON.parse(call.arguments), "object");
    assert.equal(answer.finish, "TOOL_CALL");
    assert.ok(answer.tokens.inputTokens > 0);
    assert.equal(upstream.last().json.tools[0].function.name, "get_weather");
  });

  test("documents for another provider's model are refused, not left out", async () => {
    const asked = client.chat({ model: "openai/gpt-4o", messages: MESSAGES, documents: ["A document."] });
    await assert.rejects(asked, ({ statusCode, body }) => statusCode === 400 && body.param === "documents");
  });
});

/** Answers with a recording. */
function replay(id) {
  const { response } = recordings(id.split(".")[0]).find((recording) => recording.id === id);
  return (_, answer) => {
    answer.writeHead(response.status, response.headers);
    answer.end(response.body);
  };
}

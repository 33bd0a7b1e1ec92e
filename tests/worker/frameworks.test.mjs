// Frameworks in front of the gateway, as their users set them up: the Vercel AI SDK and LangChain, where npm has them.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { npmPackages, skipped } from "./installed.mjs";
import { json } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const VERCEL = { ai: "7.0.173", "@ai-sdk/openai": "4.0.118", "@ai-sdk/openai-compatible": "3.0.92", "@ai-sdk/anthropic": "4.0.105", zod: "4.6.7" };
const LANGCHAIN = { "@langchain/core": "1.4.0", "@langchain/openai": "1.6.0", "@langchain/anthropic": "1.5.11", zod: "4.6.7" };
const MODELS = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"];

let upstream;
let gateway;
let key;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  ({ key } = await gateway.createKey());
});

afterEach(() => {
  assert.equal(upstream.unused(), 0);
  upstream.forget();
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

describe("the Vercel AI SDK", async () => {
  const load = await npmPackages("vercel", VERCEL);
  if (load instanceof Error) {
    test("the Vercel AI SDK", (context) => context.skip(skipped(load)));
    return;
  }
  const [{ generateObject, generateText, stepCountIs, streamText, tool }, { z }] = await Promise.all([load("ai"), load("zod")]);
  const [{ createOpenAI }, { createOpenAICompatible }, { createAnthropic }] = await Promise.all(
    ["@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic"].map(load),
  );
  const providers = {
    "@ai-sdk/openai-compatible": () => createOpenAICompatible({ name: "latchkey", baseURL: `${gateway.url}/v1`, apiKey: key, includeUsage: true }),
    "@ai-sdk/openai, Responses": () => createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key }),
    "@ai-sdk/openai, Chat Completions": () => createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key }).chat,
    "@ai-sdk/anthropic": () => createAnthropic({ baseURL: `${gateway.url}/v1`, apiKey: key }),
  };

  for (const [name, provider] of Object.entries(providers)) {
    // OpenAI's own models are asked over Responses by who speaks it, which the fake provider does not.
    for (const model of MODELS.slice(name.endsWith("Responses") ? 1 : 0)) {
      test(`${name} and ${model}`, async () => {
        const { text, usage, finishReason } = await generateText({ model: provider()(model), prompt: "Say hello", maxRetries: 0 });
        assert.deepEqual([text, finishReason, usage.totalTokens], ["Hello there", "stop", 11]);
        const streamed = streamText({ model: provider()(model), prompt: "Say hello", maxRetries: 0 });
        let said = "";
        for await (const piece of streamed.textStream) said += piece;
        assert.deepEqual([said, await streamed.finishReason, (await streamed.usage).totalTokens], ["Hello there", "stop", 11]);
      });
    }

    test(`${name} runs a tool, and goes on with what it gave`, async () => {
      const asked = [];
      const get_city = tool({
        description: "The city of a country",
        inputSchema: z.object({ country: z.string() }),
        execute: ({ country }) => void asked.push(country) ?? "Paris",
      });
      upstream.reply(callsTool());
      const options = { model: provider()(MODELS[1]), prompt: "Where am I?", tools: { get_city }, stopWhen: stepCountIs(3), maxRetries: 0 };
      const { text } = await generateText(options);
      assert.deepEqual([asked, text], [["France"], "Hello there"]);
      const [result] = upstream.last().json.messages.at(-1).content;
      assert.deepEqual([result.type, result.tool_use_id], ["tool_result", "toolu_1"]);
    });
  }

  test("@ai-sdk/openai, Responses, sends what was said before where it is told that nothing is stored", async () => {
    const model = createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key })(MODELS[1]);
    const options = { model, maxRetries: 0, providerOptions: { openai: { store: false } } };
    const asked = { role: "user", content: "Say hello" };
    const { response } = await generateText({ ...options, messages: [asked] });
    const messages = [asked, ...response.messages, asked];
    assert.equal((await generateText({ ...options, messages })).text, "Hello there");
    assert.deepEqual(upstream.last().json.messages.map(({ role }) => role), ["user", "assistant", "user"]);
    await assert.rejects(generateText({ ...options, providerOptions: {}, messages }), /`store: false`/);
  });

  test("@ai-sdk/openai, Responses, points at what was said before where it is stored", async () => {
    const stores = await gateway.createKey({ store_responses: { days: 1 } });
    const options = { model: createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: stores.key })(MODELS[1]), maxRetries: 0 };
    const asked = { role: "user", content: "Say hello" };
    const { response } = await generateText({ ...options, messages: [asked] });
    const streamed = streamText({ ...options, messages: [asked, ...response.messages, asked] });
    assert.equal(await streamed.text, "Hello there");
    assert.deepEqual(upstream.last().json.messages.map(({ role, content }) => [role, content[0].text ?? content]), [
      ["user", "Say hello"],
      ["assistant", "Hello there"],
      ["user", "Say hello"],
    ]);
  });

  test("an object in a schema", async () => {
    upstream.reply(json({ ...CHAT, choices: [{ index: 0, message: { role: "assistant", content: '{"name":"Paris"}' }, finish_reason: "stop" }] }));
    const model = createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key }).chat(MODELS[0]);
    const { object } = await generateObject({ model, prompt: "Which city?", schema: z.object({ name: z.string() }), maxRetries: 0 });
    assert.deepEqual(object, { name: "Paris" });
    assert.equal(upstream.last().json.response_format.type, "json_schema");
  });
});

describe("LangChain", async () => {
  const load = await npmPackages("langchain", LANGCHAIN);
  if (load instanceof Error) {
    test("LangChain", (context) => context.skip(skipped(load)));
    return;
  }
  const [{ ChatOpenAI }, { ChatAnthropic }, { tool }, { HumanMessage, ToolMessage }, { z }] = await Promise.all(
    ["@langchain/openai", "@langchain/anthropic", "@langchain/core/tools", "@langchain/core/messages", "zod"].map(load),
  );
  const models = {
    ChatOpenAI: (model) => new ChatOpenAI({ model, apiKey: key, maxRetries: 0, configuration: { baseURL: `${gateway.url}/v1` } }),
    ChatAnthropic: (model) => new ChatAnthropic({ model, apiKey: key, maxRetries: 0, anthropicApiUrl: gateway.url }),
  };

  for (const [name, make] of Object.entries(models)) {
    for (const model of MODELS) {
      test(`${name} and ${model}`, async () => {
        const answer = await make(model).invoke("Say hello");
        assert.deepEqual([answer.text, answer.usage_metadata.total_tokens], ["Hello there", 11]);
        let said = "";
        for await (const chunk of await make(model).stream("Say hello")) said += chunk.text;
        assert.equal(said, "Hello there");
      });
    }

    test(`${name} binds tools and sends their results back`, async () => {
      const get_city = tool(({ country }) => `Paris of ${country}`, { name: "get_city", description: "The city of a country", schema: z.object({ country: z.string() }) });
      const model = make(MODELS[1]).bindTools([get_city]);
      upstream.reply(callsTool());
      const messages = [new HumanMessage("Where am I?")];
      const first = await model.invoke(messages);
      const [call] = first.tool_calls;
      assert.deepEqual([call.name, call.args], ["get_city", { country: "France" }]);
      const result = new ToolMessage({ content: await get_city.invoke(call.args), tool_call_id: call.id });
      const second = await model.invoke([...messages, first, result]);
      assert.equal(second.text, "Hello there");
      const [sent] = upstream.last().json.messages.at(-1).content;
      assert.deepEqual([sent.type, sent.tool_use_id], ["tool_result", "toolu_1"]);
    });
  }
});

const CHAT = { id: "chatcmpl-1", object: "chat.completion", created: 1_790_000_000, model: "gpt-4o-mini", usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } };

/** An answer of Anthropic's in which a tool is called. */
function callsTool() {
  const content = [{ type: "tool_use", id: "toolu_1", name: "get_city", input: { country: "France" } }];
  const usage = { input_tokens: 9, output_tokens: 2 };
  return json({ id: "msg_1", type: "message", role: "assistant", model: "claude", content, stop_reason: "tool_use", stop_sequence: null, usage });
}

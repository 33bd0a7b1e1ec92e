// Official clients and frameworks, each through the API that it was made for, in front of models of another protocol: what
// they parse, stream, call and refuse is what their own documentation promises.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { ApiError, GoogleGenAI, Type } from "@google/genai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startGateway } from "./gateway.mjs";
import { chatEnd, chatStart, event, json, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const MODELS = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "mistral/mistral-small-latest"];
const CITY = z.object({ name: z.string(), population: z.number() });
const PARIS = { name: "Paris", population: 2_100_000 };

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

describe("OpenAI's SDK on Responses", () => {
  const client = () => gateway.client(key);

  beforeEach(() => upstream.behave((seen) => (seen.path.endsWith("/responses") ? responses(seen) : undefined)));

  for (const model of MODELS) {
    test(`creates and streams with ${model}`, async () => {
      const answer = await client().responses.create({ model, input: "Say hello", instructions: "Be short." });
      assert.equal(answer.output_text, "Hello there");
      assert.equal(answer.status, "completed");
      assert.equal(answer.usage.total_tokens, 11);
      const streamed = client().responses.stream({ model, input: "Say hello" });
      const seen = [];
      let said = "";
      streamed.on("response.output_text.delta", ({ delta }) => (said += delta));
      streamed.on("event", ({ type, sequence_number }) => seen.push([type, sequence_number]));
      const final = await streamed.finalResponse();
      assert.equal(said, "Hello there");
      assert.equal(final.output_text, "Hello there");
      assert.deepEqual(seen.map(([, number]) => number), seen.map((_, index) => index));
      assert.equal(seen[0][0], "response.created");
      assert.equal(seen.at(-1)[0], "response.completed");
    });
  }

  test("parses structured output", async () => {
    upstream.reply(chat({ content: JSON.stringify(PARIS) }));
    const text = { format: zodTextFormat(CITY, "city") };
    const { output_parsed } = await client().responses.parse({ model: MODELS[3], input: "Which city?", text });
    assert.deepEqual(output_parsed, PARIS);
    assert.equal(upstream.last().json.response_format.json_schema.name, "city");
  });

  test("calls a function and takes its result", async () => {
    const tools = [{ type: "function", name: "get_city", parameters: { type: "object", properties: { country: { type: "string" } } }, strict: false }];
    upstream.reply(claude({ type: "tool_use", id: "toolu_1", name: "get_city", input: { country: "France" } }));
    const input = [{ role: "user", content: "Where am I?" }];
    const first = await client().responses.create({ model: MODELS[1], input, tools });
    const call = first.output.find(({ type }) => type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), { country: "France" });
    input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "Paris" });
    const second = await client().responses.create({ model: MODELS[1], input, tools });
    assert.equal(second.output_text, "Hello there");
    const [result] = upstream.last().json.messages.at(-1).content;
    assert.deepEqual([result.type, result.tool_use_id], ["tool_result", "toolu_1"]);
  });
});

describe("Anthropic's SDK on Messages", () => {
  const client = () => new Anthropic({ baseURL: gateway.url, apiKey: key, maxRetries: 0 });
  const messages = [{ role: "user", content: "Say hello" }];

  for (const model of MODELS) {
    test(`creates, streams and counts with ${model}`, async () => {
      const answer = await client().messages.create({ model, max_tokens: 100, messages });
      assert.deepEqual(answer.content.map(({ type, text }) => [type, text]), [["text", "Hello there"]]);
      assert.equal(answer.stop_reason, "end_turn");
      const streamed = client().messages.stream({ model, max_tokens: 100, messages });
      let said = "";
      streamed.on("text", (text) => (said += text));
      const final = await streamed.finalMessage();
      assert.equal(said, "Hello there");
      assert.deepEqual([final.stop_reason, final.usage.input_tokens, final.usage.output_tokens], ["end_turn", 9, 2]);
    });
  }

  test("runs tools until there is an answer", async () => {
    const asked = [];
    const tool = betaZodTool({
      name: "get_city",
      description: "The city of a country",
      inputSchema: z.object({ country: z.string() }),
      run: ({ country }) => void asked.push(country) ?? "Paris",
    });
    upstream.reply(chat({ tool_calls: [{ id: "call_1", type: "function", function: { name: "get_city", arguments: '{"country":"France"}' } }] }));
    const final = await client().beta.messages.toolRunner({ model: MODELS[0], max_tokens: 100, messages, tools: [tool] });
    assert.deepEqual(asked, ["France"]);
    assert.equal(final.content[0].text, "Hello there");
    // The whole conversation, though the runner would rather have it kept by the provider.
    const sent = upstream.last().json.messages;
    assert.deepEqual(sent.map(({ role }) => role), ["user", "assistant", "tool"]);
    const result = sent.at(-1);
    assert.deepEqual([result.role, result.tool_call_id, result.content], ["tool", "call_1", "Paris"]);
  });

  test("streams a tool's input as it comes", async () => {
    const piece = (tool_calls) => event({ choices: [{ index: 0, delta: { tool_calls }, finish_reason: null }] });
    const begin = piece([{ index: 0, id: "call_1", type: "function", function: { name: "get_city", arguments: "" } }]);
    const rest = ['{"coun', 'try":"France"}'].map((text) => piece([{ index: 0, function: { arguments: text } }]));
    upstream.reply(stream([chatStart(), begin, ...rest, chatEnd({ finish: "tool_calls" })].join("")));
    const tools = [{ name: "get_city", input_schema: { type: "object", properties: { country: { type: "string" } } } }];
    const streamed = client().messages.stream({ model: MODELS[0], max_tokens: 100, messages, tools });
    const pieces = [];
    streamed.on("inputJson", (part) => pieces.push(part));
    const final = await streamed.finalMessage();
    assert.equal(pieces.join(""), '{"country":"France"}');
    assert.equal(final.stop_reason, "tool_use");
    assert.deepEqual(final.content.at(-1).input, { country: "France" });
  });

  test("reads models and errors as its own", async () => {
    const listed = [];
    for await (const { id, type } of client().models.list()) listed.push([id, type]);
    assert.ok(listed.some(([id, type]) => id === MODELS[1] && type === "model"));
    const failed = client().messages.create({ model: "sandbox/status-429", max_tokens: 10, messages });
    await assert.rejects(failed, (error) => error instanceof Anthropic.RateLimitError && error.error.error.type === "rate_limit_error");
    const cut = client().messages.stream({ model: "sandbox/cut-3", max_tokens: 100, messages });
    await assert.rejects(cut.finalMessage());
  });
});

describe("Google's SDK on Gemini", () => {
  const client = () => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: gateway.url } });

  for (const model of MODELS) {
    test(`generates and streams with ${model}`, async () => {
      const answer = await client().models.generateContent({ model, contents: "Say hello" });
      assert.equal(answer.text, "Hello there");
      assert.equal(answer.candidates[0].finishReason, "STOP");
      assert.equal(answer.usageMetadata.totalTokenCount, 11);
      let said = "";
      let finish;
      for await (const chunk of await client().models.generateContentStream({ model, contents: "Say hello" })) {
        said += chunk.text ?? "";
        finish = chunk.candidates?.[0]?.finishReason ?? finish;
      }
      assert.deepEqual([said, finish], ["Hello there", "STOP"]);
    });
  }

  test("chats, calls functions and sends their results back", async () => {
    const parameters = { type: Type.OBJECT, properties: { country: { type: Type.STRING } } };
    const chat_ = client().chats.create({ model: MODELS[0], config: { tools: [{ functionDeclarations: [{ name: "get_city", parameters }] }] } });
    upstream.reply(chat({ tool_calls: [{ id: "call_1", type: "function", function: { name: "get_city", arguments: '{"country":"France"}' } }] }));
    const first = await chat_.sendMessage({ message: "Where am I?" });
    const [{ id, name, args }] = first.functionCalls;
    assert.deepEqual([name, args], ["get_city", { country: "France" }]);
    const second = await chat_.sendMessage({ message: [{ functionResponse: { id, name, response: { output: "Paris" } } }] });
    assert.equal(second.text, "Hello there");
    const sent = upstream.last().json.messages;
    assert.equal(sent.at(-1).tool_call_id, sent.at(-2).tool_calls[0].id);
    assert.equal(upstream.last().json.tools[0].function.parameters.type, "object");
  });

  test("answers in a schema, and fails as its own", async () => {
    upstream.reply(chat({ content: JSON.stringify(PARIS) }));
    const responseSchema = { type: Type.OBJECT, properties: { name: { type: Type.STRING }, population: { type: Type.NUMBER } } };
    const config = { responseMimeType: "application/json", responseSchema };
    const answer = await client().models.generateContent({ model: MODELS[0], contents: "Which city?", config });
    assert.deepEqual(JSON.parse(answer.text), PARIS);
    const failed = client().models.generateContent({ model: "sandbox/status-400", contents: "Hello" });
    await assert.rejects(failed, (error) => error instanceof ApiError && error.status === 400);
  });

  test("embeds", async () => {
    const { embeddings } = await client().models.embedContent({ model: "openai/text-embedding-3-small", contents: ["one"] });
    assert.equal(embeddings.length, 1);
    assert.ok(embeddings[0].values.length > 0);
  });
});

/** A plain answer in OpenAI's format. */
function chat(message) {
  const finish_reason = message.tool_calls ? "tool_calls" : "stop";
  const choices = [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason }];
  const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
  return json({ id: "chatcmpl-1", object: "chat.completion", created: 1_790_000_000, model: "gpt-4o-mini", choices, usage });
}

/** A plain answer in Anthropic's format. */
function claude(...content) {
  const stop_reason = content.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn";
  return json({ id: "msg_1", type: "message", role: "assistant", model: "claude", content, stop_reason, stop_sequence: null, usage: { input_tokens: 9, output_tokens: 2 } });
}

/** An answer of a provider that speaks Responses itself. */
function responses({ json: { stream: streamed } }) {
  const text = "Hello there";
  const item = { type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text, annotations: [] }] };
  const usage = { input_tokens: 9, output_tokens: 2, total_tokens: 11 };
  const whole = { id: "resp_1", object: "response", created_at: 1_790_000_000, status: "completed", model: "gpt-4o-mini", output: [item], usage };
  if (!streamed) return json(whole);
  const at = { item_id: "msg_1", output_index: 0, content_index: 0 };
  const events = [
    { type: "response.created", response: { ...whole, status: "in_progress", output: [], usage: null } },
    { type: "response.output_item.added", output_index: 0, item: { ...item, status: "in_progress", content: [] } },
    { type: "response.content_part.added", ...at, part: { type: "output_text", text: "", annotations: [] } },
    { type: "response.output_text.delta", ...at, delta: "Hello" },
    { type: "response.output_text.delta", ...at, delta: " there" },
    { type: "response.output_text.done", ...at, text },
    { type: "response.content_part.done", ...at, part: item.content[0] },
    { type: "response.output_item.done", output_index: 0, item },
    { type: "response.completed", response: whole },
  ];
  return stream(events.map((told, sequence_number) => event({ ...told, sequence_number }, told.type)).join(""));
}

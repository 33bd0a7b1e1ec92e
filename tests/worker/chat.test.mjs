// The official OpenAI SDK in front of the gateway, used as its documentation shows.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startGateway } from "./gateway.mjs";
import { event, json, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const QUESTION = [{ role: "user", content: "Say hello" }];
const MODELS = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"];

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

let upstream;
let gateway;
let client;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  const { key } = await gateway.createKey();
  client = gateway.client(key);
});

beforeEach(() => upstream.forget());

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

for (const model of MODELS) {
  describe(model, () => {
    test("answers with text, usage, cost and who served it", async () => {
      const { data, response } = await client.chat.completions.create({ model, messages: QUESTION }).withResponse();
      assert.equal(data.object, "chat.completion");
      assert.equal(data.choices[0].message.content, "Hello there");
      assert.equal(data.choices[0].message.role, "assistant");
      assert.equal(data.choices[0].finish_reason, "stop");
      assert.equal(data.usage.prompt_tokens, 9);
      assert.equal(data.usage.completion_tokens, 2);
      assert.equal(data.usage.total_tokens, 11);
      assert.equal(data.usage.prompt_tokens_details.cached_tokens, 0);
      assert.ok(data.usage.cost > 0);
      assert.equal(Number(response.headers.get("x-latchkey-cost")), data.usage.cost);
      assert.equal(response.headers.get("x-latchkey-provider"), model.split("/")[0]);
      assert.equal(response.headers.get("x-latchkey-model"), model);
      assert.equal(response.headers.get("x-latchkey-attempts"), "1");
      assert.match(response.headers.get("x-request-id"), /\S/);
      assert.match(response.headers.get("server-timing"), /\S/);
      assert.equal(response.headers.get("cache-control"), "private, no-store");
    });

    test("streams text, and usage because it was asked for", async () => {
      const options = { model, messages: QUESTION, stream: true, stream_options: { include_usage: true } };
      const chunks = await Array.fromAsync(await client.chat.completions.create(options));
      const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
      assert.equal(text, "Hello there");
      assert.equal(chunks.findLast(({ choices }) => choices.length > 0).choices[0].finish_reason, "stop");
      assert.deepEqual(chunks.at(-1).choices, []);
      assert.equal(chunks.at(-1).usage.total_tokens, 11);
      assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
    });

    test("keeps usage out of a stream that did not ask for it", async () => {
      const options = { model, messages: QUESTION, stream: true };
      const chunks = await Array.fromAsync(await client.chat.completions.create(options));
      assert.ok(chunks.every(({ choices }) => choices.length > 0));
      assert.ok(chunks.every(({ usage }) => usage == null));
    });

    test("streams through the SDK's own accumulator", async () => {
      const runner = client.chat.completions.stream({ model, messages: QUESTION });
      const completion = await runner.finalChatCompletion();
      assert.equal(completion.choices[0].message.content, "Hello there");
      assert.equal(completion.choices[0].finish_reason, "stop");
    });
  });
}

describe("tools", () => {
  test("loops through a call and its result with Anthropic's format", async () => {
    upstream.reply(
      json({
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "claude-sonnet-4-5",
        content: [
          { type: "text", text: "Let me look." },
          { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Oslo" } },
        ],
        stop_reason: "tool_use",
        usage: { input_tokens: 20, output_tokens: 10 },
      }),
    );
    const model = "anthropic/claude-sonnet-4-5";
    const first = await client.chat.completions.create({ model, messages: QUESTION, tools: [WEATHER] });
    const { message, finish_reason } = first.choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.equal(message.content, "Let me look.");
    assert.equal(message.tool_calls[0].id, "toolu_1");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Oslo" });
    assert.equal(upstream.last().json.tools[0].name, "get_weather");

    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "4 degrees, rain" };
    const messages = [...QUESTION, message, result];
    const second = await client.chat.completions.create({ model, messages, tools: [WEATHER] });
    assert.equal(second.choices[0].message.content, "Hello there");
    const sent = upstream.last().json.messages;
    assert.deepEqual(sent.map(({ role }) => role), ["user", "assistant", "user"]);
    assert.deepEqual(sent[1].content.at(-1), { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Oslo" } });
    assert.equal(sent[2].content[0].type, "tool_result");
    assert.equal(sent[2].content[0].tool_use_id, "toolu_1");
  });

  test("gives calls from Gemini an id, and finds the name again for their result", async () => {
    const call = { functionCall: { name: "get_weather", args: { city: "Oslo" } } };
    upstream.reply(
      json({
        candidates: [{ index: 0, content: { role: "model", parts: [call] }, finishReason: "STOP" }],
        usageMetadata: { promptTokenCount: 20, candidatesTokenCount: 10, totalTokenCount: 30 },
      }),
    );
    const model = "gemini/gemini-2.5-flash";
    const first = await client.chat.completions.create({ model, messages: QUESTION, tools: [WEATHER] });
    const { message, finish_reason } = first.choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.match(message.tool_calls[0].id, /\S/);

    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "4 degrees, rain" };
    await client.chat.completions.create({ model, messages: [...QUESTION, message, result], tools: [WEATHER] });
    const parts = upstream.last().json.contents.at(-1).parts;
    assert.equal(parts[0].functionResponse.name, "get_weather");
  });

  test("runs the SDK's own tool loop", async () => {
    const toolCall = { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"city":"Oslo"}' } };
    upstream.reply(
      json({
        id: "chatcmpl-1",
        object: "chat.completion",
        created: 1_700_000_000,
        model: "gpt-4o-mini",
        choices: [{ index: 0, message: { role: "assistant", content: null, tool_calls: [toolCall] }, finish_reason: "tool_calls" }],
        usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
      }),
    );
    const asked = [];
    const get_weather = { ...WEATHER.function, parse: JSON.parse, function: ({ city }) => asked.push(city) && "4 degrees" };
    const runner = client.chat.completions.runTools({
      model: "openai/gpt-4o-mini",
      messages: QUESTION,
      tools: [{ type: "function", function: get_weather }],
    });
    assert.equal(await runner.finalContent(), "Hello there");
    assert.deepEqual(asked, ["Oslo"]);
    assert.equal(upstream.last().json.messages.at(-1).role, "tool");
  });

  test("streams interleaved calls onto dense indexes", async () => {
    const events = [
      { type: "message_start", message: { id: "msg_1", role: "assistant", model: "claude-sonnet-4-5", content: [], usage: { input_tokens: 9 } } },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Both:" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "tool_use", id: "toolu_1", name: "get_weather", input: {} } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '{"city":' } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '"Oslo"}' } },
      { type: "content_block_stop", index: 1 },
      { type: "content_block_start", index: 2, content_block: { type: "tool_use", id: "toolu_2", name: "get_weather", input: {} } },
      { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"city":"Bergen"}' } },
      { type: "content_block_stop", index: 2 },
      { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 30 } },
      { type: "message_stop" },
    ];
    upstream.reply(stream(events.map((data) => event(data, data.type)).join(""), { chunking: "bytes" }));
    const runner = client.chat.completions.stream({ model: "anthropic/claude-sonnet-4-5", messages: QUESTION, tools: [WEATHER] });
    const { choices } = await runner.finalChatCompletion();
    const calls = choices[0].message.tool_calls.map((call) => [call.id, JSON.parse(call.function.arguments).city]);
    assert.deepEqual(calls, [["toolu_1", "Oslo"], ["toolu_2", "Bergen"]]);
    assert.equal(choices[0].finish_reason, "tool_calls");
  });
});

describe("structured output", () => {
  const City = z.object({ name: z.string(), people: z.number() });
  const oslo = { name: "Oslo", people: 717_710 };

  test("parses what OpenAI answers", async () => {
    upstream.reply(
      json({
        id: "chatcmpl-1",
        object: "chat.completion",
        created: 1_700_000_000,
        model: "gpt-4o-mini",
        choices: [{ index: 0, message: { role: "assistant", content: JSON.stringify(oslo), refusal: null }, finish_reason: "stop" }],
        usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
      }),
    );
    await assertParsed("openai/gpt-4o-mini");
    assert.equal(upstream.last().json.response_format.type, "json_schema");
  });

  test("parses what Gemini answers, with the schema in Gemini's own words", async () => {
    const content = { role: "model", parts: [{ text: JSON.stringify(oslo) }] };
    upstream.reply(json({ candidates: [{ index: 0, content, finishReason: "STOP" }] }));
    await assertParsed("gemini/gemini-2.5-flash");
    assert.equal(upstream.last().json.generationConfig.responseMimeType, "application/json");
  });

  test("parses what Anthropic answers, whether natively or through a tool", async () => {
    upstream.reply((seen, response) => {
      const tool = seen.json.tools?.[0];
      const content = tool
        ? [{ type: "tool_use", id: "toolu_1", name: tool.name, input: oslo }]
        : [{ type: "text", text: JSON.stringify(oslo) }];
      const message = { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5", content };
      const stop_reason = tool ? "tool_use" : "end_turn";
      json({ ...message, stop_reason, usage: { input_tokens: 20, output_tokens: 10 } })(seen, response);
    });
    await assertParsed("anthropic/claude-sonnet-4-5");
  });

  async function assertParsed(model) {
    const response_format = zodResponseFormat(City, "city");
    const completion = await client.chat.completions.parse({ model, messages: QUESTION, response_format });
    assert.deepEqual(completion.choices[0].message.parsed, oslo);
    assert.equal(completion.choices[0].finish_reason, "stop");
  }
});

describe("other inputs", () => {
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const messages = [
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } },
      ],
    },
  ];

  test("sends an image to Anthropic as a base64 source", async () => {
    await client.chat.completions.create({ model: "anthropic/claude-sonnet-4-5", messages });
    const image = upstream.last().json.messages[0].content.find(({ type }) => type === "image");
    assert.deepEqual(image.source, { type: "base64", media_type: "image/png", data: pixel });
  });

  test("sends an image to Gemini as inline data", async () => {
    await client.chat.completions.create({ model: "gemini/gemini-2.5-flash", messages });
    const image = upstream.last().json.contents[0].parts.find(({ inlineData }) => inlineData);
    assert.deepEqual(image.inlineData, { mimeType: "image/png", data: pixel });
  });

  test("sends an image to OpenAI untouched", async () => {
    await client.chat.completions.create({ model: "openai/gpt-4o-mini", messages });
    assert.deepEqual(upstream.last().json.messages, messages);
  });

  test("fetches no image from this machine or its network", async () => {
    for (const url of ["http://127.0.0.1:9/a.png", "http://localhost/a.png", "http://169.254.169.254/latest", "http://[::1]/a.png"]) {
      const content = [{ type: "image_url", image_url: { url } }];
      const call = client.chat.completions.create({ model: "gemini/gemini-2.5-flash", messages: [{ role: "user", content }] });
      await assert.rejects(call, { status: 400 }, url);
    }
    assert.equal(upstream.requests.length, 0);
  });

  test("passes fields of the future through to the same format", async () => {
    const call = { model: "openai/gpt-4o-mini", messages: QUESTION, field_of_the_future: { deep: [1, 2.50, "x"] } };
    await client.chat.completions.create(call);
    assert.deepEqual(upstream.last().json.field_of_the_future, call.field_of_the_future);
    assert.equal(upstream.last().json.model, "gpt-4o-mini");
  });

  test("names what was dropped where that does no harm, and refuses what would", async () => {
    const model = "anthropic/claude-sonnet-4-5";
    const { response } = await client.chat.completions.create({ model, messages: QUESTION, seed: 7 }).withResponse();
    assert.match(response.headers.get("x-latchkey-adjusted"), /seed=dropped/);
    const refused = client.chat.completions.create({ model, messages: QUESTION, n: 2 });
    await assert.rejects(refused, { status: 400, param: "n" });
  });
});

describe("embeddings", () => {
  test("come as floats through the SDK, which asks for base64", async () => {
    upstream.reply((seen, response) => {
      const vector = [0.25, -0.5, 1];
      const embedding = seen.json.encoding_format === "base64" ? Buffer.from(new Float32Array(vector).buffer).toString("base64") : vector;
      const data = [{ object: "embedding", index: 0, embedding }];
      json({ object: "list", data, model: "text-embedding-3-small", usage: { prompt_tokens: 2, total_tokens: 2 } })(seen, response);
    });
    const { data, usage } = await client.embeddings.create({ model: "openai/text-embedding-3-small", input: "hello" });
    assert.deepEqual(Array.from(data[0].embedding), [0.25, -0.5, 1]);
    assert.equal(usage.prompt_tokens, 2);
  });
});

describe("the sandbox", () => {
  test("echoes without any upstream", async () => {
    const { choices } = await client.chat.completions.create({ model: "sandbox/echo", messages: QUESTION });
    assert.match(choices[0].message.content, /Say hello/);
    assert.equal(upstream.requests.length, 0);
  });

  test("streams", async () => {
    const chunks = await Array.fromAsync(
      await client.chat.completions.create({ model: "sandbox/echo", messages: QUESTION, stream: true }),
    );
    assert.match(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""), /Say hello/);
  });

  test("calls the tool it is given", async () => {
    const { choices } = await client.chat.completions.create({ model: "sandbox/tools", messages: QUESTION, tools: [WEATHER] });
    assert.equal(choices[0].finish_reason, "tool_calls");
    assert.equal(choices[0].message.tool_calls[0].function.name, "get_weather");
  });

  test("misbehaves when told to", async () => {
    await assert.rejects(client.chat.completions.create({ model: "sandbox/status-429", messages: QUESTION }), { status: 429 });
    await assert.rejects(client.chat.completions.create({ model: "sandbox/status-500", messages: QUESTION }), (error) => error.status >= 500);
    const cut = await client.chat.completions.create({ model: "sandbox/cut-3", messages: QUESTION, stream: true });
    await assert.rejects(Array.fromAsync(cut));
  });
});

describe("models", () => {
  test("are listed as OpenAI lists them, with limits and prices", async () => {
    const ids = [];
    for await (const model of client.models.list()) {
      assert.equal(model.object, "model");
      ids.push(model.id);
    }
    for (const model of MODELS) assert.ok(ids.includes(model), model);
    assert.ok(ids.includes("sandbox/echo"));
    // Only providers that this gateway has a credential for.
    assert.ok(!ids.some((id) => id.startsWith("groq/")));
  });

  test("can be read one by one", async () => {
    const model = await client.models.retrieve("openai/gpt-4o-mini");
    assert.equal(model.id, "openai/gpt-4o-mini");
    assert.ok(model.context_length > 0);
  });

  test("that are unknown are a 404", async () => {
    await assert.rejects(client.models.retrieve("no-such-model"), { status: 404, code: "model_not_found" });
  });
});

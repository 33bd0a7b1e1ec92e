// Formats that only some providers speak, through the running Worker: what is sent, and what comes of recorded answers.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { startUpstream } from "./upstream.mjs";

const MESSAGES = [{ role: "user", content: "hi" }];

describe("formats", () => {
  let upstream;
  let gateway;
  let client;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(upstream, {
      COHERE_API_KEY: "cohere-key-for-tests-6f7a8b9c0d1e",
      COHERE_BASE_URL: `${upstream.url}/cohere`,
      OLLAMA_BASE_URL: `${upstream.url}/ollama`,
    });
    client = gateway.client((await gateway.createKey()).key);
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  test("cohere: a plain answer with calls and their plan", async () => {
    upstream.reply(replay("cohere.tools.eec88626f2"));
    const answer = await client.chat.completions.create({ model: "cohere/command-a-03-2025", messages: MESSAGES });
    const [{ message, finish_reason: finish }] = answer.choices;
    assert.equal(finish, "tool_calls");
    assert.deepEqual(message.tool_calls.map(({ function: { name } }) => name), Array(3).fill("dice_roll"));
    assert.equal(message.reasoning_content, "I will roll the dice three times.");
    assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [57, 20]);
    assert.equal(upstream.last().path, "/cohere/v2/chat");
    assert.equal(upstream.last().headers.authorization, "Bearer cohere-key-for-tests-6f7a8b9c0d1e");
    assert.deepEqual(upstream.last().json.messages, [{ role: "user", content: [{ type: "text", text: "hi" }] }]);
  });

  test("cohere: a stream with thoughts and citations", async () => {
    upstream.reply(replay("cohere.thinking-stream.5c8eed34d5"));
    const answer = await streamed(client, "cohere/command-a-plus-05-2026");
    assert.match(answer.text, /Yukihiro Matsumoto/);
    assert.match(answer.reasoning, /^The document clearly states/);
    assert.equal(answer.finish, "stop");
    assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [65, 63]);
  });

  test("cohere: an error at the end of a stream is an error", async () => {
    upstream.reply(replay("cohere.tools-stream.99e67fcab5"));
    await assert.rejects(streamed(client, "cohere/command-a-03-2025"), /invalid tool generation/);
  });

  test("cohere: embeddings", async () => {
    upstream.reply((_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ embeddings: { float: [[0.5, -1]] }, meta: { billed_units: { input_tokens: 3 } } }));
    });
    const { data, usage } = await client.embeddings.create({ model: "cohere/embed-v4.0", input: "a", encoding_format: "float" });
    assert.deepEqual([data[0].embedding, usage.prompt_tokens], [[0.5, -1], 3]);
    assert.deepEqual(upstream.last().json, {
      model: "embed-v4.0",
      texts: ["a"],
      input_type: "search_document",
      embedding_types: ["float"],
    });
  });

  test("ollama: a stream of lines with thoughts and a call", async () => {
    upstream.reply(replay("ollama.tools-stream.db0f60def2"));
    const answer = await streamed(client, "ollama/qwen3:4b");
    assert.match(answer.reasoning, /^Okay, the user/);
    assert.deepEqual(answer.calls, [{ name: "get_weather", arguments: '{"city":"Tokyo"}' }]);
    assert.equal(answer.finish, "tool_calls");
    assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [234, 517]);
    assert.equal(upstream.last().path, "/ollama/api/chat");
    assert.equal(upstream.last().headers.authorization, undefined);
  });

  test("ollama: a plain answer, with room for its prompt", async () => {
    upstream.reply(replay("ollama.thinking.f0a861a672"));
    const options = { num_ctx: 32768 };
    const answer = await client.chat.completions.create({ model: "ollama/qwen3.6", messages: MESSAGES, max_tokens: 9, options });
    assert.match(answer.choices[0].message.content, /^The sky appears blue/);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.deepEqual(upstream.last().json.options, { num_ctx: 32768, num_predict: 9 });
  });
});

/** Everything that a stream says. */
async function streamed(client, model) {
  const answer = { text: "", reasoning: "", calls: [], finish: undefined, usage: undefined };
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create({ model, messages: MESSAGES, ...options })) {
    answer.usage = chunk.usage ?? answer.usage;
    const [choice] = chunk.choices;
    answer.finish = choice?.finish_reason ?? answer.finish;
    answer.text += choice?.delta.content ?? "";
    answer.reasoning += choice?.delta.reasoning_content ?? "";
    for (const { index, function: call } of choice?.delta.tool_calls ?? []) {
      answer.calls[index] ??= { name: call.name, arguments: "" };
      answer.calls[index].arguments += call.arguments ?? "";
    }
  }
  return answer;
}

/** Answers with a recording. */
function replay(id) {
  const { response } = recordings(id.split(".")[0]).find((recording) => recording.id === id);
  return (_, answer) => {
    answer.writeHead(response.status, response.headers);
    answer.end(response.body);
  };
}

// Workers AI by its binding: a deployment answers without any provider's key.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const MODEL = "workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const MESSAGES = [{ role: "user", content: "hi" }];

describe("workers-ai by its binding", () => {
  let upstream;
  let gateway;
  let client;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(upstream, {}, { bound: true });
    client = gateway.client((await gateway.createKey()).key);
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  test("a plain answer", async () => {
    const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
    upstream.reply(json(200, { response: "Hello", tool_calls: [], usage }));
    const answer = await client.chat.completions.create({ model: MODEL, messages: MESSAGES, max_tokens: 9, user: "u" });
    assert.equal(answer.choices[0].message.content, "Hello");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [7, 3]);
    const { path, json: asked } = upstream.last();
    assert.equal(path, "/binding/@cf/meta/llama-3.3-70b-instruct-fp8-fast");
    assert.deepEqual(asked.options, { returnRawResponse: true });
    assert.deepEqual([asked.inputs.messages, asked.inputs.max_tokens, asked.inputs.user], [MESSAGES, 9, undefined]);
  });

  test("a stream, whole and cut off", async () => {
    const pieces = ['{"response":"Hel","p":"ab"}', '{"response":"lo"}'];
    upstream.reply(stream([...pieces, '{"response":"","usage":{"prompt_tokens":7,"completion_tokens":3}}', "[DONE]"]));
    assert.deepEqual(await read(client), { text: "Hello", finish: "stop" });
    upstream.reply(stream(pieces));
    await assert.rejects(read(client));
  });

  test("an error keeps its status", async () => {
    upstream.reply(json(400, { errors: [{ code: 5007, message: "No such model" }] }));
    const asked = client.chat.completions.create({ model: MODEL, messages: MESSAGES });
    await assert.rejects(asked, { status: 400, message: /No such model/ });
  });

  test("embeddings", async () => {
    upstream.reply(json(200, { shape: [1, 2], data: [[0.5, -1]] }));
    const asked = { model: "workers-ai/@cf/baai/bge-m3", input: "a", encoding_format: "float" };
    assert.deepEqual((await client.embeddings.create(asked)).data[0].embedding, [0.5, -1]);
    assert.deepEqual(upstream.last().json.inputs, { text: ["a"] });
  });
});

async function read(client) {
  const answer = { text: "", finish: undefined };
  for await (const { choices: [choice] } of await client.chat.completions.create({ model: MODEL, messages: MESSAGES, stream: true })) {
    answer.text += choice?.delta.content ?? "";
    answer.finish = choice?.finish_reason ?? answer.finish;
  }
  return answer;
}

function json(status, body) {
  return (_, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
}

function stream(pieces) {
  return (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(pieces.map((piece) => `data: ${piece}\n\n`).join(""));
  };
}

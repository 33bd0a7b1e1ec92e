// Converse as what callers speak, driven by AWS's own SDK with a gateway key as its bearer token: the SDK checks both
// checksums of every message. Upstreams of four protocols answer with recordings.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { startUpstream } from "./upstream.mjs";

const MESSAGES = [{ role: "user", content: [{ text: "hi" }] }];
const TOOLS = {
  tools: [{ toolSpec: { name: "get_weather", inputSchema: { json: { type: "object", properties: { city: { type: "string" } } } } } }],
};

describe("converse", () => {
  let upstream;
  let gateway;
  let client;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(upstream, {
      BEDROCK_API_KEY: "bedrock-key-for-tests-7a8b9c0d1e2f",
      BEDROCK_BASE_URL: `${upstream.url}/bedrock`,
    });
    client = await connect((await gateway.createKey()).key);
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  function connect(token) {
    return new BedrockRuntimeClient({
      region: "us-east-1",
      endpoint: gateway.url,
      token: { token },
      authSchemePreference: ["httpBearerAuth"],
      maxAttempts: 1,
      // Its own speaks HTTP/2, which a local server does not.
      requestHandler: new NodeHttpHandler(),
    });
  }

  async function streamed(modelId, more = {}) {
    const answer = { text: "", thoughts: "", calls: {}, stop: undefined, usage: undefined };
    const { stream } = await client.send(new ConverseStreamCommand({ modelId, messages: MESSAGES, ...more }));
    for await (const { contentBlockStart: start, contentBlockDelta: delta, messageStop, metadata } of stream) {
      if (start) answer.calls[start.contentBlockIndex] = { name: start.start.toolUse.name, input: "" };
      answer.text += delta?.delta.text ?? "";
      answer.thoughts += delta?.delta.reasoningContent?.text ?? "";
      if (delta?.delta.toolUse) answer.calls[delta.contentBlockIndex].input += delta.delta.toolUse.input;
      answer.stop = messageStop?.stopReason ?? answer.stop;
      answer.usage = metadata?.usage ?? answer.usage;
    }
    return { ...answer, calls: Object.values(answer.calls).map(({ name, input }) => [name, JSON.parse(input)]) };
  }

  test("of Bedrock: a stream passes as it came, in any pieces", async () => {
    for (const pieces of [Infinity, 7]) {
      upstream.reply(replay("bedrock.tools-stream.b7c20e63d4", pieces));
      const answer = await streamed("bedrock/amazon.nova-lite-v1:0", { toolConfig: TOOLS });
      assert.match(answer.text, /^<thinking> The User has asked/);
      assert.deepEqual(answer.calls.map(([name]) => name), ["get_current_weather", "get_current_weather"]);
      assert.equal(answer.stop, "tool_use");
      assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
      assert.equal(upstream.last().path, "/bedrock/model/amazon.nova-lite-v1%3A0/converse-stream");
      assert.equal(upstream.last().headers.authorization, "Bearer bedrock-key-for-tests-7a8b9c0d1e2f");
      assert.deepEqual(upstream.last().json.toolConfig, TOOLS);
    }
  });

  test("of Bedrock: a plain answer, by the model's bare id", async () => {
    upstream.reply(replay("bedrock.tools.db0d10a1f6"));
    const answer = await client.send(new ConverseCommand({ modelId: "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", messages: MESSAGES }));
    assert.equal(answer.stopReason, "tool_use");
    assert.ok(answer.output.message.content.some(({ toolUse }) => toolUse?.name === "get_weather"));
  });

  test("of Chat Completions: a stream with calls", async () => {
    upstream.reply(replay(first("openai", "tools-stream")));
    const answer = await streamed("openai/gpt-4o", { toolConfig: TOOLS });
    assert.ok(answer.calls.length > 0);
    assert.equal(answer.stop, "tool_use");
    assert.equal(upstream.last().json.tools[0].function.name, "get_weather");
    assert.deepEqual(upstream.last().json.stream_options, { include_usage: true });
  });

  test("of Messages: thoughts keep their signatures on the next turn", async () => {
    upstream.reply(replay(SIGNED_THOUGHT));
    const ask = (messages) => client.send(new ConverseCommand({
      modelId: "anthropic/claude-sonnet-4-5",
      messages,
      inferenceConfig: { maxTokens: 4000 },
      additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2000 } },
    }));
    const { output, stopReason } = await ask(MESSAGES);
    const thought = output.message.content.find(({ reasoningContent }) => reasoningContent)?.reasoningContent.reasoningText;
    assert.ok(thought.signature.length > 20);
    assert.equal(stopReason, "end_turn");
    assert.equal(upstream.last().json.thinking.budget_tokens, 2000);
    upstream.reply(replay(SIGNED_THOUGHT));
    await ask([...MESSAGES, output.message, { role: "user", content: [{ text: "And?" }] }]);
    const [sent] = upstream.last().json.messages[1].content;
    assert.deepEqual([sent.thinking, sent.signature], [thought.text, thought.signature]);
  });

  test("of Gemini: a stream, and a call whose signature comes back", async () => {
    upstream.reply(replay({ response: { status: 200, headers: { "content-type": "text/event-stream" }, body: SIGNED_CALL } }));
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: "gemini/gemini-3-flash-preview", messages: MESSAGES, toolConfig: TOOLS }));
    const blocks = {};
    for await (const { contentBlockStart: start, contentBlockDelta: delta } of stream) {
      if (start) blocks[start.contentBlockIndex] = { toolUse: { ...start.start.toolUse, input: "" } };
      if (delta?.delta.toolUse) blocks[delta.contentBlockIndex].toolUse.input += delta.delta.toolUse.input;
      const redacted = delta?.delta.reasoningContent?.redactedContent;
      if (redacted) blocks[delta.contentBlockIndex] = { reasoningContent: { redactedContent: redacted } };
    }
    const content = Object.values(blocks);
    for (const { toolUse } of content) if (toolUse) toolUse.input = JSON.parse(toolUse.input);
    const results = content.filter(({ toolUse }) => toolUse).map(({ toolUse: { toolUseId } }) => ({ toolResult: { toolUseId, content: [{ text: "71" }] } }));
    assert.ok(results.length > 0);
    upstream.reply(replay(first("gemini", "chat")));
    const messages = [...MESSAGES, { role: "assistant", content }, { role: "user", content: results }];
    await client.send(new ConverseCommand({ modelId: "gemini/gemini-3-flash-preview", messages, toolConfig: TOOLS }));
    const { parts } = upstream.last().json.contents[1];
    assert.deepEqual(parts.map(({ functionCall, thoughtSignature }) => [functionCall?.name, thoughtSignature]), [["get_weather", "c2lnbmVk"]]);
  });

  test("errors are exceptions of the SDK", async () => {
    const stranger = await connect("lk-nobody");
    const call = (who, modelId) => who.send(new ConverseCommand({ modelId, messages: MESSAGES }));
    await assert.rejects(call(stranger, "openai/gpt-4o"), { name: "UnrecognizedClientException" });
    await assert.rejects(call(client, "nobody/nothing"), { name: "ResourceNotFoundException" });
    await assert.rejects(client.send(new ConverseCommand({ modelId: "openai/gpt-4o", messages: [] })), { name: "ValidationException" });
    upstream.reply((_, response) => {
      response.writeHead(429, { "content-type": "application/json", "retry-after": "30" });
      response.end('{"error":{"message":"Slow down.","type":"requests","code":"rate_limit_exceeded"}}');
    });
    await assert.rejects(call(client, "openai/gpt-4o"), { name: "ThrottlingException" });
  });

  test("a stream that is cut ends in an exception", async () => {
    const { response } = recordings("bedrock").find(({ id }) => id === "bedrock.tools-stream.b7c20e63d4");
    const whole = Buffer.from(response.body, "base64");
    upstream.reply((_, answer) => {
      answer.writeHead(200, response.headers);
      answer.end(whole.subarray(0, whole.length - 700));
    });
    await assert.rejects(streamed("bedrock/amazon.nova-lite-v1:0"), { name: "ModelStreamErrorException" });
  });
});

const SIGNED_THOUGHT = {
  response: {
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5",
      content: [
        { type: "thinking", thinking: "Hm.", signature: "EqQBCkYIBxgCKkBzaWduYXR1cmU=" },
        { type: "text", text: "Yes." },
      ],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: 3, output_tokens: 4 },
    }),
  },
};
const SIGNED_CALL = `data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"get_weather","args":{"city":"Oslo"}},"thoughtSignature":"c2lnbmVk"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"gemini-3-flash-preview"}\n\n`;

function first(provider, kind) {
  const found = recordings(provider).find((recording) => recording.kind === kind && recording.response.status === 200);
  assert.ok(found, `a recording of ${kind} by ${provider}`);
  return found;
}

/** Answers with a recording, its body in pieces of so many bytes. */
function replay(recording, pieces = Infinity) {
  const { response } = typeof recording === "string" ? recordings(recording.split(".")[0]).find(({ id }) => id === recording) : recording;
  const { status, headers, body, encoding } = response;
  const bytes = Buffer.from(body, encoding ?? "utf8");
  return async (_, answer) => {
    answer.writeHead(status, headers);
    for (let at = 0; at < bytes.length; at += pieces) answer.write(bytes.subarray(at, at + pieces));
    answer.end();
  };
}

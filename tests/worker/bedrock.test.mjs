// Bedrock through the running Worker: signed requests, binary event streams, exceptions.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { startUpstream } from "./upstream.mjs";

const MODEL = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const AWS = {
  AWS_ACCESS_KEY_ID: "AKIDFORTESTS",
  AWS_SECRET_ACCESS_KEY: "aws-secret-for-tests-9f8e7d6c5b4a",
  AWS_SESSION_TOKEN: "aws-session-for-tests-1f2e3d4c5b6a",
  AWS_REGION: "eu-central-1",
};
const recorded = Object.fromEntries(recordings("bedrock").map((recording) => [recording.id, recording]));

describe("bedrock", () => {
  let upstream;
  let gateway;
  let client;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(upstream, { ...AWS, BEDROCK_BASE_URL: `${upstream.url}/bedrock` });
    client = gateway.client((await gateway.createKey({ allow_provider_key: true })).key);
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  test("a plain answer to a signed request", async () => {
    upstream.reply(replay("bedrock.tools.db0d10a1f6"));
    const answer = await client.chat.completions.create({ model: MODEL, messages: [{ role: "user", content: "hi" }] });
    const { response } = recorded["bedrock.tools.db0d10a1f6"];
    const { usage, output } = JSON.parse(response.body);
    const call = output.message.content.find(({ toolUse }) => toolUse).toolUse;
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.equal(answer.choices[0].message.tool_calls[0].id, call.toolUseId);
    assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), call.input);
    assert.equal(answer.usage.prompt_tokens, usage.inputTokens);
    assert.equal(answer.usage.completion_tokens, usage.outputTokens);
    const request = upstream.last();
    assert.equal(request.path, "/bedrock/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    assert.equal(request.headers.authorization, signed(request));
    assert.equal(request.headers["x-amz-security-token"], AWS.AWS_SESSION_TOKEN);
  });

  for (const pieces of [Infinity, 100, 7]) {
    test(`a stream in pieces of ${pieces} bytes`, async () => {
      upstream.reply(replay("bedrock.tools-stream.b7c20e63d4", pieces));
      const options = { stream: true, stream_options: { include_usage: true } };
      const messages = [{ role: "user", content: "hi" }];
      const answer = { text: "", calls: [], finish: undefined, usage: undefined };
      for await (const chunk of await client.chat.completions.create({ model: MODEL, messages, ...options })) {
        answer.usage = chunk.usage ?? answer.usage;
        const [choice] = chunk.choices;
        answer.finish = choice?.finish_reason ?? answer.finish;
        answer.text += choice?.delta.content ?? "";
        for (const { index, function: { name, arguments: more } } of choice?.delta.tool_calls ?? []) {
          answer.calls[index] ??= { name, arguments: "" };
          answer.calls[index].arguments += more ?? "";
        }
      }
      assert.match(answer.text, /^<thinking> The User has asked.*<\/thinking>\n$/);
      assert.deepEqual(
        answer.calls.map(({ name, arguments: text }) => [name, JSON.parse(text)]),
        [["get_current_weather", { location: "Seattle" }], ["get_current_weather", { location: "San Francisco" }]],
      );
      assert.equal(answer.finish, "tool_calls");
      assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0);
      assert.equal(upstream.last().headers.accept, "application/vnd.amazon.eventstream");
      assert.equal(upstream.last().headers.authorization, signed(upstream.last()));
    });
  }

  test("a stream that is cut or damaged never looks finished", async () => {
    const whole = Buffer.from(recorded["bedrock.tools-stream.b7c20e63d4"].response.body, "base64");
    const damaged = Buffer.from(whole);
    damaged[whole.length - 700] ^= 1;
    for (const body of [whole.subarray(0, whole.length - 700), damaged]) {
      upstream.reply((_, response) => {
        response.writeHead(200, { "content-type": "application/vnd.amazon.eventstream" });
        response.end(body);
      });
      const stream = await client.chat.completions.create({
        model: MODEL,
        messages: [{ role: "user", content: "hi" }],
        stream: true,
      });
      await assert.rejects(async () => {
        for await (const { choices } of stream) assert.equal(choices[0]?.finish_reason ?? null, null);
      });
    }
  });

  test("an error by its type", async () => {
    upstream.reply(replay("bedrock.error.29d86c65dd"));
    const failed = client.chat.completions.create({ model: "bedrock/does-not-exist", messages: [{ role: "user", content: "a" }] });
    await assert.rejects(failed, { status: 400, code: "ValidationException", message: /model identifier is invalid/ });
  });

  test("a Bedrock API key instead of a signature", async () => {
    upstream.reply(replay("bedrock.tools.db0d10a1f6"));
    const headers = { "x-latchkey-provider-key": "bedrock-api-key-of-the-caller" };
    await client.chat.completions.create({ model: MODEL, messages: [{ role: "user", content: "hi" }] }, { headers });
    assert.equal(upstream.last().headers.authorization, "Bearer bedrock-api-key-of-the-caller");
    assert.equal(upstream.last().headers["x-amz-date"], undefined);
  });

  test("what is passed through is signed with its body, whatever it is", async () => {
    const open = (await gateway.createKey({ allowed_endpoints: ["passthrough"] })).key;
    const pass = (type, body) =>
      gateway.fetch("/passthrough/bedrock/model/amazon.titan-tg1/invoke", {
        method: "POST",
        headers: { authorization: `Bearer ${open}`, "content-type": type },
        body,
      });
    const long = JSON.stringify({ inputText: "a".repeat(2 * 1024 * 1024) });
    for (const [type, body] of [["text/plain", "no JSON"], ["application/json", long]]) {
      upstream.reply((_, response) => response.writeHead(200, { "content-type": "application/json" }).end("{}"));
      const answer = await pass(type, body);
      assert.equal(answer.status, 200, await answer.text());
      assert.equal(upstream.last().text, body);
      assert.equal(upstream.last().headers.authorization, signed(upstream.last()));
    }
    const refused = await pass("text/plain", Buffer.alloc(20 * 1024 * 1024, 65));
    assert.deepEqual([refused.status, (await refused.json()).error.code], [413, "request_too_large"]);
  });

  test("no secret is ever logged", () => {
    for (const secret of [AWS.AWS_SECRET_ACCESS_KEY, AWS.AWS_SESSION_TOKEN]) assert.ok(!gateway.log().includes(secret));
  });
});

/** Answers with a recording, its body in pieces of so many bytes. */
function replay(id, pieces = Infinity) {
  const { status, headers, body, encoding } = recorded[id].response;
  const bytes = Buffer.from(body, encoding ?? "utf8");
  return async (_, response) => {
    response.writeHead(status, headers);
    for (let at = 0; at < bytes.length; at += pieces) response.write(bytes.subarray(at, at + pieces));
    response.end();
  };
}

/** The authorization that AWS would reckon for a request, by its documentation and with Node's own cryptography. */
function signed({ method, path, headers, text }) {
  const sha256 = (data) => createHash("sha256").update(data).digest("hex");
  const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
  const time = headers["x-amz-date"];
  const scope = `${time.slice(0, 8)}/${AWS.AWS_REGION}/bedrock/aws4_request`;
  const names = "host;x-amz-date;x-amz-security-token";
  const lines = names.split(";").map((name) => `${name}:${headers[name]}\n`).join("");
  const canonicalPath = path.split("/").map(encodeURIComponent).join("/");
  const request = [method, canonicalPath, "", lines, names, sha256(text)].join("\n");
  const key = scope.split("/").reduce((key, part) => hmac(key, part), `AWS4${AWS.AWS_SECRET_ACCESS_KEY}`);
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(request)].join("\n")).toString("hex");
  return `AWS4-HMAC-SHA256 Credential=${AWS.AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
}

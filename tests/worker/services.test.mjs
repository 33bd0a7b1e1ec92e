// Calls beside conversation through the running Worker: reranking, moderation, images and speech, at two providers each.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { json } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const COHERE = { id: "c", results: [{ index: 1, relevance_score: 0.9 }], meta: { billed_units: { search_units: 1 } } };
const VOYAGE = { object: "list", data: [{ relevance_score: 0.7, index: 0 }], model: "rerank-2", usage: { total_tokens: 57 } };

describe("services", () => {
  let upstream;
  let gateway;
  let key;

  before(async () => {
    upstream = await startUpstream();
    const variables = {};
    for (const name of ["cohere", "voyage", "groq"]) {
      variables[`${name.toUpperCase()}_API_KEY`] = `${name}-key-for-tests-7a8b9c0d1e2f`;
      variables[`${name.toUpperCase()}_BASE_URL`] = `${upstream.url}/${name}`;
    }
    gateway = await startGateway(upstream, variables);
    ({ key } = await gateway.createKey());
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  const headers = () => ({ authorization: `Bearer ${key}` });

  async function post(path, body) {
    const init = { method: "POST", headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await gateway.fetch(path, init);
    return { status: response.status, headers: response.headers, json: await response.json() };
  }

  test("documents are ranked by two providers, in one shape", async () => {
    const ask = (model) => post("/v1/rerank", { model, query: "q", documents: ["a", "b"], top_n: 1, return_documents: true });
    upstream.reply(json(COHERE));
    const first = await ask("cohere/rerank-v3.5");
    assert.deepEqual(first.json.results, [{ index: 1, relevance_score: 0.9, document: { text: "b" } }]);
    assert.equal(first.json.usage.cost, 0.002);
    assert.equal(first.headers.get("x-latchkey-cost"), "0.002");
    assert.equal(upstream.last().path, "/cohere/v2/rerank");
    upstream.reply(json(VOYAGE));
    const second = await ask("voyage/rerank-2");
    assert.deepEqual(second.json.results, [{ index: 0, relevance_score: 0.7, document: { text: "a" } }]);
    assert.equal(upstream.last().path, "/voyage/rerank");
    assert.deepEqual(upstream.last().json, { model: "rerank-2", query: "q", documents: ["a", "b"], top_k: 1 });
  });

  test("content is judged by two providers, with the official SDK", async () => {
    const client = gateway.client(key);
    for (const model of ["openai/omni-moderation-latest", "mistral/mistral-moderation-2603"]) {
      upstream.reply(json({ id: "m", model, results: [{ flagged: true, categories: {}, category_scores: {} }] }));
      const judged = await client.moderations.create({ model, input: "text" });
      assert.equal(judged.results[0].flagged, true);
      assert.equal(upstream.last().json.input, "text");
    }
  });

  test("images come from models that answer with them and that predict them, with the official SDK", async () => {
    const client = gateway.client(key);
    const picture = { inlineData: { mimeType: "image/png", data: "QUE=" } };
    const tokens = { promptTokenCount: 5, candidatesTokenCount: 1290, totalTokenCount: 1295, candidatesTokensDetails: [{ modality: "IMAGE", tokenCount: 1290 }] };
    upstream.reply(json({ candidates: [{ content: { role: "model", parts: [picture] }, finishReason: "STOP" }], usageMetadata: tokens }));
    const answered = await client.images.generate({ model: "gemini/gemini-2.5-flash-image", prompt: "A bear", size: "1024x1024" });
    assert.equal(upstream.last().path, "/gemini/v1beta/models/gemini-2.5-flash-image:generateContent");
    assert.deepEqual(upstream.last().json.generationConfig.imageConfig, { aspectRatio: "1:1" });
    assert.deepEqual([answered.data, answered.usage.output_tokens], [[{ b64_json: "QUE=" }], 1290]);
    upstream.reply(json({ predictions: [{ mimeType: "image/png", bytesBase64Encoded: "QkI=" }, { mimeType: "image/png", bytesBase64Encoded: "Q0M=" }] }));
    const predicted = await client.images.generate({ model: "gemini/imagen-3.0-generate-001", prompt: "A bear", n: 2 });
    assert.equal(upstream.last().path, "/gemini/v1beta/models/imagen-3.0-generate-001:predict");
    assert.deepEqual(predicted.data, [{ b64_json: "QkI=" }, { b64_json: "Q0M=" }]);
    assert.equal(predicted.usage.cost, 0.08, "two images at four cents");
    const several = client.images.generate({ model: "gemini/gemini-2.5-flash-image", prompt: "A bear", n: 2 });
    await assert.rejects(several, ({ status, param }) => status === 400 && param === "n");
  });

  test("speech passes as it comes, and what it costs is known by its length", async () => {
    const sound = Buffer.alloc(200_000, 7);
    upstream.reply((_, response) => {
      response.writeHead(200, { "content-type": "audio/mpeg" });
      response.write(sound.subarray(0, 1000));
      setImmediate(() => response.end(sound.subarray(1000)));
    });
    const spoken = await gateway.client(key).audio.speech.create({ model: "openai/tts-1", input: "Hello", voice: "alloy" });
    assert.equal(spoken.headers.get("content-type"), "audio/mpeg");
    assert.deepEqual(Buffer.from(await spoken.arrayBuffer()), sound);
    const record = await recordOf(spoken.headers.get("x-request-id"));
    assert.equal(record.cost, 0.000075);
    upstream.reply(json({ audio_data: Buffer.from("ID3").toString("base64") }));
    const other = await gateway.client(key).audio.speech.create({ model: "mistral/voxtral-mini-tts-latest", input: "Hi", voice: "v" });
    assert.equal(await other.text(), "ID3");
  });

  test("a form goes on with the model's name alone changed, and again after a failure", async () => {
    const file = new File([Buffer.alloc(300_000, 65)], "a.mp3", { type: "audio/mpeg" });
    upstream.reply(json({ error: { message: "later" } }, { status: 503 }), json({ text: "Hi" }));
    const body = new FormData();
    body.append("file", file);
    body.append("model", "groq/whisper-large-v3");
    body.append("response_format", "json");
    const answer = await gateway.fetch("/v1/audio/transcriptions", { method: "POST", headers: headers(), body });
    assert.equal(answer.status, 200, "it was sent a second time");
    assert.equal(answer.headers.get("x-latchkey-attempts"), "2");
    upstream.reply(json({ text: "Hi", usage: { type: "duration", seconds: 9 } }));
    const answered = await gateway.client(key).audio.transcriptions.create({ file, model: "openai/whisper-1", language: "en" });
    assert.equal(answered.text, "Hi");
    assert.equal(answered.usage.cost, 0.0009);
    const [first, again, other] = upstream.requests.slice(-3);
    assert.equal(first.path, "/groq/audio/transcriptions");
    assert.equal(other.path, "/openai/v1/audio/transcriptions");
    for (const [seen, model] of [[first, "whisper-large-v3"], [again, "whisper-large-v3"], [other, "whisper-1"]]) {
      const form = await new Response(seen.text, { headers: { "content-type": seen.headers["content-type"] } }).formData();
      assert.equal(form.get("model"), model);
      assert.equal(form.get("file").size, 300_000);
      assert.equal(seen.headers["content-length"], String(seen.text.length));
    }
    assert.equal(first.headers.authorization, "Bearer groq-key-for-tests-7a8b9c0d1e2f");
  });

  test("a form comes by whatever path the core forgives, and what is none is no failure of its provider", async () => {
    for (const path of ["/v1/audio/transcriptions", "/v1//audio/transcriptions", "/v1/v1/audio/transcriptions"]) {
      upstream.reply(json({ text: "Hi" }));
      const body = new FormData();
      body.append("model", "openai/whisper-1");
      body.append("file", new File(["ID3"], "a.mp3", { type: "audio/mpeg" }));
      assert.equal((await gateway.fetch(path, { method: "POST", headers: headers(), body })).status, 200, path);
      const none = { ...headers(), "content-type": "multipart/form-data; boundary=x" };
      const init = { method: "POST", headers: none, body: '{"model":"openai/whisper-1","file":"3"}' };
      assert.equal((await gateway.fetch(path, init)).status, 400, path);
    }
    assert.equal(upstream.unused(), 0);
  });

  test("a form that is too long to be kept is passed on once", async () => {
    upstream.reply(json({ text: "long" }));
    const body = new FormData();
    body.append("model", "openai/whisper-1");
    body.append("file", new File([Buffer.alloc(27 * 1024 * 1024, 66)], "a.wav"));
    const answer = await gateway.fetch("/v1/audio/transcriptions", { method: "POST", headers: headers(), body });
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.equal((await answer.json()).text, "long");
    assert.ok(upstream.last().text.length > 27 * 1024 * 1024);
    assert.match(upstream.last().text.slice(0, 300), /whisper-1/);
  });

  test("calls pass through to two providers, both ways", async () => {
    const open = (await gateway.createKey({ allowed_endpoints: ["passthrough"] })).key;
    const own = { authorization: `Bearer ${open}` };
    upstream.reply(json({ id: "file-1", object: "file" }, { headers: { "openai-version": "v", "set-cookie": "a=b" } }));
    const got = await gateway.fetch("/passthrough/openai/v1/files/file-1?limit=2", { headers: own });
    assert.deepEqual(await got.json(), { id: "file-1", object: "file" });
    assert.deepEqual([got.headers.get("openai-version"), got.headers.get("set-cookie")], ["v", null]);
    const seen = upstream.last();
    assert.deepEqual([seen.method, seen.path], ["GET", "/openai/v1/files/file-1?limit=2"]);
    assert.equal(seen.headers.authorization, "Bearer sk-openai-for-tests-1a2b3c4d5e6f");

    upstream.reply(json({ type: "message", usage: { input_tokens: 5, output_tokens: 2 } }));
    const init = { method: "POST", headers: { "x-api-key": open, "content-type": "application/json", "anthropic-beta": "b" } };
    const ask = { model: "claude-sonnet-4-5", max_tokens: 5, messages: [] };
    const said = await gateway.fetch("/passthrough/anthropic/v1/messages", { ...init, body: JSON.stringify(ask) });
    assert.equal((await said.json()).type, "message");
    assert.deepEqual(upstream.last().json, ask);
    assert.equal(upstream.last().headers["anthropic-beta"], "b");
    const record = await recordOf(said.headers.get("x-request-id"));
    assert.equal(record.cost, (5 * 3 + 2 * 15) / 1e6);

    upstream.reply(json({ ok: true }));
    const bytes = Buffer.alloc(100_000, 67);
    const sent = await gateway.fetch("/passthrough/openai/uploads", { method: "PUT", headers: own, body: bytes });
    assert.equal(sent.status, 200);
    assert.equal(upstream.last().method, "PUT");
    assert.equal(upstream.last().text.length, bytes.length);

    upstream.reply((_, response) => response.writeHead(204).end());
    const gone = await gateway.fetch("/passthrough/openai/v1/files/file-1", { method: "DELETE", headers: own });
    assert.deepEqual([gone.status, await gone.text(), upstream.last().method], [204, "", "DELETE"]);

    const closed = await gateway.fetch("/passthrough/openai/v1/files", { headers: headers() });
    assert.equal(closed.status, 403);
  });

  /** The operator's record of a call, once it is there. */
  async function recordOf(id) {
    for (let tries = 0; tries < 100; tries += 1) {
      const { json: ledger, status } = await gateway.admin("GET", `/admin/ledger/${id}`);
      if (status === 200) return ledger;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no record of ${id}`);
  }
});

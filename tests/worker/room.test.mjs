// Large bodies: an isolate has only so much memory for all that it does at a time.

import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { silence, synthetic } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

/** What a call of 12 MiB says: of such calls two fit at a time. */
const LONG = "word ".repeat((12 << 20) / 5);

let upstream;
let gateway;
let key;
let [underWay, most, seen] = [0, 0, 0];

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  ({ key } = await gateway.createKey());
});

beforeEach(() => {
  [underWay, most, seen] = [0, 0, 0];
  // They are long, and not to be remembered.
  upstream.watch(() => void (seen += 1));
  upstream.behave((asked) => async (request, response) => {
    most = Math.max(most, (underWay += 1));
    await new Promise((resolve) => setTimeout(resolve, 500));
    underWay -= 1;
    await synthetic(asked)(request, response);
  });
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** A caller whose connection breaks once the provider was asked. */
async function leave() {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const call = request(new URL("/v1/chat/completions", gateway.url), { method: "POST", headers });
  call.on("error", () => {});
  call.end(JSON.stringify({ model: "openai/gpt-4o-mini", messages: [{ role: "user", content: LONG }] }));
  while (seen < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  call.socket.resetAndDestroy();
}

async function send(content, { fields = { model: "openai/gpt-4o-mini" }, path = "/v1/chat/completions", as = key } = {}) {
  const headers = { authorization: `Bearer ${as}`, "content-type": "application/json" };
  const response = await gateway.fetch(path, { method: "POST", headers, body: JSON.stringify({ ...fields, messages: [{ role: "user", content }] }) });
  await response.text();
  return response.status;
}

test("wait for each other, and small ones do not wait for them", async () => {
  const long = Promise.all(Array.from({ length: 4 }, () => send(LONG)));
  assert.deepEqual(await long, [200, 200, 200, 200]);
  assert.equal(most, 2);
  [underWay, most] = [0, 0];
  assert.deepEqual(await Promise.all(Array.from({ length: 6 }, () => send("hi"))), Array(6).fill(200));
  assert.ok(most > 2, `${most}`);
});

test("are counted as what they take where they are forms", async () => {
  upstream.behave(() => async (_, response) => {
    most = Math.max(most, (underWay += 1));
    await new Promise((resolve) => setTimeout(resolve, 500));
    underWay -= 1;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ text: "hello" }));
  });
  const transcribe = async () => {
    const form = new FormData();
    form.append("model", "openai/whisper-1");
    form.append("file", new Blob([new Uint8Array(20 << 20)]), "talk.mp3");
    const headers = { authorization: `Bearer ${key}` };
    const response = await gateway.fetch("/v1/audio/transcriptions", { method: "POST", headers, body: form });
    await response.text();
    return response.status;
  };
  assert.deepEqual(await Promise.all(Array.from({ length: 4 }, transcribe)), [200, 200, 200, 200]);
  assert.equal(most, 4);
});

test("give way when their callers leave", { timeout: 60_000 }, async () => {
  upstream.behave(() => silence());
  await Promise.all([leave(), leave()]);
  upstream.behave(synthetic);
  const started = Date.now();
  assert.equal(await send(LONG), 200);
  assert.ok(Date.now() - started < 8_000, "nobody waits for who has left");
});

test("are compared by few models at a time", async () => {
  const models = ["openai/gpt-4o-mini", "openai/gpt-4o", "mistral/mistral-small-latest", "deepseek/deepseek-chat"];
  assert.equal(await send(LONG, { fields: { models }, path: "/v1/compare" }), 200);
  assert.equal(most, 2);
});

test("of who has no key take none", { timeout: 60_000 }, async () => {
  const { hostname, port } = new URL(gateway.url);
  /** Says that it sends so much, and sends nothing. */
  const stall = (path) => {
    const sockets = connect(Number(port), hostname);
    const head = [`POST ${path} HTTP/1.1`, "host: gateway", "authorization: Bearer lk-nobody", "content-type: application/json", "content-length: 16777216"];
    sockets.write(`${head.join("\r\n")}\r\n\r\n`);
    return sockets;
  };
  const stalled = ["/v1/chat/completions", "/v1/messages", "/v1/compare"].map(stall);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await send(LONG), 200);
  stalled.forEach((socket) => socket.destroy());
  for (const path of ["/v1/chat/completions", "/v1/compare"]) assert.equal(await send(LONG, { path, as: "lk-nobody" }), 401);
});

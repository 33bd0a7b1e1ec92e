// The README's rehearsal of failover, command by command, and what a commit by time leaves a caller to read.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { chatStart, event } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

let upstream;
let gateway;
let key;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  ({ key } = await gateway.createKey());
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** The commands of the section, as headers and body. */
function commands() {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const section = readme.slice(readme.indexOf("## Failover and deadlines"), readme.indexOf("\n## Limits"));
  const lines = section.split("\n").filter((line) => line.startsWith("chat -"));
  return lines.map((line) => ({
    headers: Object.fromEntries([...line.matchAll(/-H "([^:"]+): ([^"]+)"/g)].map(([, name, value]) => [name, value])),
    body: JSON.parse(line.match(/-d '(.*)'$/)[1]),
  }));
}

async function chat({ headers, body }) {
  const started = Date.now();
  const answer = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  const chunks = body.stream
    ? text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)))
    : [JSON.parse(text)];
  const latchkey = chunks.map(({ latchkey }) => latchkey).findLast((told) => told !== undefined);
  return { status: answer.status, model: answer.headers.get("x-latchkey-model"), text, chunks, latchkey, took: Date.now() - started };
}

test("the rehearsal in the README shows what it says", async () => {
  const [refused, hung, cut, slow, ...more] = commands();
  assert.equal(more.length, 0, "each command has its check here");

  const elsewhere = await chat(refused);
  assert.equal(elsewhere.status, 200, elsewhere.text);
  const targets = elsewhere.latchkey.attempts.map(({ target }) => target);
  assert.deepEqual([...new Set(targets)], ["sandbox/status-503", "sandbox/echo"], "repeated at the first, then the second");

  const late = await chat(hung);
  assert.equal(late.status, 200, late.text);
  assert.match(late.model, /echo$/);
  assert.ok(late.took >= 500 && late.took < 5_000, `${late.took} ms`);

  const continued = await chat(cut);
  assert.equal(continued.latchkey.continued, true, continued.text);
  assert.ok(continued.text.endsWith("data: [DONE]\n\n"));

  const raced = await chat(slow);
  assert.equal(raced.status, 200, raced.text);
  assert.ok(raced.took < 2_500, `${raced.took} ms`);
  assert.deepEqual(raced.latchkey.attempts.map(({ target }) => target).sort(), ["sandbox/delay-3000", "sandbox/echo"]);
});

test("after a commit by time the last chunk and an error event tell what the status could not", async () => {
  await gateway.configure({ limits: { deadlines: { commit_after_ms: 300, first_token_ms: 1_500 } }, failover: { same_target: 0 } });
  const words = event({ error: { message: "down", type: "server_error", param: null, code: null } });
  upstream.behave(() => async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(chatStart());
    await new Promise((resolve) => setTimeout(resolve, 900));
    response.end(words);
  });
  const body = { models: ["openai/silent", "mistral/mistral-small-latest"], stream: true, messages: [{ role: "user", content: "Hi" }] };
  const { status, text, chunks, latchkey } = await chat({ headers: {}, body });
  assert.equal(status, 200, "it was sent before anything was known");
  assert.match(text, /^: /m, "comments keep the connection");
  assert.ok(chunks.some(({ error }) => error !== undefined), text);
  assert.equal(latchkey.attempts[0].target, "openai/silent");
  assert.ok(!text.includes("[DONE]"), text);
  assert.equal(upstream.requests.length, 1, "it can no longer move");
});

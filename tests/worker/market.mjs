// A gateway in front of two hosts of the same models, the first twice as dear as the second: for tests of what decides
// between them.

import assert from "node:assert/strict";
import { startGateway } from "./gateway.mjs";
import { json } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

/** How long something that takes effect by itself may take. */
const PATIENCE = 30_000;

/** Opens one; its key is made with `fields`. The host of a request is the first part of its path. */
export async function openMarket(fields = {}) {
  const upstream = await startUpstream();
  const gateway = await startGateway(upstream);
  const { key } = await gateway.createKey(fields);

  /** Sends a call; gives its status, the target that served it, its headers and its body. */
  async function send(body, headers = {}, bearer = key) {
    const init = { method: "POST", headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json", ...headers } };
    const response = await gateway.fetch("/v1/chat/completions", { ...init, body: JSON.stringify(body) });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, target: response.headers.get("x-latchkey-model"), headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  return {
    upstream,
    gateway,
    key,
    send,
    /** Puts the two hosts in force, with further sections; of `models` those that are given replace the usual ones. */
    configure: (more = {}) => gateway.configure({ ...document(upstream.url), ...more, models: { ...document(upstream.url).models, ...more.models } }),
    /** Puts an alias `any` in force. */
    alias: (any, more = {}) => gateway.configure({ ...document(upstream.url), ...more, models: { ...document(upstream.url).models, ...more.models }, aliases: { any, ...more.aliases } }),
    /** What a call was decided by. */
    async explained(body, headers = {}, bearer = key) {
      const answer = await send(body, { "x-latchkey-explain": "true", ...headers }, bearer);
      assert.equal(answer.status, 200, answer.text);
      // A stream tells it at its end.
      const events = answer.text.split("\n").filter((line) => line.startsWith("data: {"));
      return (answer.json ?? JSON.parse(events.at(-1).slice(6))).latchkey;
    },
    async close() {
      await gateway.close();
      await upstream.close();
    },
  };
}

/** Asks again and again until `wanted` gives something. */
export async function until(wanted) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await wanted();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${PATIENCE} ms`);
  }
}

/** A call of a model, or an alias. */
export function say(model, more = {}) {
  return { model, messages: [{ role: "user", content: "hi" }], ...more };
}

/** An answer in OpenAI's format. */
export function answer(content, { usage, message, ...choice } = {}) {
  return json({
    id: "a",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content, ...message }, finish_reason: "stop", ...choice }],
    usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11, ...usage },
  });
}

/** The price of a model, in US dollars per million tokens. */
export function priced(input, output, more = {}, rest = {}) {
  return { prices: [{ usd_per_mtok: { input, output, ...more }, ...rest }] };
}

function document(url) {
  const host = (name) => ({ base_url: `${url}/${name}/v1`, auth: "none", models: ["stone", "pebble", "flint", "chalk"] });
  return {
    providers: { dear: host("dear"), fair: host("fair") },
    models: {
      "dear/stone": priced(2, 2),
      "fair/stone": priced(1, 1),
      "dear/pebble": priced(2, 2, { cache_read: 0.1 }),
      "fair/pebble": priced(1, 1),
    },
  };
}

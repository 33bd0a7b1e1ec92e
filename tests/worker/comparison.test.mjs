// Comparisons of long bodies: an isolate has only so much memory for all that it does at a time.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { synthetic } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const MODELS = ["openai/gpt-4o-mini", "openai/gpt-4o", "mistral/mistral-small-latest", "deepseek/deepseek-chat"];
/** Of bodies of 12 MiB two fit at a time. */
const LONG = "word ".repeat((12 << 20) / 5);

let upstream;
let gateway;
let key;
let [underWay, most] = [0, 0];

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  ({ key } = await gateway.createKey());
  // They are long, and not to be remembered.
  upstream.watch(() => {});
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

for (const stream of [false, true]) {
  test(`a long body is asked of few models at a time, ${stream ? "streamed" : "in one piece"}`, async () => {
    most = 0;
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const body = JSON.stringify({ models: MODELS, stream, messages: [{ role: "user", content: LONG }] });
    const response = await gateway.fetch("/v1/compare", { method: "POST", headers, body });
    const told = await response.text();
    assert.equal(response.status, 200, told.slice(0, 500));
    for (const model of MODELS) assert.ok(told.includes(model), model);
    assert.equal(most, 2);
  });
}

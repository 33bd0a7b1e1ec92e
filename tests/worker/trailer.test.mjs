// What a model signs comes back to it over three turns, through official SDKs of protocols that have no place for it, and
// to no other model.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { startGateway } from "./gateway.mjs";
import { event, json, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const MODEL = "gemini/gemini-3-flash-preview";
const OTHER = "gemini/gemini-2.5-flash";
const CITIES = ["Oslo", "Rome", "Lima"];
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const signatureOf = (city) => Buffer.from(`the thoughts about ${city}, signed`).toString("base64");

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

/** A turn in which the model looks something up, and signs that. */
function looksUp(city) {
  const call = { functionCall: { name: "look_up", args: { city } }, thoughtSignature: signatureOf(city) };
  return {
    candidates: [{ index: 0, content: { role: "model", parts: [call] }, finishReason: "STOP" }],
    usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 2, totalTokenCount: 11 },
    modelVersion: "gemini-3-flash-preview",
  };
}

/** The calls that the model was shown of its own, with what they are signed with. */
function shown() {
  const parts = upstream.last().json.contents.flatMap(({ parts }) => parts);
  return parts.filter(({ functionCall }) => functionCall).map(({ functionCall, thoughtSignature }) => [functionCall.args.city, thoughtSignature]);
}

/** Three turns of a conversation; `turn` asks, and gives what was left out. */
async function converse(turn) {
  for (const [index, city] of CITIES.entries()) {
    const [whole, streamed] = [json(looksUp(city)), stream(event(looksUp(city)))];
    upstream.reply((seen, response) => (/stream/.test(seen.path) ? streamed : whole)(seen, response));
    await turn(MODEL, city);
    assert.deepEqual(shown(), CITIES.slice(0, index).map((city) => [city, signatureOf(city)]), `turn ${index + 1}`);
  }
}

/** A fourth turn with another model, which gets the words alone. */
async function goElsewhere(turn) {
  upstream.reply((seen, response) => (/stream/.test(seen.path) ? stream(event(looksUp("Bonn"))) : json(looksUp("Bonn")))(seen, response));
  const adjusted = await turn(OTHER, "Bonn");
  const signed = shown();
  assert.deepEqual(signed.map(([city]) => city), CITIES, "the conversation is there");
  for (const city of CITIES) assert.ok(!upstream.last().text.includes(signatureOf(city)), "no thought of another model's is");
  assert.match(adjusted, /reasoning_details=dropped/);
}

describe("what a model signs survives three turns", () => {
  test("of Messages, streamed", async () => {
    const client = new Anthropic({ baseURL: gateway.url, apiKey: key, maxRetries: 0 });
    const tools = [{ name: "look_up", description: "Looks a city up.", input_schema: SCHEMA }];
    const messages = [{ role: "user", content: "Which city is the oldest?" }];
    const turn = async (model, city) => {
      const answering = client.messages.stream({ model, max_tokens: 500, tools, messages });
      const { content } = await answering.finalMessage();
      const { response } = await answering.withResponse();
      const call = content.find(({ type }) => type === "tool_use");
      assert.deepEqual(call.input, { city });
      messages.push({ role: "assistant", content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "Old." }] });
      return response.headers.get("x-latchkey-adjusted");
    };
    await converse(turn);
    await goElsewhere(turn);
  });

  test("of Responses", async () => {
    const tools = [{ type: "function", name: "look_up", parameters: SCHEMA, strict: false }];
    const input = [{ role: "user", content: "Which city is the oldest?" }];
    const turn = async (model, city) => {
      const { data, response } = await gateway.client(key).responses.create({ model, tools, input }).withResponse();
      const call = data.output.find(({ type }) => type === "function_call");
      assert.deepEqual(JSON.parse(call.arguments), { city });
      input.push(...data.output, { type: "function_call_output", call_id: call.call_id, output: "Old." });
      return response.headers.get("x-latchkey-adjusted");
    };
    await converse(turn);
    await goElsewhere(turn);
  });

  test("of Chat Completions", async () => {
    const tools = [{ type: "function", function: { name: "look_up", parameters: SCHEMA } }];
    const messages = [{ role: "user", content: "Which city is the oldest?" }];
    const turn = async (model, city) => {
      const { data, response } = await gateway.client(key).chat.completions.create({ model, tools, messages }).withResponse();
      const [{ message }] = data.choices;
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city });
      messages.push(message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "Old." });
      return response.headers.get("x-latchkey-adjusted");
    };
    await converse(turn);
    await goElsewhere(turn);
  });
});

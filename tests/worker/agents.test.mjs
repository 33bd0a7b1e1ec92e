// Coding agents: what each really sends (tests/fixtures/agents), to models of every protocol. Nothing of it may be refused,
// every tool must arrive, and the answer must be a whole stream in the agent's own protocol.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { event, replay, stream } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const AGENTS = ["claude-code", "codex-cli", "cursor", "gemini-cli", "opencode"];
const MODELS = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro", "mistral/mistral-large-latest"];
/** A recorded stream in which a model calls a tool, by the path that it is asked on. */
const ANSWERS = [
  [/^\/openai\/v1\/responses$/, "openai.responses-stream.88ec630305"],
  [/\/chat\/completions$/, "openai.tools-stream.a773dd1c43"],
  [/\/messages$/, "anthropic.tools-stream.89b71c9d5e"],
];
/** The same of Gemini's. */
const GEMINI = {
  candidates: [{ index: 0, content: { role: "model", parts: [{ functionCall: { name: "look", args: {} } }] }, finishReason: "STOP" }],
  usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 2, totalTokenCount: 11 },
};
/** How a whole stream ends in each protocol that agents speak, and how a call of a tool is told. */
const PROTOCOLS = [
  { path: "/v1/messages", end: /event: message_stop\n/, call: /"type":"tool_use"/ },
  { path: "/v1/responses", end: /event: response\.completed\n/, call: /"type":"function_call"/ },
  { path: "/v1/chat/completions", end: /data: \[DONE\]\n/, call: /"tool_calls":\[/ },
  { path: "/v1beta/", end: /"finishReason":\s*"STOP"/, call: /"functionCall":/ },
];

const recorded = Object.fromEntries(["openai", "anthropic"].flatMap(recordings).map((one) => [one.id, one]));

describe("coding agents", () => {
  let upstream;
  let gateway;
  let key;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway(upstream);
    ({ key } = await gateway.createKey());
    upstream.behave(({ path }) => {
      const [, id] = ANSWERS.find(([asked]) => asked.test(path)) ?? [];
      return id === undefined ? stream(event(GEMINI)) : replay(recorded[id], { chunking: "events" });
    });
  });

  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  for (const name of AGENTS) {
    const { agent, version, requests } = fixture(name);
    for (const model of MODELS) {
      test(`${agent} ${version} and ${model}`, async () => {
        for (const request of requests) {
          const { path, body } = towards(model, request);
          const headers = { ...request.headers, authorization: `Bearer ${key}` };
          const response = await gateway.fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
          const text = await response.text();
          assert.equal(response.status, 200, text);
          const { end, call } = PROTOCOLS.find((protocol) => path.startsWith(protocol.path));
          assert.match(text, end);
          assert.match(text, call);
          const sent = upstream.last().json;
          assert.deepEqual(toolsOf(sent).sort(), toolsOf(body).sort());
          assert.equal(resultsOf(sent), resultsOf(body), "results of tools");
          const adjusted = (response.headers.get("x-latchkey-adjusted") ?? "").split(", ");
          assert.ok(!adjusted.some((entry) => /^(messages|tools|tool_choice)/.test(entry)), adjusted.join(", "));
        }
      });
    }
  }
});

function fixture(name) {
  return JSON.parse(readFileSync(fileURLToPath(new URL(`../fixtures/agents/${name}.json`, import.meta.url)), "utf8"));
}

/** The same request for another model, which is named in the body or in the path. */
function towards(model, { path, body }) {
  if ("model" in body) return { path, body: { ...body, model } };
  return { path: path.replace(/(?<=\/models\/).*(?=:)/, model), body };
}

/** The names of all tools in a request, of any protocol. */
function toolsOf({ tools = [] }) {
  const flat = tools.flatMap((tool) => {
    if (tool.type === "namespace") return tool.tools.map(({ name }) => ({ name: `${tool.name}__${name}` }));
    return tool.functionDeclarations ?? tool.function ?? tool;
  });
  return flat.map(({ name }) => name);
}

/** How many results of tools a request holds, of any protocol. */
function resultsOf({ messages = [], contents = [], input = [] }) {
  const parts = [...messages, ...contents].flatMap(({ role, content, parts }) => (role === "tool" ? { functionResponse: true } : parts ?? content));
  return [...parts, ...input].filter((part) => part?.functionResponse || part?.type === "tool_result" || /_output$/.test(part?.type)).length;
}

// Whoever talks to a provider through the gateway with OpenAI's SDK reads what the provider's own SDK reads from the very
// same bytes: text, tool calls, finish reason and usage, plain and streamed.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { OWN, readChat } from "./official_sdks.mjs";
import { corpusPresent, recordings } from "./recordings.mjs";
import { replay } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

/** The paths that chat answers come from in each provider's own format. */
const CHAT = {
  openai: /^\/v1\/chat\/completions$/,
  anthropic: /^\/v1\/messages$/,
  gemini: /:(streamG|g)enerateContent$/,
};

/** Recordings that the provider's own SDK cannot be held against, each with why. */
const NOT_COMPARABLE = {
  "anthropic.server-tools-stream.806c4a77f9": "two streams one after the other in one body, which the SDK refuses",
  "gemini.safety-stream.d5635853ea": "the SDK refuses the unfinished last event",
  "gemini.structured.6cccf0ac7a": "the finish reason is a number, which the SDK hands on as it is",
  "gemini.tools.6c5f9fd550": "the finish reason is a number, which the SDK hands on as it is",
  "gemini.vision.02f2515a04": "the finish reason is a number, which the SDK hands on as it is",
};

let upstream;
let gateway;
let client;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  const { key } = await gateway.createKey();
  client = gateway.client(key);
  if (!corpusPresent()) console.log("# SKIPPED: the corpus of recordings is not there; only tests/fixtures is tried");
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

for (const provider of Object.keys(OWN)) {
  describe(provider, () => {
    for (const recording of recordings(provider).filter(isChatAnswer)) {
      const streamed = isStream(recording);
      test(recording.id, async () => {
        upstream.reply(replay(recording));
        const own = await OWN[provider](upstream.url, streamed);
        upstream.reply(replay(recording, { chunking: streamed ? "events" : "whole" }));
        const ours = await readChat(client, `${provider}/${recording.model ?? "unnamed"}`, streamed);
        assert.equal(upstream.unused(), 0);
        assertSame(ours, own);
      });
    }
  });
}

function assertSame({ usage, estimated, ...ours }, { usage: ownUsage, estimated: _, ...own }) {
  // A stream that never says why it ended (`openai.audio-video-stream.ff74ab7e39`) is given the reason clients wait for.
  const unended = own.finish === undefined && ours.finish === "stop";
  assert.deepEqual(unended ? { ...ours, finish: own.finish, native: own.native } : ours, own);
  // A usage that the provider did not send is an estimate, and says so.
  if (ownUsage) assert.deepEqual(usage, ownUsage);
  else assert.ok(usage === undefined || estimated);
}

function isChatAnswer({ id, provider, endpoint, response, kind }) {
  if (Object.hasOwn(NOT_COMPARABLE, id)) return false;
  return CHAT[provider].test(endpoint) && response.status === 200 && kind !== "error-stream" && !isJsonArray(response);
}

/** Gemini's stream without `alt=sse`, which no official SDK asks for. */
function isJsonArray({ body }) {
  return body.trimStart().startsWith("[");
}

function isStream({ kind }) {
  return kind.endsWith("-stream");
}

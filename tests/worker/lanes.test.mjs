// A stream reaches its caller whole whichever way it takes: translated, patched or relayed, in a burst or slowly, alone or
// among many, and with a caller who is slow.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { startGateway } from "./gateway.mjs";
import { chatEnd, chatEvents, chatStart, event } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const WORDS = Array.from({ length: 300 }, (_, index) => `word-${index} `);

/** Larger than what may wait ahead of a slow caller. */
const LONG_WORDS = Array.from({ length: 200 }, (_, index) => `${index}${"x".repeat(8_000)} `);

/** More than lies in the buffers of the connections between. */
const FLOOD = Array.from({ length: 400 }, (_, index) => `${index}${"y".repeat(60_000)} `);

const LANES = {
  patched: { model: "openai/gpt-4o-mini", events: chatStream },
  relayed: { model: "openai/gpt-4o-mini", events: chatStream, lanes: { relay: true } },
  translated: { model: "anthropic/claude-sonnet-4-5", events: messageStream },
};

/** How the upstream writes its events: a reply that is sent in these pieces, with these pauses. */
const PACES = {
  "in one burst": paced(Infinity, 0),
  "event by event": paced(1, 0),
  "slowly at first": paced(1, 5, 10),
  briskly: paced(1, 4, 100),
  "slowly at last": paced(1, 15, 20, 280),
};

for (const [lane, { model, events, lanes }] of Object.entries(LANES)) {
  describe(`a ${lane} stream`, () => {
    let upstream;
    let gateway;
    let client;

    before(async () => {
      upstream = await startUpstream();
      gateway = await startGateway(upstream);
      if (lanes) {
        const { status, text } = await gateway.admin("PUT", "/admin/config", { version: 1, lanes }, { "if-match": "*" });
        assert.equal(status, 200, text);
      }
      client = gateway.client((await gateway.createKey()).key);
    });

    after(async () => {
      await gateway?.close();
      await upstream?.close();
    });

    for (const [pace, reply] of Object.entries(PACES)) {
      for (const callers of [1, 12]) {
        test(`arrives whole when it is sent ${pace}, with ${callers} at once`, async () => {
          upstream.reply(...Array.from({ length: callers }, () => reply(events(WORDS))));
          const answers = await Promise.all(Array.from({ length: callers }, () => read(client, model)));
          for (const { text, usage, finish } of answers) {
            assert.equal(text, WORDS.join(""));
            assert.equal(finish, "stop");
            assert.equal(usage.completion_tokens, 2);
          }
        });
      }
    }

    test("arrives whole at a caller who is slow", async () => {
      upstream.reply(PACES["event by event"](events(LONG_WORDS)));
      const { text } = await read(client, model, 10);
      assert.equal(text, LONG_WORDS.join(""));
    });

    test("is not taken to be silent while its caller is", async () => {
      const hasty = gateway.client((await gateway.createKey({ deadlines: { idle_ms: 500 } })).key);
      upstream.reply(PACES["in one burst"](events(FLOOD)));
      const { text } = await read(hasty, model, 1, 2_000);
      assert.equal(text.length, FLOOD.join("").length);
    });

    test("is recorded with its usage", async () => {
      await recorded(gateway, lane);
    });
  });
}

/** Reads a stream to its end, with a pause in milliseconds after each of the first `pauses` chunks. */
async function read(client, model, pauses = 0, pause = 20) {
  const messages = [{ role: "user", content: "Say hello" }];
  const options = { model, messages, stream: true, stream_options: { include_usage: true } };
  const answer = { text: "", usage: undefined, finish: undefined };
  let chunks = 0;
  for await (const { choices, usage } of await client.chat.completions.create(options)) {
    answer.text += choices[0]?.delta.content ?? "";
    answer.finish = choices[0]?.finish_reason ?? answer.finish;
    answer.usage = usage ?? answer.usage;
    if (++chunks <= pauses) await delay(pause);
  }
  return answer;
}

/** Waits for the log, which is written beside the answers, to tell of calls that went this way. */
async function recorded(gateway, lane) {
  const word = lane === "relayed" ? "relay" : lane;
  let lines = [];
  while (lines.length === 0) {
    lines = gateway.log().split("\n").filter((line) => line.includes(`"lane":"${word}"`));
    await delay(20);
  }
  const record = JSON.parse(lines[0]);
  assert.equal(record.status, 200);
  assert.equal(record.output_text, 2);
  assert.equal(record.state, "settled_actual");
}

/** A reply in pieces of so many events, with a pause in milliseconds after so many of them, from the first or a later one. */
function paced(size, pause, pauses = 0, from = 0) {
  return (events) => async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let index = 0; index < events.length; index += size) {
      await new Promise((resolve) => response.write(events.slice(index, index + size).join(""), resolve));
      if (index / size >= from && index / size < from + pauses) await delay(pause);
    }
    response.end();
  };
}

function chatStream(words) {
  return [chatStart(), ...words.map((word) => chatEvents(word)), ...chatEnd().split(/(?<=\n\n)/)];
}

function messageStream(words) {
  const message = { id: "msg_1", role: "assistant", model: "m", content: [], usage: { input_tokens: 9, output_tokens: 1 } };
  return [
    { type: "message_start", message },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...words.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } },
    { type: "message_stop" },
  ].map((data) => event(data, data.type));
}

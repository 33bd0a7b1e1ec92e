// Stored responses, as OpenAI's SDK uses them: turns that go on from one another, on a provider that speaks Responses and
// on one that does not, read, listed and deleted, by their own key alone, and gone when their time is over.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { recordings } from "./recordings.mjs";
import { replay } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const DAY = 86_400_000;
const recorded = Object.fromEntries(["openai", "anthropic"].flatMap(recordings).map((one) => [one.id, one]));
const SPOKEN = recorded["openai.responses.2beee1d855"];
const STREAMED = recorded["openai.responses-stream.88ec630305"];
const THOUGHT = recorded["anthropic.thinking.551343690f"];

let upstream;
let gateway;
let record;
let client;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream, {}, { isolates: 2 });
  record = await gateway.createKey({ store_responses: { days: 2 } });
  client = gateway.client(record.key);
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** A client whose calls go to this isolate. */
function at(isolate, key = record.key) {
  return gateway.client(key, { defaultHeaders: { "x-isolate": String(isolate) } });
}

describe("a conversation that goes on by its ids", () => {
  test("on a provider that speaks the protocol, plain and streamed, wherever the next turn arrives", async () => {
    const model = "openai/gpt-5-nano";
    upstream.reply(replay(SPOKEN), replay(STREAMED, { chunking: "events" }), replay(SPOKEN));
    const first = await client.responses.create({ model, input: "The first.", instructions: "Be brief." });
    assert.equal(first.store, true);
    assert.equal(upstream.last().json.store, false, "nothing is kept at the provider");
    assert.equal(upstream.last().json.previous_response_id, undefined);

    const call = first.output.find(({ type }) => type === "function_call");
    const result = { type: "function_call_output", call_id: call.call_id, output: "Sunny." };
    const stream = at(2).responses.stream({ model, input: [result], previous_response_id: first.id });
    const ids = new Set();
    for await (const event of stream) if (event.response) ids.add(event.response.id);
    const second = await stream.finalResponse();
    assert.deepEqual([...ids], [second.id], "one response has one name");
    assert.equal(second.previous_response_id, first.id);
    const kinds = upstream.last().json.input.map(({ type }) => type);
    assert.deepEqual(kinds, ["message", "function_call", "function_call_output"]);
    assert.equal(upstream.last().json.instructions, undefined, "earlier instructions are not carried over");

    const third = await client.responses.create({ model, input: "The third.", previous_response_id: second.id });
    assert.equal(third.previous_response_id, second.id);
    const sent = upstream.last().json.input;
    assert.equal(sent[0].content[0].text, "The first.");
    assert.deepEqual(sent.at(-1).content[0], { type: "input_text", text: "The third." });
    assert.equal(sent.length, 3 + second.output.length + 1);
  });

  test("on a provider that has nothing like it, with what its model thought", async () => {
    const model = "anthropic/claude-sonnet-4-5";
    upstream.reply(replay(THOUGHT), replay(THOUGHT), replay(THOUGHT));
    const first = await client.responses.create({ model, input: "The first.", store: true });
    const second = await client.responses.create({ model, input: "The second.", previous_response_id: first.id });
    await at(2).responses.create({ model, input: "The third.", previous_response_id: second.id, store: false });
    const { messages } = upstream.last().json;
    assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant", "user", "assistant", "user"]);
    for (const { content } of [messages[1], messages[3]]) {
      assert.deepEqual(content[0], { type: "redacted_thinking", data: "redacted_thinking_REDACTED_1" });
      assert.equal(content[1].text, "OK");
    }
  });
});

test("items are pointed at by their ids, wherever they are and whatever said them", async () => {
  upstream.reply(replay(SPOKEN), replay(THOUGHT), replay(THOUGHT));
  const [spoken, thought] = ["openai/gpt-5-nano", "anthropic/claude-sonnet-4-5"];
  const first = await client.responses.create({ model: spoken, input: "The first." });
  const second = await client.responses.create({ model: thought, input: "The second." });
  const points = ({ output }) => output.map(({ id }) => ({ type: "item_reference", id }));
  const call = first.output.find(({ type }) => type === "function_call");
  const result = { type: "function_call_output", call_id: call.call_id, output: "Sunny." };
  const input = [{ role: "user", content: "The first." }, ...points(first), result, { role: "user", content: "The second." }, ...points(second), { role: "user", content: "The third." }];
  await at(2).responses.create({ model: thought, input });
  const { messages } = upstream.last().json;
  assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant", "user", "assistant", "user"]);
  assert.equal(messages[1].content[0].id, messages[2].content[0].tool_use_id);
  assert.deepEqual(messages[3].content[0], { type: "redacted_thinking", data: "redacted_thinking_REDACTED_1" });

  const missing = { model: thought, input: [{ type: "item_reference", id: "msg_none" }] };
  const refused = ({ status, code, param }) => status === 400 && code === "item_not_found" && param === "input.0";
  await assert.rejects(client.responses.create(missing), refused);
  const other = await gateway.createKey({ store_responses: { days: 2 } });
  const foreign = gateway.client(other.key).responses.create({ model: thought, input: points(second) });
  await assert.rejects(foreign, refused);
  await client.responses.delete(second.id);
  const gone = at(2).responses.create({ model: thought, input: points(second) });
  await assert.rejects(gone, refused);
});

test("of items of one name the newest counts, however long all of them are, and what is no JSON has none", async () => {
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  const insert = (id, response, many, text = []) =>
    database
      .prepare(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${many})
         INSERT INTO responses SELECT ?1 || i, ?2, NULL, i, ?3, NULL, 1, '[]', ${response} FROM n`,
      )
      .bind(id, record.id, Date.now() + DAY, ...text)
      .run();
  const long = `'{"output":[{"type":"message","role":"assistant","id":"msg_same","content":"' || i || '"}],"x":"' || ?4 || '"}'`;
  await insert("resp_same", long, 12, ["x".repeat(1_800_000)]);
  await insert("resp_none", `'{"output":['`, 1);
  upstream.reply(replay(THOUGHT));
  const input = [{ role: "user", content: "Hello." }, { type: "item_reference", id: "msg_same" }, { role: "user", content: "Go on." }];
  await client.responses.create({ model: "anthropic/claude-sonnet-4-5", input, store: false });
  assert.equal(upstream.last().json.messages[1].content[0].text, "12");
});

describe("a stored response", () => {
  test("is read and listed as it was given, and deleted for good", async () => {
    upstream.reply(replay(SPOKEN), replay(SPOKEN));
    const model = "openai/gpt-5-nano";
    const first = await client.responses.create({ model, input: "The first." });
    const second = await client.responses.create({ model, input: "The second.", previous_response_id: first.id });
    const { output_text: _, ...given } = second;
    for (const isolate of [1, 2]) {
      const { output_text: _, ...read } = await at(isolate).responses.retrieve(second.id);
      assert.deepEqual(read, given);
    }
    const items = [];
    for await (const item of client.responses.inputItems.list(second.id, { order: "asc", limit: 2 })) items.push(item);
    assert.deepEqual(items.map(({ type }) => type), ["message", "reasoning", "function_call", "message"]);
    assert.equal(items[0].content[0].text, "The first.");
    assert.ok(items.every(({ id }) => typeof id === "string"));

    await client.responses.delete(first.id);
    for (const isolate of [1, 2]) await assert.rejects(at(isolate).responses.retrieve(first.id), isMissing);
    await assert.rejects(client.responses.delete(first.id), isMissing);
    const gone = client.responses.create({ model, input: "The third.", previous_response_id: second.id });
    await assert.rejects(gone, ({ status, code, param }) => status === 400 && code === "previous_response_not_found" && param === "previous_response_id");
    assert.ok(!(await rows()).some(({ id }) => id === first.id), "no row of it is left");
  });

  test("is for its own key, or for its team where both keys say so", async () => {
    const other = await gateway.createKey({ store_responses: { days: 2, shared_by: "team" } });
    const { json: team } = await gateway.admin("POST", "/admin/teams", { name: "stored" });
    const shared = { team_id: team.id, store_responses: { days: 2, shared_by: "team" } };
    const [mine, theirs] = [await gateway.createKey(shared), await gateway.createKey(shared)];
    upstream.reply(replay(SPOKEN), replay(SPOKEN));
    const model = "openai/gpt-5-nano";
    const own = await client.responses.create({ model, input: "Mine." });
    const teams = await at(1, mine.key).responses.create({ model, input: "Ours." });
    assert.equal((await at(2, theirs.key).responses.retrieve(teams.id)).id, teams.id);
    const answers = [];
    for (const id of [own.id, teams.id, `resp_${"0".repeat(32)}`]) {
      for (const [method, path] of [["GET", id], ["DELETE", id], ["GET", `${id}/input_items`]]) {
        const response = await gateway.fetch(`/v1/responses/${path}`, { method, headers: { authorization: `Bearer ${other.key}` } });
        answers.push(`${response.status} ${await response.text()}`);
      }
    }
    assert.equal(new Set(answers).size, 1, answers.join("\n"));
    assert.match(answers[0], /^404 .*"response_not_found"/);
    const taken = at(1, other.key).responses.create({ model, input: "Yours?", previous_response_id: own.id });
    await assert.rejects(taken, ({ status, code }) => status === 400 && code === "previous_response_not_found");
    assert.equal((await client.responses.retrieve(own.id)).id, own.id, "and is still there");
  });

  test("goes when its days are over", async () => {
    upstream.reply(replay(SPOKEN));
    const { id } = await client.responses.create({ model: "openai/gpt-5-nano", input: "For two days." });
    await until(async () => (await rows()).some((row) => row.id === id));
    const { expires_at, at } = (await rows()).find((row) => row.id === id);
    assert.equal(expires_at - at, 2 * DAY);
    // The schedule looks for what is old once an hour.
    const hourly = Math.floor((at + 2 * DAY) / 3_600_000) * 3_600_000 + 7 * 60_000;
    await gateway.scheduled(hourly - 3_600_000);
    assert.ok((await rows()).some((row) => row.id === id), "not before");
    await gateway.scheduled(hourly + 3_600_000);
    assert.ok(!(await rows()).some((row) => row.id === id));
    await assert.rejects(client.responses.retrieve(id), isMissing);
  });

  test("goes with its key", async () => {
    const { id: keyId, key } = await gateway.createKey({ store_responses: { days: 2 } });
    upstream.reply(replay(SPOKEN));
    const { id } = await at(1, key).responses.create({ model: "openai/gpt-5-nano", input: "As long as I am." });
    await until(async () => (await rows()).some((row) => row.id === id));
    assert.ok((await gateway.admin("DELETE", `/admin/keys/${keyId}`)).status < 300);
    const hourly = Math.floor(Date.now() / 3_600_000) * 3_600_000 + 7 * 60_000;
    await gateway.scheduled(hourly);
    assert.ok(!(await rows()).some((row) => row.id === id));
  });

  test("is none without the key's policy", async () => {
    const { key } = await gateway.createKey();
    upstream.reply(replay(SPOKEN));
    const { data, response } = await at(1, key).responses.create({ model: "openai/gpt-5-nano", input: "Hello", store: true }).withResponse();
    assert.equal(response.headers.get("x-latchkey-adjusted"), "store=dropped");
    await assert.rejects(at(1, key).responses.retrieve(data.id), isMissing);
    const next = at(1, key).responses.create({ model: "openai/gpt-5-nano", input: "Hello", previous_response_id: data.id });
    await assert.rejects(next, ({ status, param }) => status === 400 && param === "previous_response_id");
  });
});

function isMissing({ status, code }) {
  return status === 404 && code === "response_not_found";
}

async function rows() {
  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  return (await database.prepare("SELECT * FROM responses").all()).results;
}

async function until(holds) {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, "it never was");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

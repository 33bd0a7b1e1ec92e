// Talks through the running Worker: messages go to and fro, turns are paid, and a budget that is out ends the talk.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { talksOf } from "./recordings.mjs";
import { startTalks } from "./sockets.mjs";
import { soon } from "./upstream.mjs";

const usage = {
  total_tokens: 150,
  input_tokens: 100,
  output_tokens: 50,
  input_token_details: { audio_tokens: 100 },
  output_token_details: { audio_tokens: 50 },
};
/** 100 × 32 + 50 × 64 micro-dollars. */
const COST = 0.0064;

describe("realtime", () => {
  let talks;
  let gateway;

  /** A recorded talk that the provider plays, where it is set. */
  let script;

  before(async () => {
    talks = await startTalks((side) => {
      if (script !== undefined) return play(side, script);
      side.send(JSON.stringify({ type: "session.created" }));
      side.say = (text) => {
        if (typeof text !== "string") return side.send(text);
        const { type } = JSON.parse(text);
        if (type === "bye") side.close(1000);
        else side.send(JSON.stringify({ type: "response.done", response: { heard: type, usage } }));
      };
    });
    const base = { OPENAI_BASE_URL: `${talks.url}/openai/v1`, XAI_BASE_URL: `${talks.url}/xai/v1` };
    gateway = await startGateway(talks, { ...base, XAI_API_KEY: "xai-key-for-tests-8b9c0d1e2f3a" });
  });

  after(async () => {
    await gateway?.close();
    await talks?.close();
  });

  /** Opens a talk as a page in a browser does: with the key in a subprotocol. */
  async function open(key, model) {
    const protocol = `realtime, openai-insecure-api-key.${key}`;
    const headers = { upgrade: "websocket", "sec-websocket-protocol": protocol };
    const answer = await gateway.miniflare.dispatchFetch(`${gateway.url}/v1/realtime?model=${model}`, { headers });
    if (answer.webSocket === null) throw new Error(`the socket was refused: ${answer.status} ${await answer.text()}`);
    const socket = answer.webSocket;
    const events = [];
    const waiting = [];
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      events.push(typeof data === "string" ? JSON.parse(data) : data);
      waiting.shift()?.();
    });
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    const over = () => soon(closed, "the talk is over");
    socket.accept();
    /** The next event; those that have come already are the oldest first. */
    const next = async () => {
      const another = () => Promise.race([new Promise((resolve) => waiting.push(resolve)), closed]);
      if (events.length === 0) await soon(another(), "the talk goes on, or is over");
      return events.shift();
    };
    const say = (type) => socket.send(JSON.stringify({ type }));
    return { socket, next, over, say, protocol: answer.headers.get("sec-websocket-protocol") };
  }

  for (const [provider, model, secret] of [
    ["openai", "openai/gpt-realtime", "sk-openai-for-tests-1a2b3c4d5e6f"],
    ["xai", "xai/grok-voice-latest", "xai-key-for-tests-8b9c0d1e2f3a"],
  ]) {
    test(`a talk with ${provider} goes to and fro`, async () => {
      const { key } = await gateway.createKey();
      const talk = await open(key, model);
      assert.equal(talk.protocol, "realtime");
      assert.equal((await talk.next()).type, "session.created");
      talk.say("response.create");
      assert.equal((await talk.next()).response.heard, "response.create");
      const { url, headers } = talks.requests.at(-1);
      assert.equal(url, `/${provider}/v1/realtime?model=${model.split("/")[1]}`);
      assert.equal(headers.authorization, `Bearer ${secret}`);
      assert.ok(!JSON.stringify(headers).includes(key));
      talk.say("bye");
      assert.equal((await talk.over()).code, 1000);
    });
  }

  for (const [provider, model, rows] of [
    // What is heard is written down by another model: both costs are those of tests/gateway/talks.rs.
    ["openai", "openai/gpt-realtime", [0.0189256, 0.00255]],
    ["xai", "xai/grok-voice-latest", [0.006666668]],
  ]) {
    test(`recorded talks with ${provider} come as they were, and cost what they should`, async () => {
      const recorded = talksOf(provider).find(({ model: named, events }) => model.endsWith(named) && events.length > 50);
      script = { events: recorded.events, at: 0, heard: [] };
      const { key, id } = await gateway.createKey();
      const talk = await open(key, model);
      for (const { from, event } of recorded.events) {
        if (from === "caller") talk.socket.send(JSON.stringify(event));
        else assert.deepEqual(await talk.next(), event);
      }
      const said = recorded.events.filter(({ from }) => from === "caller").map(({ event }) => event);
      assert.deepEqual(script.heard, said, "the provider heard all of it");
      script = undefined;
      talk.socket.close(1000);
      await talk.over();
      const calls = await callsOf(id);
      assert.deepEqual(calls.map(({ cost }) => cost).sort((one, other) => other - one), rows);
    });
  }

  /** Plays the provider's part of a recorded talk: what comes next is sent once all before it was heard. */
  function play(side, script) {
    const speak = () => {
      for (; script.events[script.at]?.from === "provider"; script.at += 1) side.send(JSON.stringify(script.events[script.at].event));
    };
    side.say = (text) => {
      script.heard.push(JSON.parse(text));
      script.at += 1;
      speak();
    };
    speak();
  }

  test("what is no text goes to and fro as it is", async () => {
    const { key } = await gateway.createKey();
    const talk = await open(key, "openai/gpt-realtime");
    await talk.next();
    talk.socket.send(new Uint8Array([0, 255, 128]).buffer);
    assert.deepEqual([...new Uint8Array(await talk.next())], [0, 255, 128]);
    talk.say("bye");
    await talk.over();
  });

  test("every turn is in the record", async () => {
    const { key, id } = await gateway.createKey();
    const talk = await open(key, "openai/gpt-realtime");
    await talk.next();
    for (let turn = 0; turn < 3; turn += 1) {
      talk.say("response.create");
      await talk.next();
    }
    talk.socket.close(1000);
    await talk.over();
    const [call] = await callsOf(id);
    assert.deepEqual([call.endpoint, call.cost, call.status], ["realtime", 0.0192, 200]);
  });

  for (const own_ledger of [false, true]) {
    test(`a talk whose budget is out is told so and hung up on, ${own_ledger ? "in a team's own ledger" : "in the account's"}`, async () => {
      const team = await gateway.admin("POST", "/admin/teams", { name: "talkers", own_ledger });
      const budgets = [{ limit: 0.01, period: "total" }];
      const { key, id } = await gateway.createKey({ team_id: team.json.id, budgets, unknown_price: { hold: 0.001 } });
      const talk = await open(key, "openai/gpt-realtime");
      await talk.next();
      let last;
      for (let turn = 0; turn < 5 && last?.type !== "error"; turn += 1) {
        talk.say("response.create");
        last = await talk.next();
      }
      assert.equal(last.type, "error");
      assert.equal(last.error.code, "budget_exceeded");
      assert.equal((await talk.over()).code, 1008);
      const [call] = await callsOf(id);
      assert.ok(call.cost >= COST, `${call.cost}`);
    });
  }

  test("a key that may not talk is refused before anything is opened", async () => {
    const { key } = await gateway.createKey({ allowed_endpoints: ["chat/completions"] });
    const before = talks.requests.length;
    await assert.rejects(open(key, "openai/gpt-realtime"));
    assert.equal(talks.requests.length, before);
  });

  test("a caller who breaks the protocol is no failure of the provider", async () => {
    const { key, id } = await gateway.createKey();
    const { port, hostname } = new URL(gateway.url);
    const head = ["GET /v1/realtime?model=xai/grok-voice-latest HTTP/1.1", `host: ${hostname}`, "connection: Upgrade", "upgrade: websocket"];
    head.push("sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", `authorization: Bearer ${key}`);
    const socket = connect(port, hostname, () => socket.write(`${head.join("\r\n")}\r\n\r\n`));
    // A frame of a kind that there is not.
    socket.once("data", () => socket.write(Buffer.from([0x8f, 0x80, 1, 2, 3, 4])));
    await soon(once(socket, "close"), "the caller is hung up on");
    const [call] = await callsOf(id);
    assert.deepEqual([call.error, call.status], ["Disconnected", 200]);
    await gateway.admin("GET", "/admin/calls");
    const { json } = await gateway.admin("GET", "/admin/health");
    const talked = json.regions.flatMap(({ targets }) => targets).filter(({ target }) => target.startsWith("xai/"));
    assert.ok(talked.every(({ calls }) => calls.failed === 0), JSON.stringify(talked));
  });

  /** The records of a key's calls, once there are any. */
  async function callsOf(key) {
    for (let tries = 0; tries < 100; tries += 1) {
      const { json } = await gateway.admin("GET", `/admin/calls?key_id=${key}`);
      if (json.data.length > 0) return json.data;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("no record");
  }
});

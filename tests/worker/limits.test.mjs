// Rate limits in the running Worker: by key, team, user and model, in requests, tokens and parallel calls; and the wall
// against floods of bad keys.

import { after, before, beforeEach, describe, test } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { SECRETS, startGateway } from "./gateway.mjs";
import { synthetic } from "./replies.mjs";
import { soon, startUpstream } from "./upstream.mjs";

const MODEL = "openai/gpt-4o-mini";

let upstream;
let gateway;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream, {}, { isolates: 2, wall: { limit: 5, period: 60 } });
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

beforeEach(() => upstream.forget());

async function call(key, { model = MODEL, max_tokens = 10, headers = {}, isolate = 1 } = {}) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", "x-isolate": String(isolate), ...headers },
    body: JSON.stringify({ model, max_tokens, messages: [{ role: "user", content: "Say hello" }] }),
  });
  return { status: response.status, header: (name) => response.headers.get(name), json: await response.json() };
}

/** Calls until one is refused, and says how many were served. */
async function fill(key, options, most = 50) {
  for (let served = 0; served <= most; served += 1) {
    const answer = await call(key, options);
    if (answer.status !== 200) return { served, answer };
  }
  assert.fail(`${most} calls were served`);
}

/** How much memory the runtime has, in bytes: this process's only large child. */
function memory() {
  const statuses = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/status`, "utf8");
    } catch {
      // It has just ended.
      return "";
    }
  });
  const children = statuses.filter((status) => Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) === process.pid);
  return Math.max(...children.map((status) => Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0))) * 1024;
}

/** What every refusal says. */
function assertLimited({ status, header, json }, { unit, scope, max }) {
  assert.equal(status, 429, JSON.stringify(json));
  const { code, limit } = json.error;
  assert.equal(code, "rate_limit_exceeded");
  assert.deepEqual([limit.unit, limit.scope.type, limit.max], [unit, scope.type, max]);
  if (scope.id !== undefined) assert.equal(limit.scope.id, scope.id);
  assert.ok(limit.reset_at > Date.now() - 1_000, JSON.stringify(limit));
  assert.ok(Number(header("retry-after")) >= 1);
}

const made = async (path, body) => {
  const { status, text, json } = await gateway.admin("POST", path, body);
  assert.equal(status, 201, text);
  return json;
};

describe("a limit of", () => {
  test("output tokens a minute holds what a call may say, and gives back what it did not", async () => {
    const { id, key } = await gateway.createKey({ limits: [{ unit: "output_tokens", per: "minute", max: 60 }] });
    const first = await call(key);
    assert.deepEqual(["limit", "remaining"].map((what) => first.header(`x-ratelimit-${what}-tokens`)), ["60", "50"]);
    assert.match(first.header("x-ratelimit-reset-tokens"), /^[\d.ms]+$/);
    const { served, answer } = await fill(key);
    assertLimited(answer, { unit: "output_tokens", scope: { type: "key", id }, max: 60 });
    // Ten are held and two used: far more fit than would if what is held were gone.
    assert.ok(served >= 10, `${served}`);
    assert.equal(answer.header("ratelimit-policy"), '"output_tokens";q=60;w=60');
    assert.match(answer.header("ratelimit"), /^"output_tokens";r=\d+;t=\d+$/);
    const tooMuch = await call(key, { max_tokens: 61 });
    assert.equal(tooMuch.status, 429);
    assert.equal(tooMuch.header("retry-after"), null, "what never fits is not to be tried again");
  });

  test("input tokens counts prompts alone", async () => {
    const { id, key } = await gateway.createKey({ limits: [{ unit: "input_tokens", per: "hour", max: 200 }] });
    const { served, answer } = await fill(key, { max_tokens: 10_000 });
    assertLimited(answer, { unit: "input_tokens", scope: { type: "key", id }, max: 200 });
    assert.ok(served >= 2, `${served}`);
  });

  test("a team is one for all its keys", async () => {
    const team = (await made("/admin/teams", { name: "Search" })).id;
    await made("/admin/limits", { scope: { type: "team", id: team }, unit: "requests", per: "hour", max: 4 });
    const [one, two] = [await gateway.createKey({ team_id: team }), await gateway.createKey({ team_id: team })];
    assert.deepEqual([(await call(one.key)).status, (await call(two.key)).status], [200, 200]);
    const { served, answer } = await fill(one.key);
    assert.equal(served, 2);
    assertLimited(answer, { unit: "requests", scope: { type: "team", id: team }, max: 4 });
    assertLimited(await call(two.key), { unit: "requests", scope: { type: "team", id: team }, max: 4 });
    assert.equal((await call((await gateway.createKey()).key)).status, 200, "others are not of that team");
  });

  test("each user is their own", async () => {
    const { key } = await gateway.createKey();
    const limit = await made("/admin/limits", { scope: { type: "user", id: "*" }, unit: "requests", per: "day", max: 2 });
    const as = (name) => ({ headers: { "x-latchkey-user": name } });
    const { served, answer } = await fill(key, as("ada"));
    assert.equal(served, 2);
    assertLimited(answer, { unit: "requests", scope: { type: "user", id: "ada" }, max: 2 });
    assert.equal((await call(key, as("bob"))).status, 200);
    assert.equal((await call(key)).status, 200, "who names nobody is nobody's");
    await gateway.admin("DELETE", `/admin/limits/${limit.id}`);
  });

  test("a model leaves the others alone", async () => {
    const { id, key } = await gateway.createKey({ limits: [{ unit: "requests", per: "minute", max: 1, match: { model: "gpt-4o-mini" } }] });
    assert.equal((await call(key)).status, 200);
    assertLimited(await call(key), { unit: "requests", scope: { type: "key", id }, max: 1 });
    assert.equal((await call(key, { model: "openai/gpt-4o" })).status, 200);
  });

  test("parallel calls counts those of every isolate, and a place is free when a call ends", async () => {
    const { id, key } = await gateway.createKey({ limits: [{ unit: "parallel", max: 2 }] });
    const open = [];
    upstream.behave((seen) => async (request, response) => {
      if (seen.json.model === "gpt-4o") await new Promise((resolve) => open.push(resolve));
      await synthetic(seen)(request, response);
    });
    const under_way = [1, 2].map((isolate) => call(key, { model: "openai/gpt-4o", isolate }));
    for (const until = Date.now() + 15_000; open.length < 2; ) {
      assert.ok(Date.now() < until, `${open.length} of two calls have reached the provider`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const refused = await call(key, { isolate: 1 });
    assertLimited(refused, { unit: "parallel", scope: { type: "key", id }, max: 2 });
    open.forEach((end) => end());
    assert.deepEqual((await Promise.all(under_way)).map(({ status }) => status), [200, 200]);
    const end = Date.now() + 15_000;
    while ((await call(key, { isolate: 1 })).status !== 200) assert.ok(Date.now() < end, "no place is free again");
  });
});

describe("a flood of bad keys", () => {
  const from = (address) => ({ headers: { "cf-connecting-ip": address } });
  const BAD = "lk-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

  test("meets a wall, and nobody else does", async () => {
    const statuses = [];
    for (let number = 0; number < 12; number += 1) statuses.push((await call(BAD, from("198.51.100.9"))).status);
    assert.deepEqual(statuses.slice(0, 5), [401, 401, 401, 401, 401]);
    assert.equal(statuses.at(-1), 429, statuses.join());
    const { key } = await gateway.createKey();
    const refused = await call(key, from("198.51.100.9"));
    assert.equal(refused.status, 429, "whoever floods waits, whatever they send next");
    assert.ok(Number(refused.header("retry-after")) > 0);
    assert.equal(refused.json.error.code, "rate_limit_exceeded");
    assert.equal((await call(key, from("198.51.100.10"))).status, 200);
    assert.equal((await call(BAD, from("198.51.100.10"))).status, 401);
  });

  test("from Workers keeps out no other Worker, all of which come from one address", async () => {
    for (let number = 0; number < 12; number += 1) assert.equal((await call(BAD, from("2a06:98c0:3600::103"))).status, 401);
    const { key } = await gateway.createKey();
    assert.equal((await call(key, from("2a06:98c0:3600::103"))).status, 200);
  });

  test("meets the same wall before the admin API", async () => {
    const guess = (key) => gateway.fetch("/admin/keys", { headers: { authorization: `Bearer ${key}`, "cf-connecting-ip": "198.51.100.11" } });
    const statuses = [];
    for (let number = 0; number < 12; number += 1) statuses.push((await guess(`guess ${number}`)).status);
    assert.equal(statuses[0], 401);
    assert.equal(statuses.at(-1), 429, statuses.join());
    assert.equal((await guess(SECRETS.ADMIN_KEY)).status, 429, "a guess that is right is not told from others");
    assert.equal((await gateway.admin("GET", "/admin/keys")).status, 200);
  });

  test("fills no memory with bodies, whatever they say that they will send", { skip: !existsSync("/proc/self/status") }, async () => {
    const [callers, bytes] = [24, 16 << 20];
    const before = memory();
    const { port, hostname } = new URL(gateway.url);
    const sockets = Array.from({ length: callers }, (_, index) => {
      const path = ["/v1/chat/completions", "/v1/compare", "/v1/audio/transcriptions"][index % 3];
      const kind = path.includes("audio") ? "multipart/form-data; boundary=x" : "application/json";
      const head = [`POST ${path} HTTP/1.1`, `host: ${hostname}`, `cf-connecting-ip: 203.0.113.${index}`, `authorization: Bearer ${BAD}`];
      const socket = connect(port, hostname);
      socket.write([...head, `content-type: ${kind}`, `content-length: ${bytes}`, "", ""].join("\r\n"));
      socket.write(Buffer.alloc(bytes - 1, " "));
      return socket;
    });
    await Promise.all(sockets.map(async (socket) => {
      while (socket.bytesWritten < bytes) await new Promise((resolve) => setTimeout(resolve, 20));
    }));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const grown = memory() - before;
    const answers = sockets.map(async (socket) => {
      socket.write("}");
      const [answer] = await once(socket, "data");
      socket.destroy();
      return String(answer).slice(0, 12);
    });
    const heads = new Set(await soon(Promise.all(answers), "all are answered"));
    assert.ok(grown < (callers * bytes * 3) / 5, `${grown >> 20} MiB more`);
    assert.deepEqual(heads, new Set(["HTTP/1.1 401"]));
  });
});

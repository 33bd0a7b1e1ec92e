// Thousands of callers who leave in the middle of their calls: what they leave behind, here and at the provider.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, test } from "node:test";
import { LiveStream } from "../../src/edge/stream.mjs";
import { SECRETS, startGateway } from "./gateway.mjs";
import { chatEnd, chatEvents, chatStart, silence, stall } from "./replies.mjs";
import { soon, startUpstream } from "./upstream.mjs";

const CALLERS = 5_000;
const QUESTION = [{ role: "user", content: "Say hello" }];

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

test("leave no call and no connection behind", async () => {
  upstream.behave(({ json: body }) => (body?.stream ? stall(chatStart() + chatEvents("once ")) : silence()));
  let left = 0;
  let open = 0;
  upstream.watch((seen) => {
    open += 1;
    void seen.left.then(() => (open -= 1));
  });
  /** One caller after another; each leaves as soon as its call has reached the provider. */
  const line = async () => {
    while (left < CALLERS) {
      left += 1;
      await leave(`left-${left}`, left % 2 === 0);
    }
  };
  const started = Date.now();
  await Promise.all(Array.from({ length: 32 }, line));
  const until = Date.now() + 10_000;
  let calls;
  do {
    const { json: health } = await gateway.admin("GET", "/admin/health");
    calls = health.isolate.calls_under_way;
  } while ((open > 0 || calls > 0) && Date.now() < until);
  console.log(`${left} callers left within ${Date.now() - started} ms: ${open} connections and ${calls} calls remain`);
  assert.deepEqual({ open, calls }, { open: 0, calls: 0 });

  upstream.watch(undefined);
  upstream.behave(undefined);
  const answer = await gateway.client(key).chat.completions.create({ model: "openai/gpt-4o", messages: QUESTION });
  assert.equal(answer.choices[0].message.content, "Hello there", "and it still serves");
});

test("of a key that drains have their answers read to the end, for 25 seconds at most", async () => {
  const drained = await gateway.createKey({ on_disconnect: "drain" });
  let release;
  const released = new Promise((resolve) => (release = resolve));
  upstream.behave((seen) => async (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(chatStart() + chatEvents("once "));
    await released;
    // The other never ends.
    if (seen.json.model !== "drained-1") return void (await seen.left);
    response.end(chatEvents("and done") + chatEnd());
  });
  const arrived = new Map();
  upstream.watch((seen) => arrived.set(seen.json.model, seen));
  const left = Date.now();
  await Promise.all([1, 2].map((number) => leave(`drained-${number}`, true, drained.key)));
  release();
  assert.equal(await arrived.get("drained-1").left, false, "read to its end though nobody waits for it");
  assert.equal(await arrived.get("drained-2").left, true, "one without an end is let go of");
  const took = Date.now() - left;
  assert.ok(took >= 20_000 && took < 40_000, `after ${took} ms`);
  upstream.watch(undefined);
  upstream.behave(undefined);

  const database = await gateway.miniflare.getD1Database("DB", gateway.name);
  const rows = async () => (await database.prepare("SELECT * FROM calls WHERE key_id = ? ORDER BY model").bind(drained.id).all()).results;
  const until = Date.now() + 20_000;
  while ((await rows()).length < 2) {
    assert.ok(Date.now() < until, "what they cost is recorded");
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  assert.deepEqual((await rows()).map(({ model, state }) => [model, state]), [
    ["drained-1", "settled_actual"],
    ["drained-2", "settled_estimate"],
  ]);
});

test("who leaves before the first token is not waited for", async () => {
  const abort = new AbortController();
  const live = { sent: Date.now(), abort, renew() {}, end() {} };
  const body = new ReadableStream({ start: (source) => abort.signal.addEventListener("abort", () => source.error("aborted")) });
  const step = { idle: 60_000, first_token: 60_000, total: 60_000, commit_after: 60_000 };
  const stream = new LiveStream({}, live, step, { body });
  const answered = new Promise((resolve) => void stream.run(resolve));
  live.over = true;
  abort.abort();
  assert.deepEqual(await soon(answered, "their request ends"), { do: "finish" });
});

test("who leaves while they are still sending is no defect of the gateway", async () => {
  const form = "multipart/form-data; boundary=X";
  const paths = [
    ["/v1/chat/completions", "application/json"],
    ["/v1/compare", "application/json"],
    ["/v1/audio/transcriptions", form],
    ["/passthrough/openai/v1/responses", "application/json"],
    ["/admin/config", "application/json"],
  ];
  for (const [path, type] of paths) for (const length of [5_000, undefined]) await breakOff(path, type, length, key);
  const answer = await gateway.client(key).chat.completions.create({ model: "openai/gpt-4o", messages: QUESTION });
  assert.equal(answer.choices[0].message.content, "Hello there");
  assert.doesNotMatch(gateway.log(), /crashed/);
  const { json: health } = await gateway.admin("GET", "/admin/health");
  assert.equal(health.isolate.calls_under_way, 0);
});

test("an upload that its caller breaks off says nothing of the provider", async () => {
  const { key } = await gateway.createKey({ allowed_endpoints: ["passthrough", "audio/transcriptions"] });
  const part = "Content-Disposition: form-data; name=";
  const form = `--X\r\n${part}"model"\r\n\r\nopenai/whisper-1\r\n--X\r\n${part}"file"; filename="a.mp3"\r\n\r\n`;
  const before = upstream.brokenOff();
  for (const length of [40_000_000, undefined, 40_000_000, 40_000_000]) {
    await breakOff("/passthrough/openai/v1/files", "application/octet-stream", length, key);
    // Of a form the first 25 MiB are kept; what follows passes as it comes.
    await breakOff("/v1/audio/transcriptions", "multipart/form-data; boundary=X", length, key, form, 27_000_000);
  }
  await until(() => upstream.brokenOff() >= before + 8, "the provider hears that nothing more comes");
  const asked = await gateway.fetch("/passthrough/openai/v1/files", { headers: { authorization: `Bearer ${key}` } });
  assert.equal(asked.headers.get("x-latchkey-attempts"), "1", "it is asked as ever");
  const { json: health } = await gateway.admin("GET", "/admin/health");
  const failing = health.regions.flatMap(({ targets }) => targets).filter(({ last_errors: errors }) => errors.length > 0);
  assert.deepEqual(failing, []);
});

async function until(holds, what) {
  const end = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < end, what);
    await delay(20);
  }
}

/** A caller who promises `length` bytes (or says nothing of how many) and leaves after some of them. */
async function breakOff(path, type, length, credential, start = '{"model": "', bytes = 100_000) {
  const headers = { "content-type": type, ...(length && { "content-length": length }) };
  const authorization = path.startsWith("/admin") ? SECRETS.ADMIN_KEY : credential;
  const call = httpRequest(new URL(path, gateway.url), {
    method: path === "/admin/config" ? "PUT" : "POST",
    headers: { ...headers, authorization: `Bearer ${authorization}` },
  });
  call.on("error", () => {});
  const closed = new Promise((resolve) => call.once("close", resolve));
  const room = Math.min(bytes, (length ?? Infinity) - start.length - 1_000);
  await soon(new Promise((resolve) => call.write(start + "x".repeat(room), resolve)), `${path} takes what is sent`);
  await delay(100);
  call.destroy();
  await closed;
}

/** A caller whose connection breaks once the provider was asked for `model`. */
async function leave(model, streamed, credential = key) {
  const call = httpRequest(new URL("/v1/chat/completions", gateway.url), {
    method: "POST",
    headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
  });
  call.on("error", () => {});
  const closed = new Promise((resolve) => call.once("close", resolve));
  const arrived = upstream.asked(model);
  call.end(JSON.stringify({ model: `openai/${model}`, messages: QUESTION, stream: streamed }));
  await arrived;
  call.socket.resetAndDestroy();
  await closed;
}

// The gateway as a server: its routes, what it refuses before any call begins, browsers, and secrets kept.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SECRETS, startGateway } from "./gateway.mjs";
import { json } from "./replies.mjs";
import { startUpstream } from "./upstream.mjs";

const CALL = { model: "openai/gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };

/** Small, so that a body over it has left before the answer comes: a caller still writing would miss that. */
const LARGEST_BODY = 64 * 1024;

let upstream;
let gateway;
let key;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  // Before the first call, so that it holds for all of them.
  const document = { version: 1, limits: { body_bytes: LARGEST_BODY } };
  const { status, text } = await gateway.admin("PUT", "/admin/config", document, { "if-match": "*" });
  assert.equal(status, 200, text);
  ({ key } = await gateway.createKey());
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

function post(path, body, headers = {}) {
  return gateway.fetch(path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function assertError(response, status, code) {
  const { error } = await response.json();
  assert.equal(response.status, status);
  assert.equal(typeof error.message, "string");
  assert.equal(typeof error.type, "string");
  assert.ok("param" in error);
  if (code) assert.equal(error.code, code);
}

describe("routes", () => {
  test("health needs no key", async () => {
    assert.equal((await gateway.fetch("/health")).status, 200);
    assert.equal((await gateway.fetch("/health/ready")).status, 200);
  });

  test("the front page says what this is", async () => {
    const response = await gateway.fetch("/");
    assert.equal(response.status, 200);
    assert.match(await response.text(), /Latchkey/);
  });

  test("an unknown path is a 404 in OpenAI's shape", async () => {
    await assertError(await gateway.fetch("/v1/no/such/path", { headers: { authorization: `Bearer ${key}` } }), 404);
    await assertError(await gateway.fetch("/nowhere"), 404);
  });

  test("a known path with another method is a 405 that names the right ones", async () => {
    const response = await gateway.fetch("/v1/chat/completions", { headers: { authorization: `Bearer ${key}` } });
    assert.match(response.headers.get("allow"), /POST/);
    await assertError(response, 405);
  });

  test("every path and method of the description exists in the running Worker", async () => {
    const response = await gateway.fetch("/openapi.json");
    assert.equal(response.status, 200);
    const document = await response.json();
    assert.match(document.openapi, /^3\.1\./);
    for (const [path, methods] of Object.entries(document.paths)) {
      const concrete = path.replaceAll(/\{[^}]+\}/g, "none");
      for (const method of Object.keys(methods).filter((name) => /^(get|post|put|patch|delete)$/.test(name))) {
        const headers = { authorization: `Bearer ${path.startsWith("/admin") ? SECRETS.ADMIN_KEY : key}` };
        const body = /^(get|delete)$/.test(method) ? undefined : "{}";
        if (body) headers["content-type"] = "application/json";
        const answer = await gateway.fetch(concrete, { method: method.toUpperCase(), headers, body });
        const text = await answer.text();
        assert.ok(answer.status !== 405 && answer.status < 500, `${method} ${path}: ${answer.status} ${text}`);
        const code = answer.status === 404 ? JSON.parse(text).error?.code : undefined;
        assert.notEqual(code, "not_found_route", `${method} ${path}`);
        if (!path.includes("{")) assert.notEqual(answer.status, 404, `${method} ${path}: ${text}`);
      }
    }
  });
});

describe("before a call begins", () => {
  test("a body that is no JSON is a 400", async () => {
    await assertError(await post("/v1/chat/completions", "{"), 400, "invalid_request");
    await assertError(await post("/v1/chat/completions", ""), 400, "invalid_request");
    await assertError(await post("/v1/chat/completions", "[]"), 400, "invalid_request");
  });

  test("a body of another type is a 415", async () => {
    await assertError(await post("/v1/chat/completions", "hello", { "content-type": "text/plain" }), 415);
  });

  test("a body that is too large is a 413, with and without its length told", async () => {
    const large = JSON.stringify({ ...CALL, padding: "x".repeat(LARGEST_BODY) });
    for (const path of ["/v1/chat/completions", "/v1/compare"]) {
      await assertError(await post(path, large), 413, "request_too_large");
    }
    const body = new Blob([large]).stream();
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await gateway.fetch("/v1/chat/completions", { method: "POST", headers, body, duplex: "half" });
    await assertError(response, 413, "request_too_large");
  });

  test("JSON nested too deep is a 400", async () => {
    const deep = `{"model":"openai/gpt-4o-mini","messages":[],"x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`;
    await assertError(await post("/v1/chat/completions", deep), 400);
  });

  test("no key, or an invented one, is a 401", async () => {
    for (const authorization of ["", "Bearer ", "Bearer lk-", `Bearer lk-${"A".repeat(100)}`, "Bearer sk-something"]) {
      await assertError(await post("/v1/chat/completions", CALL, { authorization }), 401, "invalid_api_key");
    }
  });

  test("nothing of it reached a provider", () => assert.equal(upstream.requests.length, 0));
});

describe("browsers", () => {
  test("may ask first", async () => {
    for (const path of ["/v1/chat/completions", "/v1/models"]) {
      const response = await gateway.fetch(path, {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": "POST" },
      });
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.match(response.headers.get("access-control-allow-methods"), /POST/);
      assert.match(response.headers.get("access-control-allow-headers"), /authorization/i);
    }
  });

  test("may read answers, errors and our headers", async () => {
    const origin = { origin: "https://app.example" };
    for (const response of [await post("/v1/chat/completions", CALL, origin), await post("/v1/chat/completions", "{", origin)]) {
      await response.body.cancel();
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.match(response.headers.get("access-control-expose-headers"), /x-request-id|\*/);
    }
  });
});

describe("secrets", () => {
  test("never show up in an answer or in the log, not even when a provider repeats them", async () => {
    const shown = [];
    const repeat = (seen, response) => {
      const message = `your key ${seen.headers.authorization} is not good; ${SECRETS.OPENAI_API_KEY}`;
      json({ error: { message, type: "invalid_request_error", code: null, param: null } }, { status: 400 })(seen, response);
    };
    upstream.reply(repeat);
    for (const response of [
      await post("/v1/chat/completions", CALL),
      await post("/v1/chat/completions", CALL),
      await post("/v1/chat/completions", { ...CALL, stream: true }),
      await post("/v1/chat/completions", CALL, { authorization: "Bearer lk-wrong" }),
      await gateway.fetch("/v1/key", { headers: { authorization: `Bearer ${key}` } }),
      await gateway.fetch("/admin/keys", { headers: { authorization: `Bearer ${SECRETS.ADMIN_KEY}` } }),
      await gateway.fetch("/openapi.json"),
      await gateway.fetch("/health/ready"),
    ]) {
      shown.push(await response.text(), ...[...response.headers].flat());
    }
    const everything = `${shown.join("\n")}\n${gateway.log()}`;
    for (const [name, secret] of Object.entries({ ...SECRETS, key })) assert.ok(!everything.includes(secret), name);
  });

  test("nor does what was asked or answered show up in the log", () => {
    assert.ok(!gateway.log().includes("Say hello"));
    assert.ok(!gateway.log().includes("Hello there"));
  });
});

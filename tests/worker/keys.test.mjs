// A key's life over the admin API: made, used at once, limited, rotated, disabled, revoked, deleted.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SECRETS, startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const CALL = { model: "openai/gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };

let upstream;
let gateway;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** The status that a call with `key` gets. */
async function statusWith(key, call = CALL, path = "/v1/chat/completions") {
  const response = await gateway.fetch(path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(call),
  });
  const body = await response.json();
  return body.error ? `${response.status} ${body.error.code}` : `${response.status}`;
}

describe("a new key", () => {
  test("is shown once, and works at once", async () => {
    const made = await gateway.createKey({ name: "shown once", metadata: { team: "a" } });
    assert.match(made.key, /^lk-/);
    assert.equal(made.name, "shown once");
    assert.deepEqual(made.metadata, { team: "a" });
    assert.ok(Math.abs(Date.now() - made.created_at) < 60_000);
    assert.equal(await statusWith(made.key), "200");
    const read = await gateway.admin("GET", `/admin/keys/${made.id}`);
    assert.equal(read.status, 200);
    assert.equal(read.json.id, made.id);
    assert.ok(!read.text.includes(made.key));
    assert.ok(!(await gateway.admin("GET", "/admin/keys")).text.includes(made.key));
  });

  test("is taken from every header that SDKs send it in", async () => {
    const { key } = await gateway.createKey();
    for (const name of ["x-api-key", "api-key", "x-goog-api-key"]) {
      const response = await gateway.fetch("/v1/models", { headers: { [name]: key } });
      assert.equal(response.status, 200, name);
    }
    const other = await gateway.createKey();
    const headers = { authorization: `Bearer ${key}`, "x-api-key": other.key };
    assert.equal((await gateway.fetch("/v1/models", { headers })).status, 401);
  });

  test("is stored nowhere as it is", async () => {
    const { key } = await gateway.createKey();
    const secret = key.slice(3, 40);
    const database = await gateway.miniflare.getD1Database("DB");
    const { results: tables } = await database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    for (const { name } of tables.filter(({ name }) => !name.startsWith("_"))) {
      const { results } = await database.prepare(`SELECT * FROM "${name}"`).all();
      assert.ok(!JSON.stringify(results).includes(secret), name);
    }
    const namespace = await gateway.miniflare.getKVNamespace("KEYS");
    const { keys } = await namespace.list();
    for (const { name } of keys) {
      assert.ok(!name.includes(secret));
      assert.ok(!(await namespace.get(name)).includes(secret));
    }
  });
});

describe("what a key may do", () => {
  test("models and providers, with wildcards", async () => {
    const { key } = await gateway.createKey({ allowed_models: ["openai/gpt-4o*"], denied_models: ["openai/gpt-4o"] });
    assert.equal(await statusWith(key), "200");
    assert.equal(await statusWith(key, { ...CALL, model: "openai/gpt-4o" }), "403 model_not_allowed");
    assert.equal(await statusWith(key, { ...CALL, model: "anthropic/claude-sonnet-4-5" }), "403 model_not_allowed");
    const listed = await (await gateway.fetch("/v1/models", { headers: { authorization: `Bearer ${key}` } })).json();
    assert.ok(listed.data.length > 0);
    assert.ok(listed.data.every(({ id }) => id.startsWith("openai/gpt-4o") && id !== "openai/gpt-4o"));
  });

  test("endpoints", async () => {
    const { key } = await gateway.createKey({ allowed_endpoints: ["chat/completions"] });
    assert.equal(await statusWith(key), "200");
    const call = { model: "openai/text-embedding-3-small", input: "hello" };
    assert.equal(await statusWith(key, call, "/v1/embeddings"), "403 endpoint_not_allowed");
  });

  test("from where", async () => {
    const { key } = await gateway.createKey({ allowed_ips: ["203.0.113.0/24", "2001:db8::/32"], allowed_countries: ["DE"] });
    const from = async (address, country) => {
      const headers = { authorization: `Bearer ${key}`, "cf-connecting-ip": address, "cf-ipcountry": country };
      const response = await gateway.fetch("/v1/models", { headers });
      return response.ok ? "200" : `${response.status} ${(await response.json()).error.code}`;
    };
    assert.equal(await from("203.0.113.7", "DE"), "200");
    assert.equal(await from("2001:db8::7", "DE"), "200");
    assert.equal(await from("198.51.100.7", "DE"), "403 ip_not_allowed");
    assert.equal(await from("203.0.113.7", "FR"), "403 ip_not_allowed");
    assert.equal(await statusWith(key), "403 ip_not_allowed");
  });

  test("until it expires", async () => {
    const { key } = await gateway.createKey({ expires_at: Date.now() + 3_600_000 });
    assert.equal(await statusWith(key), "200");
    const past = await gateway.admin("POST", "/admin/keys", { name: "late", expires_at: 1 });
    assert.equal(past.status, 400);
  });

  test("is told to whoever holds it", async () => {
    const { id, key } = await gateway.createKey({ name: "asking" });
    const response = await gateway.fetch("/v1/key", { headers: { authorization: `Bearer ${key}` } });
    const told = await response.json();
    assert.equal(response.status, 200);
    assert.equal(told.id, id);
    assert.equal(told.name, "asking");
  });

  test("bring a provider key of its own, if allowed to", async () => {
    const bring = async (key) => {
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "x-latchkey-provider-key": "sk-own" };
      return gateway.fetch("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(CALL) });
    };
    const { key } = await gateway.createKey({ allow_provider_key: true });
    assert.equal((await bring(key)).status, 200);
    assert.equal(upstream.last().headers.authorization, "Bearer sk-own");
    const other = await gateway.createKey();
    assert.equal((await bring(other.key)).status, 403);
  });
});

describe("changes", () => {
  test("to the name and to what is allowed", async () => {
    const { id } = await gateway.createKey();
    const changed = await gateway.admin("PATCH", `/admin/keys/${id}`, { name: "renamed", allowed_models: ["sandbox/*"] });
    assert.equal(changed.status, 200);
    assert.equal(changed.json.name, "renamed");
    const read = await gateway.admin("GET", `/admin/keys/${id}`);
    assert.deepEqual(read.json.allowed_models, ["sandbox/*"]);
  });

  test("disabled and enabled again", async () => {
    const { id, key } = await gateway.createKey();
    assert.equal(await statusWith(key), "200");
    assert.equal((await gateway.admin("POST", `/admin/keys/${id}/disable`)).status, 200);
    assert.equal(await statusWith(key), "401 invalid_api_key");
    assert.equal((await gateway.admin("POST", `/admin/keys/${id}/enable`)).status, 200);
    assert.equal(await statusWith(key), "200");
  });

  test("revoked for good", async () => {
    const { id, key } = await gateway.createKey();
    assert.equal(await statusWith(key), "200");
    assert.equal((await gateway.admin("POST", `/admin/keys/${id}/revoke`)).status, 200);
    assert.equal(await statusWith(key), "401 invalid_api_key");
  });

  test("rotated: the old one goes on for its grace period", async () => {
    const { id, key } = await gateway.createKey();
    const graceful = await gateway.admin("POST", `/admin/keys/${id}/rotate`, { grace_seconds: 3600 });
    assert.ok([200, 201].includes(graceful.status), graceful.text);
    assert.notEqual(graceful.json.key, key);
    assert.equal(await statusWith(key), "200");
    assert.equal(await statusWith(graceful.json.key), "200");
    const at_once = await gateway.admin("POST", `/admin/keys/${id}/rotate`, { grace_seconds: 0 });
    assert.equal(await statusWith(graceful.json.key), "401 invalid_api_key");
    assert.equal(await statusWith(at_once.json.key), "200");
  });

  test("deleted", async () => {
    const { id, key } = await gateway.createKey();
    const { status } = await gateway.admin("DELETE", `/admin/keys/${id}`);
    assert.ok([200, 204].includes(status));
    assert.equal(await statusWith(key), "401 invalid_api_key");
    assert.equal((await gateway.admin("GET", `/admin/keys/${id}`)).status, 404);
  });
});

describe("the list of keys", () => {
  test("is walked by cursor, each key once", async () => {
    const made = [];
    for (let count = 0; count < 5; count++) made.push((await gateway.createKey({ name: `listed ${count}` })).id);
    const seen = [];
    let cursor;
    do {
      const query = cursor ? `?limit=2&cursor=${encodeURIComponent(cursor)}` : "?limit=2";
      const { status, json } = await gateway.admin("GET", `/admin/keys${query}`);
      assert.equal(status, 200);
      assert.ok(json.data.length <= 2);
      seen.push(...json.data.map(({ id }) => id));
      cursor = json.next_cursor;
    } while (cursor);
    assert.equal(new Set(seen).size, seen.length);
    for (const id of made) assert.ok(seen.includes(id));
  });
});

describe("the admin API refuses", () => {
  test("everyone without the admin key, gateway keys too", async () => {
    const { key } = await gateway.createKey();
    for (const authorization of [undefined, "Bearer nonsense", `Bearer ${key}`, `Basic ${SECRETS.ADMIN_KEY}`]) {
      const response = await gateway.fetch("/admin/keys", { headers: authorization ? { authorization } : {} });
      assert.equal(response.status, 401, authorization);
      assert.equal(typeof (await response.json()).error.message, "string");
    }
  });

  test("bad input with every fault and its path at once", async () => {
    const { status, json } = await gateway.admin("POST", "/admin/keys", {
      name: "",
      expires_at: "tomorrow",
      allowed_models: "all",
      no_such_field: 1,
    });
    assert.equal(status, 400);
    assert.equal(json.error.code, "invalid_request");
    const paths = json.error.faults.map(({ path }) => path).join(" ");
    for (const field of ["expires_at", "allowed_models", "no_such_field"]) assert.match(paths, new RegExp(field));
    for (const { message } of json.error.faults) assert.match(message, /\S/);
  });

  test("a body that is no JSON, and a key that is not there", async () => {
    const response = await gateway.fetch("/admin/keys", {
      method: "POST",
      headers: { authorization: `Bearer ${SECRETS.ADMIN_KEY}`, "content-type": "application/json" },
      body: "{",
    });
    assert.equal(response.status, 400);
    for (const [method, path, body] of [
      ["GET", "/admin/keys/none"],
      ["PATCH", "/admin/keys/none", { name: "x" }],
      ["POST", "/admin/keys/none/revoke"],
      ["DELETE", "/admin/keys/none"],
    ]) {
      assert.equal((await gateway.admin(method, path, body)).status, 404, `${method} ${path}`);
    }
  });
});

// Where keys, configuration and records are kept: D1 is right, KV is near, and neither is trusted beyond that.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const CALL = { model: "openai/gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };

let upstream;
let gateway;
let database;
let copies;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream);
  database = await gateway.miniflare.getD1Database("DB");
  copies = await gateway.miniflare.getKVNamespace("KEYS");
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

async function call(key) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(CALL),
  });
  await response.text();
  return response;
}

/** The names of a key's copies in KV. */
async function copiesOf(id) {
  const { results } = await database.prepare("SELECT hash FROM key_hashes WHERE key_id = ?").bind(id).all();
  return results.map(({ hash }) => `k:${hash}`);
}

describe("a key's copy", () => {
  test("that is missing is made up for by the database", async () => {
    const { id, key } = await gateway.createKey();
    for (const name of await copiesOf(id)) await copies.delete(name);
    assert.equal((await call(key)).status, 200);
  });

  test("that was tampered with is not believed", async () => {
    const { id, key } = await gateway.createKey({ denied_providers: ["openai"] });
    const [name] = await copiesOf(id);
    const sealed = await copies.get(name);
    assert.match(sealed, /"denied_providers":\["openai"\]/);
    await copies.put(name, sealed.replace('"denied_providers":["openai"]', '"denied_providers":[]'));
    assert.equal((await call(key)).status, 403);
  });

  test("of another key is not believed", async () => {
    const [good, bad] = [await gateway.createKey(), await gateway.createKey({ disabled: true })];
    await copies.put((await copiesOf(bad.id))[0], await copies.get((await copiesOf(good.id))[0]));
    assert.equal((await call(bad.key)).status, 401);
  });

  test("goes with the text that it is for", async () => {
    const { id } = await gateway.createKey();
    await gateway.admin("POST", `/admin/keys/${id}/rotate`, { grace_seconds: 60 });
    await gateway.admin("POST", `/admin/keys/${id}/rotate`);
    const names = await copiesOf(id);
    assert.equal(names.length, 3);
    const kept = await Promise.all(names.map((name) => copies.get(name)));
    assert.equal(kept.filter(Boolean).length, 1, "only the current text has one");
    await gateway.admin("DELETE", `/admin/keys/${id}`);
    for (const name of names) assert.equal(await copies.get(name), null);
  });
});

describe("an isolate's first call", () => {
  test("asks for its key and for the configuration at the same time", async () => {
    const fleet = await startGateway(upstream, {}, { isolates: 2, partial: true });
    try {
      const { key } = await fleet.createKey();
      const response = await fleet.fetch("/v1/chat/completions", {
        method: "POST",
        headers: {
          authorization: `Bearer ${key}`,
          "content-type": "application/json",
          "x-isolate": "2",
          "x-late": "KEYS,CONFIG",
        },
        body: JSON.stringify(CALL),
      });
      await response.text();
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("x-at-once"), "2");
    } finally {
      await fleet.close();
    }
  });
});

describe("the configuration", () => {
  const document = (depth) => ({ version: 1, limits: { json_depth: depth } });

  test("is replaced only by whoever knows its version, and brought back from any", async () => {
    const read = await gateway.admin("GET", "/admin/config");
    assert.deepEqual(read.json, { version: 1 });
    const first = await gateway.admin("PUT", "/admin/config", document(20), { "if-match": read.headers.get("etag") });
    assert.equal(first.status, 200, first.text);
    const stale = await gateway.admin("PUT", "/admin/config", document(21), { "if-match": read.headers.get("etag") });
    assert.equal(stale.status, 412);
    const second = await gateway.admin("PUT", "/admin/config", document(22), { "if-match": first.headers.get("etag") });
    assert.equal(second.status, 200, second.text);
    const back = await gateway.admin("POST", "/admin/config/rollback", { version: first.json.version });
    assert.deepEqual(back.json.changes, [{ path: "limits.json_depth", before: 22, after: 20 }]);
    const { json } = await gateway.admin("GET", "/admin/config/versions?limit=2");
    assert.deepEqual(json.data.map(({ version, restores, published }) => [version, restores, published]), [
      [back.json.version, first.json.version, true],
      [second.json.version, null, true],
    ]);
    assert.deepEqual((await gateway.admin("GET", "/admin/config")).json, document(20));
  });

  test("with faults is refused, each named, and the good one stays", async () => {
    const before = await gateway.admin("GET", "/admin/config");
    const refused = await gateway.admin("PUT", "/admin/config", { version: 2, limits: { speed: 1 } }, { "if-match": "*" });
    assert.equal(refused.status, 400);
    assert.deepEqual(refused.json.error.faults.map(({ path }) => path).sort(), ["limits.speed", "version"]);
    assert.equal((await gateway.admin("GET", "/admin/config")).text, before.text);
  });
});

describe("records", () => {
  test("of calls reach the database and are listed by key", async () => {
    const { id, key } = await gateway.createKey();
    const requests = [];
    for (let count = 0; count < 3; count++) requests.push((await call(key)).headers.get("x-request-id"));
    const listed = await until(async () => {
      const { json } = await gateway.admin("GET", `/admin/calls?key_id=${id}`);
      return json.data.length >= 3 ? json.data : undefined;
    });
    assert.deepEqual(listed.map((row) => row.request_id).sort(), requests.sort());
    for (const row of listed) {
      assert.equal(row.status, 200);
      assert.equal(row.provider, "openai");
      assert.ok(row.tokens.output_text > 0 && row.cost > 0, JSON.stringify(row));
    }
    const pages = [];
    for (let cursor = ""; cursor !== null; ) {
      const { json } = await gateway.admin("GET", `/admin/calls?key_id=${id}&limit=2${cursor && `&cursor=${cursor}`}`);
      pages.push(...json.data);
      cursor = json.next_cursor;
    }
    assert.deepEqual(pages, listed);
  });

  test("of changes say who changed what, without any key", async () => {
    const { id, key } = await gateway.createKey({ name: "audited" });
    await gateway.admin("PATCH", `/admin/keys/${id}`, { name: "audited again" });
    const { json, text } = await gateway.admin("GET", `/admin/audit?subject=${id}`);
    assert.deepEqual(json.data.map(({ action }) => action), ["key.update", "key.create"]);
    assert.equal(json.data[0].before.name, "audited");
    assert.equal(json.data[0].after.name, "audited again");
    assert.ok(!text.includes(key));
  });
});

/** Asks until there is an answer: records travel in batches. */
async function until(ask) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    assert.ok(Date.now() < deadline, "nothing came");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

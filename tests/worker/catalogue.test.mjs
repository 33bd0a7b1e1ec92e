// The scripts beside the catalogue: generating it from a price list, and refreshing a gateway's prices.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PRICE_LIST = join(ROOT, "../shared/catalog/models.json");

test("the catalogue is what the price list gives", { skip: !existsSync(PRICE_LIST) && "no price list" }, async () => {
  assert.equal((await script("generate.mjs", ["--check"])).code, 0);
});

test("a price file changes what is new in it and nothing else", async () => {
  const before = {
    version: 1,
    limits: { json_depth: 50 },
    models: {
      "openai/gpt-4o": { context: 1000, prices: [{ from: "2026-01-01", usd_per_mtok: { input: 3, output: 12 } }] },
      "openai/o1": { prices: [{ from: "2026-01-01", usd_per_mtok: { input: 15, output: 60 } }] },
    },
  };
  const admin = await adminApi(before);
  const file = written([
    { provider: "openai", id: "gpt-4o", mode: "chat", usd_per_mtok: { input: 2, output: 8 } },
    { provider: "openai", id: "o1", mode: "chat", usd_per_mtok: { input: 15, output: 60 } },
    { provider: "openai", id: "gpt-99", mode: "chat", context: 10, usd_per_mtok: { input: 0.0000025, output: 1 } },
    { provider: "openai", id: "free-99", mode: "chat", usd_per_mtok: { input: 0, output: 0 } },
    // Just what the compiled-in catalogue says.
    ...JSON.parse(listed("gpt-4o-mini-2024-07-18")),
  ]);
  const pushed = await script("push.mjs", [file, "--url", admin.url, "--from", "2026-12-01"]);
  admin.close();
  assert.equal(pushed.code, 0, pushed.output);
  assert.match(pushed.output, /1 changes written/);
  assert.deepEqual(admin.requests, ["GET /admin/config", 'PUT /admin/config if-match "7"']);
  assert.deepEqual(admin.document(), {
    version: 1,
    limits: { json_depth: 50 },
    models: {
      "openai/gpt-4o": {
        context: 1000,
        mode: "chat",
        prices: [
          { from: "2026-01-01", usd_per_mtok: { input: 3, output: 12 } },
          { from: "2026-12-01", usd_per_mtok: { input: 2, output: 8 } },
        ],
      },
      "openai/o1": { mode: "chat", prices: [{ from: "2026-01-01", usd_per_mtok: { input: 15, output: 60 } }] },
      "openai/gpt-99": {
        mode: "chat",
        context: 10,
        prices: [{ from: "2026-12-01", usd_per_mtok: { input: 0.0000025, output: 1 } }],
      },
      // A price of zero that nobody vouches for is not sent.
      "openai/free-99": { mode: "chat" },
    },
  });
});

test("prices of day and night stay when one of them changes, and what is the same is not written again", async () => {
  const [day, night] = [{ input: 2 }, { input: 1 }].map((usd_per_mtok) => ({ usd_per_mtok }));
  const prices = [{ from: "2026-01-01", ...day }, { from: "2026-01-01", hours: "22:00-06:00", ...night }];
  const admin = await adminApi({ version: 1, models: { "openai/gpt-99": { prices } } });
  const url = ["--url", admin.url, "--from", "2026-12-01"];
  const same = await script("push.mjs", [written({ "openai/gpt-99": { prices: [day, { hours: "22:00-06:00", ...night }] } }), ...url]);
  assert.match(same.output, /0 changes written/);
  assert.deepEqual(admin.requests, ["GET /admin/config"]);
  const dearer = { hours: "22:00-06:00", usd_per_mtok: { input: 1.5 } };
  const changed = [{ from: "2026-01-01", ...day }, { from: "2026-01-01", ...dearer }];
  assert.equal((await script("push.mjs", [written({ "openai/gpt-99": { prices: changed } }), ...url])).code, 0);
  admin.close();
  assert.deepEqual(admin.document().models["openai/gpt-99"].prices, changed);
});

test("a dry run writes nothing, and a refusal shows every fault", async () => {
  const admin = await adminApi({ version: 1 });
  const file = written({ "openai/gpt-99": { prices: [{ usd_per_mtok: { input: 1 } }] } });
  const dry = await script("push.mjs", [file, "--url", admin.url, "--dry-run"]);
  assert.equal(dry.code, 0, dry.output);
  assert.deepEqual(admin.requests, ["GET /admin/config", "POST /admin/config/check"]);
  admin.refuse({ message: "faulty", faults: [{ path: "models.openai/gpt-99", message: "no" }] });
  const refused = await script("push.mjs", [file, "--url", admin.url]);
  admin.close();
  assert.equal(refused.code, 1);
  assert.match(refused.output, /400 faulty\n {2}models\.openai\/gpt-99: no/);
});

// A model of the price list that the catalogue was made from, where there is one.
function listed(id) {
  if (!existsSync(PRICE_LIST)) return "[]";
  const models = JSON.parse(readFileSync(PRICE_LIST, "utf8"));
  return JSON.stringify(models.filter((model) => model.provider === "openai" && model.id === id));
}

function written(value) {
  const file = join(mkdtempSync(join(tmpdir(), "latchkey-")), "prices.json");
  writeFileSync(file, JSON.stringify(value));
  return file;
}

function script(name, words) {
  return new Promise((resolve, reject) => {
    const path = join(ROOT, "src/provider/data", name);
    const child = spawn(process.execPath, [path, ...words], { env: { ...process.env, ADMIN_KEY: "admin" }, timeout: 60_000 });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (output += bytes));
    child.on("error", reject).on("close", (code) => resolve({ code, output }));
  });
}

// The part of the admin API that the script uses, with one document.
async function adminApi(document) {
  const requests = [];
  let refusal = null;
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const bytes of request) body += bytes;
    const condition = request.headers["if-match"] ? ` if-match ${request.headers["if-match"]}` : "";
    requests.push(`${request.method} ${request.url}${condition}`);
    const answer = (status, value) => {
      response.writeHead(status, { "content-type": "application/json", etag: '"7"' });
      response.end(JSON.stringify(value));
    };
    if (request.headers.authorization !== "Bearer admin") return answer(401, {});
    if (request.method === "GET") return answer(200, document);
    if (refusal) return answer(400, { error: refusal });
    if (request.method === "PUT") document = JSON.parse(body);
    answer(200, { version: 8, changes: [{ path: "models", before: null, after: {} }] });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    document: () => document,
    refuse: (error) => (refusal = error),
    close: () => server.close(),
  };
}

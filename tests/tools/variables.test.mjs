// Which variables reach the Worker, and that they arrive as they are.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { unstable_getVarsForDev as readByWrangler } from "wrangler";
import { isForWorker, parseVariables, rememberKey, writeForWrangler } from "./variables.mjs";

test("provider keys and addresses of the environment reach the Worker, wrangler's own do not", () => {
  const names = ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "WORKERS_AI_BASE_URL", "ADMIN_KEY", "AZURE_RESOURCE", "SANDBOX"];
  names.push("AZURE_CLIENT_SECRET", "AWS_ROLE_ARN", "GOOGLE_APPLICATION_CREDENTIALS_JSON");
  for (const name of names) assert.ok(isForWorker(name), name);
  const others = ["CLOUDFLARE_API_KEY", "CLOUDFLARE_API_BASE_URL", "CLOUDFLARE_API_TOKEN", "HOME", "npm_config_api_key", "API_KEY", "LOCAL_KEY"];
  for (const name of others) assert.ok(!isForWorker(name), name);
});

test("variables are read bare, quoted and across lines", () => {
  const written = ["# a comment", "A=bare # said aside", "export B='it is # kept'", 'C="two\\nlines"', "D=`a", "b`", "E=", " F = g "];
  const read = { A: "bare", B: "it is # kept", C: "two\nlines", D: "a\nb", E: "", F: "g" };
  assert.deepEqual(parseVariables(written.join("\n")), read);
});

test("wrangler reads back what was written for it, in a file that nobody else can read", () => {
  const variables = {
    PLAIN_API_KEY: "sk-1234",
    ODD_API_KEY: "a$b${HOME}'x\"#y\\n z",
    VERTEX_SERVICE_ACCOUNT: JSON.stringify({ key: "-----BEGIN-----\nabc\n" }, null, 2),
  };
  const folder = mkdtempSync(join(tmpdir(), "latchkey-variables-"));
  try {
    const file = writeForWrangler({ ...variables, LOCAL_KEY: "lk-secret" }, join(folder, "variables"));
    assert.equal(statSync(file).mode & 0o077, 0);
    assert.ok(!readFileSync(file, "utf8").includes("lk-secret"));
    const read = readByWrangler(undefined, [file], {}, undefined, true);
    assert.deepEqual(Object.fromEntries(Object.entries(read).map(([name, { value }]) => [name, value])), variables);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a new key takes the place of the old one, and everything else in the file stays", () => {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-variables-"));
  try {
    const file = join(folder, "variables");
    writeFileSync(file, "LATCHKEY_SECRET=s\nLOCAL_KEY=lk-1\n# mine\nOPENAI_API_KEY=sk", { mode: 0o644 });
    const { ino } = statSync(file);
    rememberKey("lk-2", file);
    assert.equal(readFileSync(file, "utf8"), "LATCHKEY_SECRET=s\n# mine\nOPENAI_API_KEY=sk\nLOCAL_KEY=lk-2\n");
    assert.equal(statSync(file).mode & 0o077, 0);
    assert.notEqual(statSync(file).ino, ino, "another file was put in its place whole");
    assert.deepEqual(readdirSync(folder), ["variables"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// `npm start` as a newcomer sees it: in a copy of this repository, from no state at all to a `curl` line that works.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ROOT } from "./progress.mjs";
import { isForWorker } from "./variables.mjs";

/** What a start needs; `build` is what it would build, as the test before this one did. */
const COPIED = ["Cargo.toml", "Cargo.lock", "build", "migrations", "package.json", "package-lock.json", "src", "tests/tools", "wrangler.toml"];

let clone;

before(() => {
  clone = mkdtempSync(join(tmpdir(), "latchkey-start-"));
  for (const path of COPIED) cpSync(join(ROOT, path), join(clone, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"));
});

after(() => rmSync(clone, { recursive: true, force: true }));

test("prints a curl line that streams an answer, and the same key the next time", { timeout: 120_000 }, async () => {
  const port = await freePort();
  const first = await start(port);
  assert.match(first.output, /Writing a random ADMIN_KEY/);
  const { stdout } = await promisify(execFile)("sh", ["-c", first.curl]);
  assert.match(stdout, /^data: \{/);
  assert.match(stdout, /Hello/);
  assert.match(stdout, /data: \[DONE\]\s*$/);
  assert.equal(await first.stop(), 0);

  assert.match(first.output, /Providers +none yet/);

  // Credentials that are no API key count as well.
  const second = await start(port, { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI", AWS_REGION: "us-east-1" });
  assert.match(second.output, /Providers .*\bbedrock\b/);
  assert.equal(second.curl, first.curl);
  assert.ok(!second.output.includes("migrations"), "nothing is left to be done");
  assert.equal(await second.stop(), 0);
});

test("says at once that a port is taken", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const taken = run(port);
  assert.equal(await taken.ended, 1);
  assert.match(taken.output(), new RegExp(`Port ${port} is in use`));
  server.close();
});

/** Starts the gateway and waits until it has said how to call it. */
async function start(port, variables = {}) {
  const program = run(port, variables);
  const curl = await program.printed(/ {2}(curl -N [^]*?"}]}')\n[^]*README\.md/);
  return {
    curl,
    output: program.output(),
    stop() {
      program.child.kill("SIGINT");
      return program.ended;
    },
  };
}

function run(port, variables = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForWorker(name)));
  const env = { ...clean, ...variables, PORT: String(port) };
  const child = spawn(process.execPath, [join(clone, "tests", "tools", "start.mjs")], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const ended = once(child, "close").then(([code]) => code);
  return {
    child,
    ended,
    output: () => output,
    /** The first group of `pattern`, as soon as the output matches it. */
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        child.stdout.on("data", () => {
          const found = output.match(pattern);
          if (found) resolve(found[1]);
        });
        void ended.then((code) => reject(new Error(`ended with ${code}:\n${output}`)));
      }),
  };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

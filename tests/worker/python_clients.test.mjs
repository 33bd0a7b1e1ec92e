// Anthropic's, Google's and AWS's SDKs for Python and LangChain in front of the gateway, where a Python is there to run them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startGateway } from "./gateway.mjs";
import { pythonPackages, skipped } from "./installed.mjs";
import { startUpstream } from "./upstream.mjs";

const run = promisify(execFile);
const SCENARIOS = fileURLToPath(new URL("python_clients.py", import.meta.url));
const PACKAGES = ["anthropic==2.12.0", "google-genai==3.4.0", "boto3==1.44.5", "langchain-openai==1.7.3", "langchain-anthropic==1.7.7"];
/** How many scenarios each has. */
const SUITES = { anthropic: 5, "google-genai": 5, boto3: 5, langchain: 8 };

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

for (const [suite, count] of Object.entries(SUITES)) {
  test(`${suite} for Python`, async (context) => {
    const python = await pythonPackages("clients", PACKAGES);
    if (python instanceof Error) {
      context.skip(skipped(python));
      return;
    }
    const { key } = await gateway.createKey();
    const env = { ...process.env, LATCHKEY_URL: gateway.url, LATCHKEY_KEY: key };
    const { stdout } = await run(python, [SCENARIOS, suite], { env });
    assert.match(stdout, new RegExp(`^${count} scenarios passed$`, "m"));
  });
}

// The official OpenAI SDK for Python in front of the gateway, where a Python is there to run it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const run = promisify(execFile);

const SDK = "openai==3.52.0";
const ENVIRONMENT = fileURLToPath(new URL(`../../.cache/python/${SDK}`, import.meta.url));
const SCENARIOS = fileURLToPath(new URL("python_sdk.py", import.meta.url));

test("the Python SDK chats, streams, parses, lists and fails as documented", async (context) => {
  const python = await environment().catch((error) => error);
  if (python instanceof Error) {
    context.skip(`SKIPPED: no Python with ${SDK} here: ${python.message.split("\n")[0]}`);
    return;
  }
  const upstream = await startUpstream();
  const gateway = await startGateway(upstream);
  try {
    const { key } = await gateway.createKey();
    const env = { ...process.env, LATCHKEY_URL: `${gateway.url}/v1`, LATCHKEY_KEY: key };
    const { stdout } = await run(python, [SCENARIOS], { env });
    assert.match(stdout, /^12 scenarios passed$/m);
  } finally {
    await gateway.close();
    await upstream.close();
  }
});

/** A Python with the SDK, in a virtual environment of our own that is made once. */
async function environment() {
  const python = join(ENVIRONMENT, "bin", "python");
  if (!existsSync(join(ENVIRONMENT, "ready"))) {
    await run("python3", ["-m", "venv", ENVIRONMENT]);
    await run(python, ["-m", "pip", "install", "--quiet", SDK]);
    await run(python, ["-c", `import openai, pathlib; pathlib.Path(${JSON.stringify(join(ENVIRONMENT, "ready"))}).touch()`]);
  }
  return python;
}

// What `/health/ready` says while something is missing: whoever reads it should know what to do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

let upstream;

before(async () => {
  upstream = await startUpstream();
});

after(() => upstream?.close());

/** What a gateway that is set up so says of itself. */
async function readiness(variables, options, headers = {}) {
  const gateway = await startGateway(upstream, variables, options);
  try {
    const response = await gateway.fetch("/health/ready", { headers });
    return { status: response.status, ...(await response.json()) };
  } finally {
    await gateway.close();
  }
}

test("a gateway that can serve calls is ready", async () => {
  assert.deepEqual(await readiness({}, {}), { status: "ready" });
});

test("without secrets it is not, and names them", async () => {
  const { hint } = await readiness({ ADMIN_KEY: "", LATCHKEY_SECRET: "" }, {});
  assert.match(hint, /ADMIN_KEY/);
});

test("without tables it is not, and says how they are made", async () => {
  const { hint } = await readiness({}, { again: true });
  assert.match(hint, /d1 migrations apply/);
});

test("without the newest migration it is not either, whatever that adds", async () => {
  const { status, hint } = await readiness({}, { unmigrated: 1 });
  assert.equal(status, "not_ready");
  assert.match(hint, /d1 migrations apply/);
});

test("while the database is away it is not, and does not ask for migrations", async () => {
  const { hint } = await readiness({}, { partial: true }, { "x-away": "DB" });
  assert.match(hint, /does not answer/);
});

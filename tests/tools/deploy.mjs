// `npm run deploy`: build, migrate the database, put the Worker live on the account wrangler is logged in to.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { command, ROOT, run, step } from "./progress.mjs";
import { node, wrangler, WRANGLER_ENV } from "./toolchain.mjs";

/** Without these the gateway refuses every call. */
const SECRETS = ["ADMIN_KEY", "LATCHKEY_SECRET"];

/** The database's name in wrangler.toml, under which wrangler makes it at the first deploy. */
const DATABASE = "latchkey-db";

async function deploy() {
  await build();
  // Migrations only ever add, so the running version bears them. At the first deploy there is no database yet.
  const exists = await databaseExists();
  if (exists) await migrate();
  await step("Deploying", () => run(node(), wrangler("deploy"), { env: WRANGLER_ENV, show: true, label: "wrangler deploy" }));
  if (!exists) await migrate();
  await tellMissingSecrets();
}

async function databaseExists() {
  // Once there is one, its id stands in wrangler.toml, whatever it is called.
  if (/^\s*database_id\s*=/m.test(readFileSync(join(ROOT, "wrangler.toml"), "utf8"))) return true;
  return step("Looking for the database", async () => {
    const listed = await run(node(), wrangler("d1", "list", "--json"), { env: WRANGLER_ENV, label: "wrangler d1 list" });
    return JSON.parse(listed).some(({ name }) => name === DATABASE);
  });
}

function migrate() {
  return step("Applying migrations to the deployed database", () => {
    const args = wrangler("d1", "migrations", "apply", "DB", "--remote");
    return run(node(), args, { env: { ...WRANGLER_ENV, CI: "1" }, label: "wrangler d1 migrations apply" });
  });
}

async function tellMissingSecrets() {
  const listed = await run(node(), wrangler("secret", "list"), { env: WRANGLER_ENV, label: "wrangler secret list" });
  const missing = SECRETS.filter((secret) => !listed.includes(`"${secret}"`));
  if (missing.length === 0) return;
  console.log(`\nThe gateway refuses every call until it has its secrets. Set each once, from a random value:\n`);
  for (const secret of missing) console.log(`  openssl rand -base64 32 | npx wrangler secret put ${secret}`);
  console.log(`\nNote the ADMIN_KEY before you pipe it: it cannot be read back.`);
}

await command(deploy);

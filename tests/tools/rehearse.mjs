// `npm run rehearse:budget`: a thousand callers at once spend from a key with one dollar, and everybody's tally of it.
//
// `npm run rehearse:crash` kills it a hundred times at random points meanwhile, and prints what is left of the money.
//
// The gateway runs in workerd as it would be deployed, in front of a provider on this machine that bills at the prices of
// gpt-4o. Callers are plain, streaming, cached, failing, retried, and leaving in the middle.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { ROOT, run, step, command } from "./progress.mjs";
import { ensurePackages, node, wrangler, WRANGLER_ENV } from "./toolchain.mjs";

async function rehearse() {
  await ensurePackages();
  await step("The Worker's build", build);
  await step("The Worker's bundle", async () => {
    rmSync(join(ROOT, "dist"), { recursive: true, force: true });
    await run(node(), wrangler("deploy", "--dry-run", "--outdir", join(ROOT, "dist")), { env: WRANGLER_ENV, label: "wrangler" });
  });
  const [, , name = "budget", ...rest] = process.argv;
  const rehearsal = join(ROOT, "tests/worker", name === "crash" ? "crash_rehearsal.mjs" : "rehearsal.mjs");
  await run(node(), [rehearsal, ...rest], { env: WRANGLER_ENV, show: true, label: "the rehearsal" });
}

command(rehearse);

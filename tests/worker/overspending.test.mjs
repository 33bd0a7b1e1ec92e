// A thousand callers at once against one dollar.

import { after, before, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { rehearse, startBiller, UNDAUNTED } from "./spending.mjs";

const ISOLATES = 1;

let biller;
let gateway;

before(async () => {
  biller = await startBiller();
  gateway = await startGateway(biller, {}, { isolates: ISOLATES });
  await gateway.configure(UNDAUNTED);
});

after(async () => {
  await gateway?.close();
  await biller?.close();
});

/** A request to one of the isolates. */
const send = (init, isolate) =>
  gateway.fetch("/v1/chat/completions", { ...init, headers: { ...init.headers, "x-isolate": String(isolate) } });

test("a thousand callers at once never overspend a dollar, and get nearly all of it", async (t) => {
  t.diagnostic(await rehearse({ biller, gateway, send, isolates: ISOLATES }));
});

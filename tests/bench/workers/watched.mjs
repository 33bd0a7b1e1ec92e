// The gateway as it is deployed, and one route that only the bench has: how large its wasm memory is.

import { wasmBytes } from "./memories.mjs";
import gateway from "./worker.js";

export * from "./worker.js";

export default {
  ...gateway,
  fetch(request, environment, context) {
    if (request.url.endsWith("/wasm-memory")) return Response.json({ wasm_bytes: wasmBytes() });
    return gateway.fetch(request, environment, context);
  },
};

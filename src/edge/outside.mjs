// Bodies that stay on this side: the core is told as much of them as it needs, and has them sent.

import { readForm } from "./form.mjs";
import { isBroken, ofCaller, readBody, readUpTo } from "./read.mjs";

/** JSON up to so many bytes is shown to the core, which looks for its model. */
const MOST_SHOWN = 1024 * 1024;
const NOTHING = new Uint8Array(0);

/**
 * What the core is told of a request's body, and how to make one of it; `once` is that it can be made only once, and `left`
 * is called where the caller then breaks it off. Undefined is that the body is like any other; nothing told is that it is too
 * long.
 */
export async function readOutside(request, path, core) {
  const type = request.headers.get("content-type") ?? "";
  const passes = path.startsWith("/passthrough/");
  if (!passes) return type.startsWith("multipart/form-data") ? readForm(request) : undefined;
  if (request.body === null) return { told: NOTHING, once: false, body: () => undefined };
  if (core.signs_body(path)) {
    const bytes = await readBody(request, core.body_limit());
    return { told: bytes, once: false, body: () => bytes };
  }
  const length = Number(request.headers.get("content-length") ?? Infinity);
  if (!type.includes("json") || length > MOST_SHOWN) return passed(request.body, length);
  const bytes = await ofCaller(readUpTo(request.body, MOST_SHOWN));
  return { told: bytes, once: false, body: () => bytes };
}

/** A body that passes as it comes. Where its caller breaks it off it has no end, or the provider would take it for whole. */
function passed(source, length) {
  const outside = { told: NOTHING, once: true };
  outside.body = () => {
    const { readable, writable } = Number.isFinite(length) ? new FixedLengthStream(length) : new IdentityTransformStream();
    const piped = source.pipeTo(writable, { preventAbort: true, preventCancel: true });
    piped.catch(async () => (await isBroken(source.getReader())) && outside.left());
    return readable;
  };
  return outside;
}

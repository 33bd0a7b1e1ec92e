// `POST /v1/compare`: one prompt to several models side by side, collected or as one labelled stream.
//
// Every answer is that of a call of its own, made as if it had come from outside: same key, same budgets, a record each.

import { discard, readBody } from "./read.mjs";

/** Calls at once. The platform has six connections for a request, and keys and budgets need one now and then. */
const AT_ONCE = 5;
/** Bytes of bodies at once: each call has one of its own, several times over, in an isolate of 128 MB. */
const ROOM = 32 * 1024 * 1024;
const LINE_END = /\r\n|\n|\r/;
const BLANK_LINE = /\r\n\r\n|\n\n|\r\r/g;
/** So many characters may be the beginning of a blank line. */
const BEGUN = 3;

/** Answers a comparison. `make(path, init)` makes a call of this gateway. */
export async function compare(core, request, make) {
  const headers = new Headers(request.headers);
  headers.delete("content-length");
  // A key that is none would else have its body kept, and be refused once for each model.
  const known = await make("/v1/key", { headers });
  if (known.status === 401 || known.status === 429) {
    await discard(request);
    return known;
  }
  await known.body?.cancel();
  const body = await readBody(request, core.body_limit());
  const asked = JSON.parse(core.compare(body));
  if (asked.do !== "compare") return new Response(core.take_bytes(), { status: asked.status, headers: asked.headers });
  const stop = new AbortController();
  request.signal.addEventListener("abort", () => stop.abort(), { once: true });
  const send = (index) =>
    make("/v1/chat/completions", { method: "POST", headers, body: core.compared(body, index), signal: stop.signal });
  const atOnce = Math.max(1, Math.min(AT_ONCE, Math.floor(ROOM / body.byteLength)));
  return asked.stream ? streamed(asked.models, send, stop, atOnce) : collected(asked.models, send, atOnce);
}

async function collected(models, send, atOnce) {
  const results = new Array(models.length);
  await eachOf(models, atOnce, async (model, index) => {
    const started = Date.now();
    const response = await send(index);
    results[index] = await result(model, index, response, started);
  });
  const headers = { "content-type": "application/json", "cache-control": "private, no-store" };
  return new Response(`{"object":"comparison","results":[${results.join(",")}]}`, { headers });
}

/** Events of all answers as they come, each labelled with whose it is. */
function streamed(models, send, stop, atOnce) {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  writer.closed.catch(() => stop.abort());
  const encoder = new TextEncoder();
  const write = (text) => writer.write(encoder.encode(text));
  const whole = eachOf(models, atOnce, async (model, index) => {
    const started = Date.now();
    const response = await send(index);
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    if (!response.ok || !isStream) return write(`data: ${await result(model, index, response, started)}\n\n`);
    const label = `"index":${index},"model":${JSON.stringify(model)}`;
    let first = null;
    for await (const event of events(response.body)) {
      const data = dataOf(event);
      if (data === "[DONE]") continue;
      if (data !== "") {
        first ??= Date.now() - started;
        await write(`data: {${label},"chunk":${data}}\n\n`);
      } else if (event.startsWith(":")) await write(`${event}\n\n`);
    }
    return write(`data: {${about(model, index, response, started)},"first_chunk_ms":${first},"done":true}\n\n`);
  });
  const over = whole.then(() => write("data: [DONE]\n\n")).then(() => writer.close());
  over.catch((error) => {
    stop.abort();
    // A stream that breaks off must not look finished.
    writer.abort(error).catch(() => {});
  });
  const headers = { "content-type": "text/event-stream", "cache-control": "private, no-store" };
  return new Response(readable, { headers });
}

/** Does `work` for each of `models`, so many at once; the others wait for their turn. */
function eachOf(models, atOnce, work) {
  let next = 0;
  const worker = async () => {
    while (next < models.length) {
      const index = next++;
      await work(models[index], index);
    }
  };
  return Promise.all(Array.from({ length: Math.min(atOnce, models.length) }, worker));
}

/** A whole answer, or why there is none, as one object. What the call answered is passed on as it is, unread. */
async function result(model, index, response, started) {
  const body = await response.text();
  const told = response.ok ? `"response":${body}` : `"error":${reason(body)}`;
  return `{${about(model, index, response, started)},${told}}`;
}

/** Whose answer it is, what it cost and how long it took, as members of an object. */
function about(model, index, { headers, status }, started) {
  const cost = headers.get("x-latchkey-cost");
  const fields = {
    index,
    model,
    status,
    target: headers.get("x-latchkey-model"),
    request_id: headers.get("x-request-id"),
    duration_ms: Date.now() - started,
    cost: cost === null ? null : Number(cost),
  };
  return JSON.stringify(fields).slice(1, -1);
}

/** What a refusal says. */
function reason(body) {
  try {
    return JSON.stringify(JSON.parse(body).error ?? null);
  } catch {
    return JSON.stringify({ message: "The call ended without an answer.", type: "server_error", param: null, code: null });
  }
}

/** What an event says; nothing of a comment. */
function dataOf(event) {
  const lines = event.split(LINE_END).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(line[5] === " " ? 6 : 5)).join(" ");
}

/** The events of a stream of them, without the blank lines between. Providers end lines as they like. */
export async function* events(body) {
  const decoder = new TextDecoder();
  const blank = new RegExp(BLANK_LINE);
  // A long event comes in many pieces: each is gone over once, with the end of the one before it.
  let pieces = [];
  let begun = "";
  for await (const piece of body) {
    const text = begun + decoder.decode(piece, { stream: true });
    let start = 0;
    for (let end = blank.exec(text); end !== null; end = blank.exec(text)) {
      pieces.push(text.slice(start, end.index));
      start = blank.lastIndex;
      yield pieces.join("");
      pieces = [];
    }
    const rest = Math.max(start, text.length - BEGUN);
    pieces.push(text.slice(start, rest));
    begun = text.slice(rest);
  }
  const last = pieces.join("") + begun;
  if (last !== "") yield last;
}

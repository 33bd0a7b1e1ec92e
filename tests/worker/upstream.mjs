// A provider on this machine: a plain HTTP server that answers what a test tells it to, and remembers what it was asked.
//
// Each reply is used once, in order; without one, the answer is a short synthetic one in the format of the path. A reply is
// a function of the request and the response, made in `replies.mjs`, so that a test can also write its own.

import { createServer } from "node:http";
import { once } from "node:events";
import { synthetic } from "./replies.mjs";

/** More than anything takes that a test waits for. */
const PATIENCE_MS = 60_000;

/** Starts the server on a free port. */
export async function startUpstream() {
  const replies = [];
  const requests = [];
  let manner;
  let watcher;
  let brokenOff = 0;
  /** Who waits for a model to be asked for, by its name. */
  const waiting = new Map();
  const server = createServer(async (request, response) => {
    const seen = await read(request, response).catch(() => undefined);
    // It broke off before it was there.
    if (seen === undefined) return void (brokenOff += 1);
    if (watcher === undefined) requests.push(seen);
    watcher?.(seen);
    waiting.get(seen.json?.model)?.();
    waiting.delete(seen.json?.model);
    server.emit("seen", seen);
    const reply = replies.shift() ?? manner?.(seen) ?? synthetic(seen);
    await reply(seen, response);
  });
  // A connection that is closed for being idle may have a request on its way.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    url,
    /** Everything asked so far, oldest first. */
    requests,
    /** The request that came last. */
    last: () => requests.at(-1),
    /** What the next requests are answered with, in this order. */
    reply: (...next) => void replies.push(...next),
    /** How to answer without a reply: a function of the request that gives one, or nothing. */
    behave: (how) => void (manner = how),
    /** Whether every reply was used, so that a test cannot pass on an answer that it never got. */
    unused: () => replies.length,
    forget() {
      manner = undefined;
      replies.length = 0;
      requests.length = 0;
    },
    /** Shows each request to `how` instead of remembering it; `undefined` ends that. */
    watch: (how) => void (watcher = how),
    /** Settles when a model of this name is asked for. */
    asked: (model) => soon(new Promise((resolve) => waiting.set(model, resolve)), `${model} is asked for`),
    /** How many requests ended before all of them was there. */
    brokenOff: () => brokenOff,
    /** The next request to arrive. */
    next: () => soon(once(server, "seen").then(([seen]) => seen), "the provider is asked"),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What `promise` gives; rejects where `what` does not happen, rather than waiting for ever. Nobody has to await it. */
export function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${PATIENCE_MS} ms: ${what}`)), PATIENCE_MS).unref();
  });
  const first = Promise.race([promise, late]).finally(() => clearTimeout(timer));
  first.catch(() => {});
  return first;
}

/** A base URL of the fake provider for each of the gateway's variables, so that paths tell the formats apart. */
export function baseUrls(url) {
  return {
    OPENAI_BASE_URL: `${url}/openai/v1`,
    ANTHROPIC_BASE_URL: `${url}/anthropic`,
    GEMINI_BASE_URL: `${url}/gemini`,
    MISTRAL_BASE_URL: `${url}/mistral/v1`,
    DEEPSEEK_BASE_URL: `${url}/deepseek/v1`,
  };
}

async function read(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  return {
    method: request.method,
    path: request.url,
    headers: request.headers,
    text,
    json: request.headers["content-type"]?.includes("json") ? parsed(text) : undefined,
    /** Settles when the exchange is over: `true` if the other side left before the answer was complete. */
    left: new Promise((resolve) => {
      const timer = setTimeout(() => resolve(`still open after ${PATIENCE_MS} ms`), PATIENCE_MS).unref();
      response.once("close", () => {
        clearTimeout(timer);
        resolve(!response.writableFinished);
      });
    }),
  };
}

/** What is no JSON is answered all the same: whoever sent it would wait for ever. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// The Worker's entry. It does the I/O of a call and decides nothing: every decision is a step of the Rust state machine
// (src/gateway), reached through the functions of src/edge/hot.rs. Other routes go to the Rust fetch handler.
//
// Why JavaScript at all: each crossing between wasm and the runtime's objects costs, so the loop that reads and writes
// chunks stands on this side, and only bytes cross.

import RustWorker from "../../build/index.js";
import { runBound } from "./bound.mjs";
import { compare } from "./compare.mjs";
import { fetchMedia } from "./media.mjs";
import { readOutside } from "./outside.mjs";
import { BrokenOff, discard, fits, readBody, readUpTo } from "./read.mjs";
import { relay } from "./realtime.mjs";
import { LiveStream } from "./stream.mjs";
import { playScript } from "./sandbox.mjs";
import { exchange as exchangeToken } from "./token.mjs";
import { badKey, keptOut, refusal } from "./wall.mjs";

// The classes of the objects; the platform finds them by these names.
export { Health, Ledger } from "../../build/index.js";

// wasm-bindgen's exported functions hang on the class's prototype; they need no instance.
const core = RustWorker.prototype;
const NOTHING = new Uint8Array(0);
/** In place of a step, where an attempt ends that nobody waits for any longer. */
const GIVEN_UP = { do: "finish" };

/** How old the configuration document may get before it is read again, in milliseconds. */
const CONFIG_AGE = 15_000;
/** When nothing was heard of the health object, a call asks it again after this, in milliseconds. */
const HEALTH_WAIT = 5_000;
/** What `due_at_once` says: a target was just blocked, or a probe came back; as many calls wait as are written together. */
const [HEALTH, RECORDS] = [1, 2];
/** After how long another request does the writing, in milliseconds; or once so much is in the log, which takes 256 KB of each. */
const TAKE_OVER = 12_000;
const MOST_LOGGED = 48 * 1024;
/** How long an answer is read on for a caller who left; the platform gives 30 seconds for everything. */
const DRAIN = 25_000;

/** Who asks where nobody does: they never leave. */
const NOBODY = { signal: { addEventListener() {} } };

/** Paths on which the configuration changes. */
const CONFIGURES = /^\/admin\/config(\/rollback)?\/?$/;

/** Paths of calls; all others are the Rust fetch handler's. */
const CALLS = /^\/(v1|v1beta|v2|model|passthrough)\//;
/** Paths of calls whose bodies may stay on this side, with whatever the core forgives before them (src/http/route.rs). */
const OUTSIDE = /^\/passthrough\/|\/(audio\/t|images\/edits)/;
/** Bodies of at most so many bytes are read before anything is known of who sends them. */
const SHORT = 64 * 1024;
/** How a body is held, as the core is told: it is in the core, or it was too long, or it can be sent only once. */
const [WHOLE, TOO_LONG, ONCE] = [0, 1, 2];

let isolate;
/** Who is writing records, if anybody is. */
let flushing;

export default {
  async fetch(request, env, ctx) {
    const url = request.url;
    const start = url.indexOf("/", 8);
    const end = url.indexOf("?", start);
    const path = end < 0 ? url.slice(start) : url.slice(start, end);
    try {
      const { method } = request;
      if (method === "OPTIONS") return preflight();
      const isCall = CALLS.test(path);
      const isOld = isolate === undefined || !isolate.ready || isolate.configAt + CONFIG_AGE < Date.now();
      if (isOld) await setUp(request, env, ctx, isCall ? url.slice(start) : undefined);
      if (path === "/v1/compare" && method === "POST") return await comparison(request, env, ctx);
      if (isCall) return await call(request, url.slice(start), env, ctx);
      const wait = path.startsWith("/admin") ? keptOut(request, Date.now()) : 0;
      if (wait > 0) return refusal(wait);
      const answer = await new RustWorker(ctx, env).fetch(request);
      if (answer.status === 401) {
        const kept = await badKey(request, env, Date.now());
        return kept > 0 ? refusal(kept) : answer;
      }
      if (CONFIGURES.test(path) && method !== "GET") await learn(env, ctx, true);
      return answer;
    } catch (error) {
      if (error instanceof BrokenOff) return new Response(null, { status: 499 });
      return crashed(error, env, ctx);
    }
  },

  /** Once a minute: see src/admin/upkeep.rs. */
  async scheduled(controller, env, ctx) {
    await setUp(undefined, env, ctx);
    await Promise.all([core.keep_up(env, controller.scheduledTime), probe(env, ctx), learn(env, ctx, true)]);
  },
};

/** Asks blocked targets that nobody calls whether they are back, where that is wanted: see src/edge/probe.rs. */
async function probe(env, ctx) {
  const targets = JSON.parse(await core.claim_probes(env));
  const asked = targets.map(async (target) => {
    const answer = await drive(JSON.parse(core.begin_probe(target, Date.now())), NOBODY, env, ctx);
    await answer.arrayBuffer();
    core.probed(target, answer.status);
  });
  await Promise.allSettled(asked);
  if (targets.length > 0) await core.report_probes(env);
}

/**
 * Reads the environment once and the configuration document now and then, beside the calls. What else the first call will
 * need of other machines is asked for at the same time.
 */
async function setUp(request, env, ctx, path) {
  const now = Date.now();
  if (isolate === undefined) {
    const variables = {};
    for (const name of Object.keys(env)) if (typeof env[name] === "string") variables[name] = env[name];
    // The core chooses what is called by a binding; it only has to know that it is there.
    if (typeof env.AI?.run === "function") variables["binding:AI"] = "on";
    core.set_up(JSON.stringify(variables), crypto.getRandomValues(new Uint8Array(32)));
    isolate = { ready: false, configAt: 0, staleAt: 0, continent: request?.cf?.continent ?? "" };
  }
  if (!isolate.ready) {
    const asked = [refreshConfig(env, ctx)];
    if (path !== undefined) asked.push(core.foresee_grant(env, headOf(request, path)), hearHealth(env, ctx));
    await Promise.all(asked);
    isolate.ready = true;
    isolate.configAt = now;
  } else if (isolate.configAt + CONFIG_AGE < now) {
    isolate.configAt = now;
    ctx.waitUntil(refreshConfig(env, ctx));
  }
}

/** Has the vectors of the configuration's phrases, if it has any: from KV, or made anew where that is for this one to do. */
async function learn(env, ctx, makes) {
  try {
    if (!(await core.lacks_vectors(env)) || !makes) return;
    const answer = await drive(JSON.parse(core.begin_vectors(Date.now())), NOBODY, env, ctx);
    await core.keep_vectors(env, answer.status, new Uint8Array(await answer.arrayBuffer()));
  } catch (error) {
    // What cannot be compared is decided without; the schedule tries again.
    console.error(JSON.stringify({ event: "vectors_not_made", error: String(error) }));
  }
}

/** Without a document, or with one that cannot be had or read at all, what was in force stays so. */
async function refreshConfig(env, ctx) {
  try {
    await core.refresh_config(env);
  } catch (error) {
    console.error(JSON.stringify({ event: "config_refused", error: String(error) }));
  }
  // What could be read of a document is in force, and may have phrases of its own.
  await learn(env, ctx, false);
}

/**
 * Asks the health object for news where what is known is old: in an isolate's first call, and in one after a pause. It is
 * waited for only so long; a call that begins on old knowledge is better than one that does not begin.
 */
function hearHealth(env, ctx) {
  // One call asks for all; whether there was an answer shows in when the next one is to ask.
  isolate.staleAt = Date.now() + HEALTH_WAIT;
  const asked = exchangeHealth(env);
  ctx.waitUntil(asked);
  return Promise.race([asked, scheduler.wait(core.health_patience())]);
}

/** Tells the health object what was seen, and takes in what it knows. */
async function exchangeHealth(env) {
  isolate.staleAt = await core.exchange_health(env, isolate.continent);
}

/** One request, from its first byte to the head of its answer. */
async function call(request, path, env, ctx) {
  const now = Date.now();
  const wait = keptOut(request, now);
  if (wait > 0) return refusal(wait);
  const heard = isolate.staleAt <= now ? hearHealth(env, ctx) : undefined;
  const head = headOf(request, path);
  // Nobody without a key gets to fill the isolate's memory.
  const isStranger = mayBeLong(request) && !core.has_key(head);
  const outside = !isStranger && OUTSIDE.test(path) ? await readOutside(request, path, core) : undefined;
  let body = outside?.told;
  if (isStranger) body = await discard(request);
  else if (outside === undefined) body = await readBody(request, core.body_limit());
  if (heard !== undefined) await heard;
  const held = body === undefined ? TOO_LONG : outside?.once ? ONCE : WHOLE;
  let step = JSON.parse(core.begin(head, body ?? NOTHING, held, Date.now()));
  if (step.status === 401) {
    const kept = await badKey(request, env, Date.now());
    if (kept > 0) return refusal(kept);
  }
  if (step.do === "grant") step = JSON.parse(await core.find_grant(env, step.call, step.hash));
  if (step.do === "told") step = JSON.parse(await core.find_call(env, step.call, step.id, step.key, step.team));
  if (step.do === "standings") step = JSON.parse(await core.ask_standings(env, step.call, core.take_bytes()));
  if (step.do === "feedback") {
    const { id, key, name, score } = step;
    step = JSON.parse(await core.keep_feedback(env, step.call, id, key, name, score));
  }
  if (step.do === "media") step = await inline(step);
  if (step.do === "respond" || step.do === "finish") return respond(step, env, ctx);
  return drive(step, request, env, ctx, outside);
}

/** Whether the body of a request is long, or does not say that it is not. */
function mayBeLong({ headers }) {
  return !(Number(headers.get("content-length") ?? Infinity) <= SHORT);
}

/** All of a request but its body, as the core reads it. */
function headOf(request, path) {
  return `${request.method}\n${path}\n${told(request.headers)}`;
}

/** Several calls side by side; each is a call like any other. */
function comparison(request, env, ctx) {
  const make = (path, init) => call(new Request(new URL(path, request.url), init), path, env, ctx);
  return compare(core, request, make);
}

async function inline(step) {
  const fetched = await fetchMedia(step.links, step.most, core.body_limit());
  for (const { type, bytes, unavailable } of fetched) core.media(type, bytes, unavailable);
  return JSON.parse(core.media_complete(step.call, Date.now()));
}

/** Takes a call from attempt to attempt, until there is an answer or nothing is left to try. */
async function drive(step, request, env, ctx, outside) {
  const live = new Live(step.call, env, ctx, outside);
  request.signal.addEventListener("abort", () => live.gone(), { once: true });
  // A body that its caller breaks off is not the provider's doing.
  if (outside !== undefined) outside.left = () => live.gone();
  let next = await advance(step, live);
  if (live.rival !== undefined) next = await live.outcome(next);
  const { webSocket, status, headers } = next;
  if (webSocket !== undefined) return new Response(null, { status, headers, webSocket });
  if (next.readable === undefined) live.complete();
  return next.readable === undefined ? respond(next, env, ctx) : headed(next.readable, next);
}

/** Does what steps ask for, until one has something for the caller. */
async function advance(step, live) {
  let next = step;
  for (;;) {
    if (next.do === "send") next = await attempt(next, live);
    else if (next.do === "wait") next = await pause(next, live);
    else if (next.do === "media") next = await inline(next);
    else if (next.do === "exchange") next = JSON.parse(await exchangeToken(core, next, live));
    else if (next.do === "inner") next = await askInside(next, live);
    else if (next.do === "ledger") next = JSON.parse(await core.ask_ledger(live.env, next.call, next.team, core.take_bytes()));
    else if (next.do === "responses") next = JSON.parse(await core.find_responses(live.env, next.call));
    else return next;
  }
}

/** A call of the gateway's own for the sake of this one, which goes on with its answer. */
async function askInside(step, live) {
  const answer = await drive(JSON.parse(core.begin_inner(step.call, Date.now())), NOBODY, live.env, live.ctx);
  const body = new Uint8Array(await answer.arrayBuffer());
  return JSON.parse(core.inner_answered(step.call, answer.status, body, Date.now()));
}

/** The shadow of a call that was just sent: nobody waits for it, and nobody reads its answer. */
async function follow(step, live) {
  const answer = await drive(JSON.parse(core.begin_shadow(step.call, Date.now())), NOBODY, live.env, live.ctx);
  if (answer.body !== null) for await (const _ of answer.body);
}

/**
 * Sends one request upstream; gives the step that follows, with the stream to answer with where one has begun.
 *
 * Whatever comes first keeps the one promise: the answer, a failure, a deadline, or the caller's leaving.
 */
function attempt(step, live) {
  // What another attempt has just failed of is told at once.
  if (step.held && (live.step !== undefined || !isWriting(Date.now()))) settle(live.env, live.ctx);
  return new Promise((resolve, reject) => {
    live.begin(step);
    if (!step.abort) live.lose = () => resolve(live.failed(step, "stopped"));
    const work = step.abort ? exchange(step, live) : exchangeWhole(step, live);
    if (step.shadow) live.ctx.waitUntil(follow(step, live));
    work.then(resolve, (error) => resolve(live.failed(step, error))).catch(reject);
  });
}

async function pause(step, live) {
  live.stop();
  await scheduler.wait(step.wait);
  return JSON.parse(core.waited(live.call, Date.now()));
}

/** The upstream's answer: that of a server, of a binding, or of the sandbox. */
function ask(step, live) {
  const signal = live.abort?.signal;
  if (step.sandbox) return playScript(step.sandbox, signal);
  if (step.binding) return runBound(live.env[step.binding.name], step.binding.model, core.take_bytes(), signal);
  if (step.socket) return fetch(step.url, { headers: { ...step.headers, upgrade: "websocket" }, signal, redirect: "manual" });
  const body = step.outside ? live.outside.body(core.take_bytes()) : core.take_bytes();
  return fetch(step.url, { method: step.method ?? "POST", headers: step.headers, body, signal, redirect: "manual" });
}

/**
 * The usual plain call: its answer is told in one piece. No signal goes with the fetch, which would make it a good deal
 * dearer; what comes of one that was given up is dropped here.
 */
async function exchangeWhole(step, live) {
  const upstream = await ask(step, live);
  const { headers } = upstream;
  const lines = told(headers);
  let whole;
  let broken;
  try {
    const isWhole = fits(headers, step.most);
    whole = isWhole ? new Uint8Array(await upstream.arrayBuffer()) : await readUpTo(upstream.body, step.most);
  } catch (error) {
    broken = String(error);
  }
  if (!live.wants(step)) return GIVEN_UP;
  if (whole === undefined) {
    // Who has answered, be it not to the end, may bill that.
    const next = JSON.parse(core.headers(step.call, upstream.status, lines, Date.now()));
    if (next.do !== "read") return next;
    return broken === undefined ? tooLong(next) : JSON.parse(core.broken(step.call, broken, Date.now()));
  }
  return JSON.parse(core.answer(step.call, upstream.status, lines, whole, Date.now()));
}

/** The upstream's answer up to the step that it leads to; a stream goes on beside it. */
async function exchange(step, live) {
  const upstream = await ask(step, live);
  live.connected();
  const next = JSON.parse(core.headers(step.call, upstream.status, told(upstream.headers), Date.now()));
  if (upstream.webSocket && next.do === "commit") {
    live.rest();
    return { ...next, webSocket: relay(core, live, upstream.webSocket, () => settle(live.env, live.ctx)) };
  }
  if (next.do === "read") return readWhole(next, upstream);
  // The stream that the caller reads already goes on with this one.
  if (next.do === "write") return { ...next, bytes: core.take_bytes(), upstream };
  if (next.do !== "hold") return next;
  // The status line is here; from now on the stream keeps its own deadlines.
  live.rest();
  const stream = new LiveStream(core, live, step, upstream);
  return new Promise((resolve) => {
    live.ctx.waitUntil(stream.run((step, readable) => resolve(readable ? { ...step, readable } : step)));
  });
}

/** Headers as the core reads them: a line `name:value` for each. The runtime's iterator would cost a tenth of a call. */
function told(headers) {
  let lines = "";
  headers.forEach((value, name) => (lines += `${name}:${value}\n`));
  return lines;
}

/** A call that is sent upstream: what may end it, or its present attempt, from outside. */
class Live {
  constructor(call, env, ctx, outside) {
    this.outside = outside;
    this.call = call;
    this.env = env;
    this.ctx = ctx;
    this.over = false;
    this.drained = false;
  }

  /** Another request goes out; the one before is let go of. */
  begin(step) {
    this.stop();
    this.step = step;
    this.sent = Date.now();
    this.expired = undefined;
    this.abort = step.abort ? new AbortController() : undefined;
    this.left = step.total;
    const deadline = step.connect === undefined ? "total" : "connect";
    this.arm(deadline, this.sent + step[deadline]);
    if (step.hedge !== undefined) setTimeout(() => this.hedge(step), step.hedge);
  }

  /** The first word is late: another target is asked as well, and whichever speaks first answers the call. */
  hedge(step) {
    if (this.over || this.drained || this.step !== step) return;
    const second = JSON.parse(core.hedge(this.call, Date.now()));
    if (second.do === "hold") return;
    const rival = (this.rival = new Live(second.call, this.env, this.ctx, this.outside));
    this.answered = advance(second, rival).then((next) => {
      // It has left the call to this one, or it has an answer, whose bytes are taken before this one is told to end.
      if (next.do === "finish") return next;
      const bytes = next.readable === undefined ? core.take_bytes() : undefined;
      this.stop();
      return { ...next, bytes };
    });
    this.answered.catch(() => {});
  }

  /** What answers the call of which two targets were asked: this one, unless it failed or came second. */
  outcome(next) {
    if (next.do === "finish") return this.answered;
    this.rival.end();
    return next;
  }

  /** The status line came; what is left is the whole call's time. */
  connected() {
    if (this.abort === undefined) return;
    clearTimeout(this.timer);
    this.arm("total", this.sent + this.left);
  }

  /** The attempt expires at that moment; until then what it holds is renewed. */
  arm(deadline, moment) {
    const left = Math.max(moment - Date.now(), 0);
    if (left <= TAKE_OVER) this.timer = setTimeout(() => this.expire(deadline), left);
    else this.timer = setTimeout(() => this.over || (this.renew(), this.arm(deadline, moment)), TAKE_OVER);
  }

  /** Leases are renewed by one request for all, which may not live as long as this one. */
  renew() {
    settle(this.env, this.ctx);
  }

  /** What becomes of the call when its stream has died and is to go on elsewhere. */
  goOn(step) {
    return advance(step, this);
  }

  /** No deadline of the attempt is kept here any longer. */
  rest() {
    clearTimeout(this.timer);
  }

  /** Whether what came of an attempt is still waited for; from now on it cannot be lost. */
  wants(step) {
    if (this.over || this.step !== step) return false;
    this.lose = undefined;
    return true;
  }

  /** What follows an attempt that failed. */
  failed(step, error) {
    if (!this.wants(step)) return GIVEN_UP;
    const { call, expired } = this;
    const now = Date.now();
    return JSON.parse(expired ? core.expired(call, expired, now) : core.broken(call, String(error), now));
  }

  /** Stops whatever still runs of the present attempt: its signal makes it fail, or it is given up. */
  stop() {
    clearTimeout(this.timer);
    this.abort?.abort();
    if (this.lose === undefined) return;
    this.lose();
    this.step = undefined;
  }

  /** The caller went away: the upstream is aborted, or read to its end within what the platform gives. */
  gone() {
    if (!this.over && !this.drained) this.leave();
    this.rival?.gone();
  }

  leave() {
    if (core.gone(this.call, Date.now())) {
      this.drained = true;
      this.ctx.waitUntil(new Promise((resolve) => (this.ended = resolve)));
      setTimeout(() => this.expire("total"), DRAIN);
    } else this.end();
  }

  /** What the answer leaves to be stored is written beside it. */
  keep() {
    if (this.step?.keeps) this.ctx.waitUntil(core.keep_responses(this.env));
  }

  /** The upstream's answer is here in full. Its timer is not worth stopping: it ends with the request, or finds this over. */
  complete() {
    this.over = true;
    this.keep();
    this.ended?.();
  }

  /** Nothing more is read or written, whatever the upstream still sends. */
  end() {
    this.over = true;
    this.stop();
    this.ended?.();
    // Without a signal the upstream is let go of when nothing of this request is left to wait for.
    if (this.abort === undefined) this.ctx.waitUntil(core.write_records(this.env).catch(unwritten));
    else settle(this.env, this.ctx);
  }

  /** A deadline passed before the upstream's status line. */
  expire(deadline) {
    if (this.over) return;
    this.expired = deadline;
    this.stop();
  }
}

/** Reads a whole body, up to the cap that the step names. */
async function readWhole(step, upstream) {
  if (fits(upstream.headers, step.most)) {
    return JSON.parse(core.body(step.call, new Uint8Array(await upstream.arrayBuffer()), Date.now()));
  }
  const whole = await readUpTo(upstream.body, step.most);
  return whole === undefined ? tooLong(step) : JSON.parse(core.body(step.call, whole, Date.now()));
}

function tooLong(step) {
  return JSON.parse(core.too_long(step.call, Date.now()));
}

/** An answer with the head that a step says. Header by header costs the runtime less than to take an object of them apart. */
function headed(body, { status, headers }) {
  const answer = new Response(body, { status });
  for (const name in headers) answer.headers.set(name, headers[name]);
  return answer;
}

/** The whole answer that a step asks for. */
function respond(step, env, ctx) {
  settle(env, ctx);
  if (step.do !== "respond") return new Response(null, { status: 499 });
  const bytes = step.bytes ?? core.take_bytes();
  // Some statuses may have no body, not even an empty one.
  return headed(bytes.length === 0 ? null : bytes, step);
}

/**
 * Has finished calls written to the log and told to the ledger together, a moment later and beside the answers. Leases
 * are renewed with that, and given back when the calls are over, so it goes on as long as there is something to say.
 */
function settle(env, ctx) {
  const now = Date.now();
  const due = core.due_at_once(now);
  if (due & HEALTH) ctx.waitUntil(exchangeHealth(env));
  if (due & RECORDS) ctx.waitUntil(core.write_records(env).catch(unwritten));
  // The platform ends what a request leaves behind after half a minute: a later request takes over in time.
  if (isWriting(now) || !core.owes_ledger()) return;
  flushing = { since: now, logged: 0 };
  ctx.waitUntil(flush(env, flushing));
}

/** Whether a request writes what there is to tell, and has the time to go on with it. */
function isWriting(now) {
  return flushing !== undefined && now < flushing.since + TAKE_OVER && flushing.logged < MOST_LOGGED;
}

async function flush(env, own) {
  try {
    do {
      await scheduler.wait(core.records_wait());
      const told = core.health_due(Date.now()) ? exchangeHealth(env) : undefined;
      // What failed was in the log as well, and cannot be told.
      own.logged += (await core.write_records(env).catch((error) => stumbled(error, own))) ?? MOST_LOGGED;
      await told;
    } while (flushing === own && core.owes_ledger());
  } catch (error) {
    unwritten(error);
  } finally {
    if (flushing === own) flushing = undefined;
  }
}

/** No other request may come: what a ledger did not take is told again as long as this one lets it. */
function stumbled(error, own) {
  if (Date.now() >= own.since + TAKE_OVER) throw error;
  unwritten(error);
}

function unwritten(error) {
  console.error(JSON.stringify({ event: "records_not_written", error: String(error) }));
}

function preflight() {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
      "access-control-allow-headers": "*, authorization",
      "access-control-max-age": "86400",
    },
  });
}

/** A defect of ours. The instance is replaced, so that the next request finds a working one. */
function crashed(error, env, ctx) {
  console.error(JSON.stringify({ event: "crashed", error: String(error?.stack ?? error) }));
  if (error instanceof WebAssembly.RuntimeError || String(error).includes("Module terminated")) {
    globalThis.__worker_init_state.criticalError = true;
    isolate = undefined;
    new RustWorker(ctx, env);
  }
  const body = { error: { message: "The gateway failed.", type: "server_error", param: null, code: "internal_error" } };
  const headers = { "cache-control": "private, no-store", "access-control-allow-origin": "*" };
  return Response.json(body, { status: 500, headers });
}

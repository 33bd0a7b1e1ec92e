// Gets a credential that ends: another isolate's copy from KV, else a new one from its issuer. What is asked, and whether
// what comes is any good, is for the core to say (src/gateway/tokens.rs).

import { readUpTo } from "./read.mjs";

/** How long the issuer has, and KV, in milliseconds. */
const PATIENCE = 8_000;
const COPY_PATIENCE = 1_500;
/** How long copies are kept, in seconds: tokens live an hour, and who finds an old one asks anew. */
const KEPT = 3_600;
const MOST = 64 * 1024;
const VECTOR = 12;

/** The step that follows. */
export async function exchange(core, step, { env, ctx }) {
  const form = new TextDecoder().decode(core.take_bytes());
  const copies = new Copies(core, env.CONFIG, step.id);
  const copy = await copies.read();
  if (copy !== undefined && copy.sent > step.newer_than) {
    return core.exchanged(step.call, 200, copy.body, copy.sent, true, Date.now());
  }
  const sent = Date.now();
  try {
    const body = step.key === undefined ? form : `${form}.${await signature(step.key, form)}`;
    const headers = { ...step.headers, "content-type": "application/x-www-form-urlencoded", accept: "application/json, text/xml" };
    const signal = AbortSignal.timeout(PATIENCE);
    const answer = await fetch(step.url, { method: "POST", headers, body, signal, redirect: "manual" });
    const token = (await readUpTo(answer.body, MOST)) ?? new Uint8Array(0);
    if (answer.status === 200) ctx.waitUntil(copies.write(token, sent));
    return core.exchanged(step.call, answer.status, token, sent, false, Date.now());
  } catch (error) {
    return core.not_exchanged(step.call, String(error), Date.now());
  }
}

/** RS256 over what the form ends in. */
async function signature(key, form) {
  const claim = form.slice(form.lastIndexOf("=") + 1);
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const secret = await crypto.subtle.importKey("pkcs8", bytesOf(key), algorithm, false, ["sign"]);
  const signed = await crypto.subtle.sign(algorithm, secret, new TextEncoder().encode(claim));
  return btoa(String.fromCharCode(...new Uint8Array(signed))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** What isolates leave each other: encrypted, and of use to nobody who has only the store. */
class Copies {
  constructor(core, store, id) {
    this.secret = core.copy_key();
    this.store = store;
    this.name = `token:${id}`;
    this.algorithm = { name: "AES-GCM", additionalData: new TextEncoder().encode(this.name) };
  }

  /** The copy, with when its token was asked for; nothing where there is none, or none in time. */
  async read() {
    try {
      const late = scheduler.wait(COPY_PATIENCE);
      const stored = await Promise.race([this.store.get(this.name, { type: "arrayBuffer", cacheTtl: 60 }), late]);
      if (!stored) return undefined;
      const iv = new Uint8Array(stored, 0, VECTOR);
      const plain = await crypto.subtle.decrypt({ ...this.algorithm, iv }, await this.key("decrypt"), stored.slice(VECTOR));
      return { sent: new DataView(plain).getFloat64(0), body: new Uint8Array(plain, 8) };
    } catch {
      return undefined;
    }
  }

  async write(body, sent) {
    try {
      const plain = new Uint8Array(8 + body.byteLength);
      new DataView(plain.buffer).setFloat64(0, sent);
      plain.set(body, 8);
      const iv = crypto.getRandomValues(new Uint8Array(VECTOR));
      const hidden = await crypto.subtle.encrypt({ ...this.algorithm, iv }, await this.key("encrypt"), plain);
      await this.store.put(this.name, await new Blob([iv, hidden]).arrayBuffer(), { expirationTtl: KEPT });
    } catch (error) {
      console.error(JSON.stringify({ event: "token_not_copied", error: String(error) }));
    }
  }

  key(use) {
    return crypto.subtle.importKey("raw", this.secret, "AES-GCM", false, [use]);
  }
}

// The first wall against floods of bad keys, where the deployment has Cloudflare's rate-limiting binding `BAD_KEYS`: an
// address that has sent more bad keys than the binding allows is refused before anything of its requests is read.
//
// Only bad keys are counted, so that callers with good ones never wait for it; without the binding nothing is.

/** How long an address stays out, in milliseconds: the binding counts by the minute. */
const OUT = 60_000;
/** Addresses that an isolate remembers; beyond that it starts over. */
const MOST = 4_096;

/**
 * The address that all Workers of others call from, which says nothing of who calls
 * (https://developers.cloudflare.com/fundamentals/reference/http-headers/#cf-connecting-ip-in-worker-subrequests).
 */
const WORKERS = "2a06:98c0:3600::103";

const out = new Map();

/** How many seconds the caller of this request still has to wait; 0 for nearly everybody. */
export function keptOut(request, now) {
  if (out.size === 0) return 0;
  const until = out.get(addressOf(request));
  return until > now ? Math.ceil((until - now) / 1_000) : 0;
}

/** A bad key came: counts it, and says how many seconds its sender is kept out. */
export async function badKey(request, env, now) {
  const address = addressOf(request);
  if (env.BAD_KEYS === undefined || address === null || address === WORKERS) return 0;
  const { success } = await env.BAD_KEYS.limit({ key: address });
  if (success) return 0;
  if (out.size >= MOST) out.clear();
  out.set(address, now + OUT);
  return OUT / 1_000;
}

/** The answer for who has to wait, in the shape that every SDK reads. */
export function refusal(seconds) {
  const message = "Too many bad keys came from this address. Wait, and check the key.";
  const error = { message, type: "rate_limit_error", param: null, code: "rate_limit_exceeded" };
  const headers = { "retry-after": String(seconds), "cache-control": "private, no-store", "access-control-allow-origin": "*" };
  return Response.json({ error }, { status: 429, headers });
}

function addressOf(request) {
  return request.headers.get("cf-connecting-ip");
}

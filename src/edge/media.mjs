// Fetches what a caller linked to, for providers that cannot. Every hop is checked by the core (src/gateway/link.rs).

import RustWorker from "../../build/index.js";
import { readUpTo } from "./read.mjs";

const core = RustWorker.prototype;
const MOST_HOPS = 4;
const PATIENCE = 15_000;
/** Some hosts of pictures refuse who does not say who it is (https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy). */
const HEADERS = { accept: "*/*", "user-agent": "Latchkey/1.0 (LLM gateway; fetches what its caller linked to)" };

/**
 * What is linked, with its type, or why it cannot be had: each of up to `most` bytes, and all of up to `together`. They are
 * in memory at once, of which the isolate has only so much.
 */
export function fetchMedia(links, most, together) {
  const room = { together, left: together };
  return Promise.all(links.map((link) => fetchOne(link, most, room)));
}

async function fetchOne(link, most, room) {
  try {
    return await follow(link, most, room);
  } catch (error) {
    if (room.left < 0) return unavailable(`with the call's other links it is larger than ${room.together} bytes (limit \`body_bytes\`)`);
    return unavailable(error?.name === "TimeoutError" ? "it did not answer in time" : "the connection failed");
  }
}

async function follow(link, most, room) {
  const signal = AbortSignal.timeout(PATIENCE);
  let url = link;
  for (let hop = 0; hop < MOST_HOPS; hop += 1) {
    const fault = core.link_fault(url);
    if (fault !== "") return unavailable(fault);
    const answer = await fetch(url, { redirect: "manual", signal, headers: HEADERS });
    const next = answer.headers.get("location");
    if (answer.status >= 300 && answer.status < 400 && next !== null) {
      await answer.body?.cancel();
      url = new URL(next, url).href;
      continue;
    }
    if (!answer.ok) {
      await answer.body?.cancel();
      return unavailable(`it answered with status ${answer.status}`);
    }
    const bytes = await readUpTo(counted(answer.body, room), most);
    if (bytes === undefined) return unavailable(`it is larger than ${most} bytes (limit \`media_bytes\`)`);
    return { type: answer.headers.get("content-type") ?? "", bytes, unavailable: undefined };
  }
  return unavailable("it redirects too often");
}

/** The pieces of a body, as long as there is room. */
async function* counted(body, room) {
  for await (const piece of body ?? []) {
    room.left -= piece.byteLength;
    if (room.left < 0) throw new Error("no room is left");
    yield piece;
  }
}

function unavailable(reason) {
  return { type: "", bytes: new Uint8Array(0), unavailable: reason };
}

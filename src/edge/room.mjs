// Room for large bodies. An isolate has 128 MB for everything that it does at a time, and one that takes more is ended with
// every call in it (https://developers.cloudflare.com/workers/platform/limits/#memory).

/**
 * Bytes of large bodies that are read and sent at a time. Each of them is in memory several times over until its answer
 * begins: as it came, as it is read, and as it is sent.
 */
export const ROOM = 32 * 1024 * 1024;
/** How often that is, about. */
const COPIES = 3;
/** Bodies of up to so many bytes, and so nearly all, do not ask. */
const SMALL = 1024 * 1024;
/** How long a body waits on its caller's side, and how often it looks whether there is room, in milliseconds. */
const PATIENCE = 30_000;
const LOOK = 20;
/** After so many milliseconds room is free again, whoever took it: the platform may end a request without a word to it. */
const LONGEST = 60_000;

/** What is taken, and until when. */
let taken = [];

/** How much room a request asks for. What passes as it comes is not held. */
export function wanted({ headers }, path) {
  const length = Number(headers.get("content-length") ?? 0);
  if (!(length > SMALL) || path.startsWith("/passthrough/")) return 0;
  // A form is kept once, as it came.
  const isForm = headers.get("content-type")?.startsWith("multipart/");
  return Math.min(isForm ? length / COPIES : length, ROOM);
}

/** Does `work` once there is room for so many bytes; gives nothing where there never is. */
export async function withRoom(bytes, work) {
  // Nobody can wait for a promise of another request's, so this looks.
  for (let waited = 0; bytes > left(); waited += LOOK) {
    if (waited >= PATIENCE) return undefined;
    await scheduler.wait(LOOK);
  }
  const own = { bytes, until: Date.now() + LONGEST };
  taken.push(own);
  try {
    return await work();
  } finally {
    taken = taken.filter((other) => other !== own);
  }
}

function left() {
  const now = Date.now();
  taken = taken.filter(({ until }) => until > now);
  return taken.reduce((room, { bytes }) => room - bytes, ROOM);
}

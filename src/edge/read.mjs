/** How many bytes of a body over the limit are still taken. */
const DISCARDED = 32 * 1024 * 1024;

/** The caller left while they were sending: nobody waits for an answer. */
export class BrokenOff extends Error {}

/** What comes of reading what a caller sends; what cannot be read to its end, they broke off. */
export function ofCaller(reading) {
  return reading.catch((error) => {
    throw new BrokenOff(String(error));
  });
}

/** Whether the stream of a reader is broken by now. */
export function isBroken(reader) {
  return Promise.race([reader.closed.then(() => false, () => true), scheduler.wait(0).then(() => false)]);
}

/** Takes the body of a request that is refused for something else, as `readBody` does the rest of a long one. */
export async function discard(request) {
  await readBody(request, 0);
  return new Uint8Array(0);
}

/**
 * The whole body of a request, or undefined where it is longer than `most`. The rest of a long one is taken all the same,
 * within reason: a caller who is still writing would see a broken connection instead of the answer.
 */
export async function readBody(request, most) {
  // Caught here and not by `ofCaller`: every call comes this way, and a promise more would cost each of them.
  try {
    const length = request.headers.get("content-length");
    // Looking at `body` makes a stream of it, so that comes last.
    if (length !== null && Number(length) <= most) return new Uint8Array(await request.arrayBuffer());
    if (request.body === null) return new Uint8Array(0);
    if (length === null) return await readUpTo(request.body, most, DISCARDED);
    await readUpTo(request.body, 0, DISCARDED);
    return undefined;
  } catch (error) {
    throw new BrokenOff(String(error));
  }
}

/** Whether the body of an answer with these headers has at most `most` bytes: what is packed does not say how many. */
export function fits(headers, most) {
  const length = Number(headers.get("content-length") ?? 0);
  return length > 0 && length <= most && !headers.has("content-encoding");
}

/**
 * All bytes of a stream, or undefined where there are more than `most`. Up to `discard` further bytes are read and thrown
 * away before the stream is cancelled.
 */
export async function readUpTo(stream, most, discard = 0) {
  const pieces = [];
  let total = 0;
  for await (const piece of stream ?? []) {
    total += piece.byteLength;
    if (total > most + discard) return undefined;
    if (total > most) pieces.length = 0;
    else pieces.push(piece);
  }
  if (total > most) return undefined;
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

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

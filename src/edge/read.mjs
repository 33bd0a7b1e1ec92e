/** All bytes of a stream, or undefined (and the stream cancelled) where there are more than `most`. */
export async function readUpTo(stream, most) {
  const pieces = [];
  let total = 0;
  for await (const piece of stream ?? []) {
    total += piece.byteLength;
    if (total > most) return undefined;
    pieces.push(piece);
  }
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

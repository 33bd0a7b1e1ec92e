// Names the functions of a wasm so that sorting by name puts alike ones close together, where they zip well.

import { readFileSync, writeFileSync } from "node:fs";
import { CODE, CUSTOM, IMPORTS, Reader, importsOf, number, section, sectionsOf, text, vector, wasmOf } from "./wasm.mjs";

/** The part of a `name` section that names functions. */
const FUNCTION_NAMES = 1;

/** So many bytes in a row are a piece that functions may share. Fewer are shared by chance, and no more fit a number. */
const PIECE_BYTES = 6;
/** A piece that more functions hold than these is in sight wherever one of them stands. */
const MOST_HOLDERS = 300;
/** What has fewer pieces counts as if it had these. */
const SMALLEST_PIECES = 12;
/** How far back zipping sees: 32 KiB, less what it has no memory left for. */
const SIGHT_BYTES = 28_000;

/** Gives every function of the file at `path` a number for a name, in the order in which they are to stand. */
export function nameByLikeness(path) {
  const sections = sectionsOf(readFileSync(path));
  const imports = importsOf(sections.find(({ id }) => id === IMPORTS).bytes);
  const imported = imports.filter(({ isFunction }) => isFunction).length;
  const order = orderByLikeness(bodiesOf(sections.find(({ id }) => id === CODE).bytes));
  const names = order.map((at, place) => [imported + at, `f${String(place).padStart(6, "0")}`]);
  names.sort(([one], [other]) => one - other);
  const unnamed = sections.filter(({ id, bytes }) => id !== CUSTOM || new Reader(bytes).text() !== "name");
  const entries = names.map(([index, name]) => Buffer.concat([number(index), text(name)]));
  const renamed = { id: CUSTOM, bytes: Buffer.concat([text("name"), section(FUNCTION_NAMES, vector(entries))]) };
  writeFileSync(path, wasmOf([...unnamed, renamed]));
}

/**
 * The places of `bodies`, each followed by the one of whose pieces the most are in sight by then. Names tell less than
 * what is in them does: what one generic function made is often alike, and so is much else.
 */
export function orderByLikeness(bodies) {
  const functions = withSharedPieces(bodies);
  const left = new Set(functions);
  const order = [];
  let [sight, first] = [0, 0];
  while (left.size > 0) {
    const next = mostInSight(left);
    left.delete(next);
    order.push(next);
    sight += next.size;
    for (const piece of next.pieces) if (piece.inSight++ === 0) for (const holder of piece.holders) holder.known += 1;
    for (; sight > SIGHT_BYTES && first < order.length - 1; first += 1) {
      const gone = order[first];
      sight -= gone.size;
      for (const piece of gone.pieces) if (--piece.inSight === 0) for (const holder of piece.holders) holder.known -= 1;
    }
  }
  return order.map(({ at }) => at);
}

function mostInSight(functions) {
  let [best, most] = [undefined, -1];
  for (const candidate of functions) {
    const part = candidate.known / candidate.weight;
    if (part > most) [best, most] = [candidate, part];
  }
  return best;
}

/** Functions with those of their pieces that are found in others, but not in most. */
function withSharedPieces(bodies) {
  const holdersOf = new Map();
  const functions = bodies.map((body, at) => {
    const own = piecesOf(body);
    // Large ones may be a little less alike, as they save more; the smallest are alike by chance.
    const weight = Math.max(own.size, SMALLEST_PIECES) ** 0.75;
    const made = { at, size: body.length, weight, pieces: [], known: 0 };
    for (const piece of own) {
      const holders = holdersOf.get(piece);
      if (holders) holders.push(made);
      else holdersOf.set(piece, [made]);
    }
    return made;
  });
  for (const holders of holdersOf.values()) {
    if (holders.length < 2 || holders.length > MOST_HOLDERS) continue;
    const shared = { holders, inSight: 0 };
    for (const { pieces } of holders) pieces.push(shared);
  }
  return functions;
}

/** The pieces of `body`, each as the number that its bytes make. */
function piecesOf(body) {
  const pieces = new Set();
  for (let at = 0; at + PIECE_BYTES <= body.length; at += 1) pieces.add(body.readUIntBE(at, PIECE_BYTES));
  return pieces;
}

function bodiesOf(bytes) {
  const reader = new Reader(bytes);
  return reader.vector(() => reader.take(reader.number()));
}

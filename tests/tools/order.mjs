// Names the functions of a wasm so that sorting by name puts alike ones close together, where they zip well.

import { readFileSync, writeFileSync } from "node:fs";

const CUSTOM = 0;
const IMPORTS = 2;
const CODE = 10;
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
  const wasm = readFileSync(path);
  const sections = [...sectionsOf(wasm)];
  const imported = importedFunctions(sections.find(({ id }) => id === IMPORTS).bytes);
  const order = orderByLikeness(bodiesOf(sections.find(({ id }) => id === CODE).bytes));
  const names = order.map((at, place) => [imported + at, `f${String(place).padStart(6, "0")}`]);
  names.sort(([one], [other]) => one - other);
  const unnamed = sections.filter(({ id, bytes }) => id !== CUSTOM || new Reader(bytes).text() !== "name");
  const renamed = { id: CUSTOM, bytes: Buffer.concat([text("name"), section(FUNCTION_NAMES, vector(names))]) };
  const written = [...unnamed, renamed].map(({ id, bytes }) => section(id, bytes));
  writeFileSync(path, Buffer.concat([wasm.subarray(0, 8), ...written]));
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

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  get done() {
    return this.at >= this.bytes.length;
  }
  byte() {
    return this.bytes[this.at++];
  }
  number() {
    let [value, scale, byte] = [0, 1];
    do {
      byte = this.byte();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte & 0x80);
    return value;
  }
  take(length) {
    return this.bytes.subarray(this.at, (this.at += length));
  }
  text() {
    return this.take(this.number()).toString();
  }
  /** A number of things, each read by `read`. */
  vector(read) {
    return Array.from({ length: this.number() }, read);
  }
}

function* sectionsOf(wasm) {
  const reader = new Reader(wasm.subarray(8));
  while (!reader.done) yield { id: reader.byte(), bytes: reader.take(reader.number()) };
}

/** How many functions are imported: they come first in the count. */
function importedFunctions(bytes) {
  const reader = new Reader(bytes);
  const limits = () => {
    if (reader.byte() & 1) reader.number();
    reader.number();
  };
  // By kind: function, table, memory, global, tag.
  const index = () => reader.number();
  const kinds = [index, () => (reader.byte(), limits()), limits, () => reader.take(2), () => (reader.byte(), index())];
  const imports = reader.vector(() => {
    reader.text();
    reader.text();
    const kind = reader.byte();
    kinds[kind]();
    return kind;
  });
  return imports.filter((kind) => kind === 0).length;
}

function bodiesOf(bytes) {
  const reader = new Reader(bytes);
  return reader.vector(() => reader.take(reader.number()));
}

function number(value) {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value]);
}

function text(value) {
  return Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);
}

function section(id, bytes) {
  return Buffer.concat([Buffer.from([id]), number(bytes.length), bytes]);
}

function vector(names) {
  return Buffer.concat([number(names.length), ...names.flatMap(([index, name]) => [number(index), text(name)])]);
}

// Names the functions of a wasm so that sorting by name puts alike ones side by side, where they zip well.

import { readFileSync, writeFileSync } from "node:fs";

const IMPORTS = 2;
const CODE = 10;
const CUSTOM = 0;
/** The part of a `name` section that names functions. */
const FUNCTION_NAMES = 1;

/**
 * Gives every function of the file at `path` a number for a name, in the order in which they are to stand. What was
 * made of one generic function comes together, the like-sized side by side; of our own, what is called the same in
 * different files of a module does, closures apart.
 */
export function nameByLikeness(path) {
  const wasm = readFileSync(path);
  const sections = [...sectionsOf(wasm)];
  const imported = importedFunctions(sections.find(({ id }) => id === IMPORTS).bytes);
  const named = sections.find(({ id, bytes }) => id === CUSTOM && new Reader(bytes).text() === "name");
  const names = functionNames(named.bytes);
  const functions = sizes(sections.find(({ id }) => id === CODE).bytes).map((size, at) => {
    const index = imported + at;
    return { index, size, key: likeness(names.get(index) ?? "") };
  });
  functions.sort((one, other) => compare(one.key, other.key) || one.size - other.size);
  const places = functions.map(({ index }, place) => [index, `f${String(place).padStart(6, "0")}`]);
  places.sort(([one], [other]) => one - other);
  const renamed = Buffer.concat([text("name"), section(FUNCTION_NAMES, vector(places))]);
  const written = sections.map(({ id, bytes }) => section(id, bytes === named.bytes ? renamed : bytes));
  writeFileSync(path, Buffer.concat([wasm.subarray(0, 8), ...written]));
}

/** What a function is sorted by: `latchkey::wire::gemini::request::f` by `latchkey::-::wire::f::request::gemini`. */
function likeness(name) {
  const [crate, module, ...inner] = name.replace(/::h[0-9a-f]{16}$/, "").replace(/^[<&_ ]+/, "").split("::");
  if (crate !== "latchkey") return [crate, module, ...inner].join("::");
  const kind = name.includes("closure") ? "closure" : "-";
  return [crate, kind, module, ...inner.reverse()].join("::");
}

function compare(one, other) {
  return one < other ? -1 : Number(one > other);
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

/** The lengths of the functions' bodies. */
function sizes(bytes) {
  const reader = new Reader(bytes);
  return reader.vector(() => reader.take(reader.number()).length);
}

function functionNames(bytes) {
  const reader = new Reader(bytes);
  reader.text();
  while (!reader.done) {
    const id = reader.byte();
    const part = new Reader(reader.take(reader.number()));
    if (id === FUNCTION_NAMES) return new Map(part.vector(() => [part.number(), part.text()]));
  }
  return new Map();
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

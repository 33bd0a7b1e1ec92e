// Takes a wasm apart into its sections and puts it together again.

export const CUSTOM = 0;
export const IMPORTS = 2;
export const CODE = 10;

/** What a wasm begins with: its name and version. */
const MAGIC = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);

/** Reads what a section holds. */
export class Reader {
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

/** The sections of a wasm. */
export function sectionsOf(wasm) {
  const reader = new Reader(wasm.subarray(MAGIC.length));
  const sections = [];
  while (!reader.done) sections.push({ id: reader.byte(), bytes: reader.take(reader.number()) });
  return sections;
}

/** The wasm of `sections`. */
export function wasmOf(sections) {
  return Buffer.concat([MAGIC, ...sections.map(({ id, bytes }) => section(id, bytes))]);
}

/** The imports that a section holds; of what kind each is, and the rest of that, is left as it is written. */
export function importsOf(bytes) {
  const reader = new Reader(bytes);
  const limits = () => {
    if (reader.byte() & 1) reader.number();
    reader.number();
  };
  const index = () => reader.number();
  // By kind: function, table, memory, global, tag.
  const kinds = [index, () => (reader.byte(), limits()), limits, () => reader.take(2), () => (reader.byte(), index())];
  return reader.vector(() => {
    const [module, name] = [reader.text(), reader.text()];
    const start = reader.at;
    const kind = reader.byte();
    kinds[kind]();
    return { module, name, isFunction: kind === 0, what: bytes.subarray(start, reader.at) };
  });
}

/** A number as wasm writes it. */
export function number(value) {
  const bytes = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value]);
}

/** A text with its length before it. */
export function text(value) {
  return Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** A section, or a part of one, with its length before it. */
export function section(id, bytes) {
  return Buffer.concat([Buffer.from([id]), number(bytes.length), bytes]);
}

/** So many entries, each as it is written. */
export function vector(entries) {
  return Buffer.concat([number(entries.length), ...entries]);
}

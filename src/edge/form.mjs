// Forms with files: they stay on this side. The core is told their fields, and sends the form by naming its model.

import { isBroken, ofCaller } from "./read.mjs";

/** The most bytes of a form that are kept, so that it can be sent again: what providers take. */
const MOST_KEPT = 25 * 1024 * 1024;
/** The most bytes of one field: the longest prompts have 32,000 characters, of up to four bytes each. */
const MOST_FIELD = 128 * 1024;
/** What says where parts end, and what others may take for it. */
const BOUNDARY = /(;\s*)?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70})(?=[\s;]|$))/gi;
/** Fields that the core may want to know. */
const TOLD = new Set(["model", "prompt", "n", "size", "quality", "stream", "response_format", "user"]);
const CRLF2 = [13, 10, 13, 10];
/** The most bytes of what stands before a part. */
const LONGEST_HEAD = 4 * 1024;

/**
 * Reads a form as far as it is kept. Gives what the core is told, as JSON, and how to make a body of it with another
 * model; `once` says that there is more than is kept, which can be sent only once. Undefined is that this is no form.
 */
export async function readForm(request) {
  const [boundary, other] = (request.headers.get("content-type") ?? "").matchAll(BOUNDARY);
  if (boundary?.[1] === undefined || other !== undefined || request.body === null) {
    return { told: new TextEncoder().encode("{}"), once: false, body: () => null };
  }
  const reader = request.body.getReader();
  const { kept, once } = await ofCaller(readKept(reader));
  const separator = new TextEncoder().encode(`\r\n--${boundary[2] ?? boundary[3]}`);
  const parts = partsOf(kept, separator);
  // With what comes twice: the core refuses it, because the provider may go by the other one.
  const told = [];
  let files = 0;
  let model;
  for (const { name, isFile, start, end } of parts) {
    if (isFile) files += end - start;
    else if (TOLD.has(name) && end - start <= MOST_FIELD) {
      told.push([name, new TextDecoder().decode(kept.subarray(start, end))]);
      if (name === "model") model = { start, end };
    }
  }
  if (files > 0) told.push(["file", String(files)]);
  const length = Number(request.headers.get("content-length") ?? 0);
  const rest = once ? new Rest(reader, separator, kept) : undefined;
  const members = told.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const outside = { told: new TextEncoder().encode(`{${members.join(",")}}`), once };
  const left = () => outside.left();
  outside.body = (name) => body({ kept, model: model ?? { start: 0, end: 0 }, name, rest, length, left });
  return outside;
}

async function readKept(reader) {
  const pieces = [];
  let total = 0;
  let done = false;
  while (!done && total <= MOST_KEPT) {
    const read = await reader.read();
    done = read.done;
    if (done) break;
    pieces.push(read.value);
    total += read.value.byteLength;
  }
  return { kept: joined(pieces, total), once: !done };
}

function joined(pieces, total) {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

/** What comes of a form behind what is kept: looked through for another model, by which the provider might go. */
class Rest {
  constructor(reader, separator, kept) {
    this.reader = reader;
    this.separator = separator;
    this.last = kept.subarray(-LONGEST_HEAD - separator.length);
    // Heads that end within these have been read.
    this.known = this.last.length;
  }

  /** The next piece; none where it hides what it should not. */
  async read() {
    const { done, value } = await this.reader.read();
    return done || this.isPlain(value) ? { done, value } : {};
  }

  isPlain(piece) {
    const { separator, known } = this;
    const bytes = joined([this.last, piece], this.last.length + piece.length);
    let open = Math.max(bytes.length - separator.length + 1, 0);
    for (let at = find(bytes, separator, 0); at >= 0; at = find(bytes, separator, at + 1)) {
      const start = at + separator.length;
      if (bytes[start] === 45) continue;
      const head = find(bytes, CRLF2, start);
      if (head >= 0 && head + CRLF2.length <= known) continue;
      if ((head < 0 ? bytes.length : head) - start > LONGEST_HEAD) return false;
      if (head < 0) {
        open = at;
        break;
      }
      const told = bytes[start] === 13 ? named(new TextDecoder().decode(bytes.subarray(start, head))) : undefined;
      if (told === undefined || told.name === "model") return false;
    }
    this.last = bytes.slice(open);
    this.known = 0;
    return true;
  }
}

/**
 * The parts that begin within `bytes`: their names and where their contents are. None where one has no plain name, or they
 * end otherwise than they should: others may see more in such a form.
 */
function partsOf(bytes, separator) {
  const parts = [];
  // The first boundary has no line before it.
  let at = separator.length - 2;
  while (at < bytes.length && bytes[at] === 13) {
    const head = find(bytes, CRLF2, at);
    if (head < 0 && bytes.length - at <= LONGEST_HEAD) break;
    const told = head >= 0 && head - at < LONGEST_HEAD ? named(new TextDecoder().decode(bytes.subarray(at, head))) : undefined;
    if (told === undefined) return [];
    const start = head + CRLF2.length;
    const found = find(bytes, separator, start);
    const end = found < 0 ? bytes.length : found;
    parts.push({ ...told, start, end });
    at = end + separator.length;
  }
  return at < bytes.length && bytes[at] !== 45 && bytes[at] !== 13 ? [] : parts;
}

/** What a part is called by its head, and whether it is a file; undefined where others may read that otherwise. */
function named(head) {
  const lines = head.split(/[\r\n]+/).filter((line) => line !== "");
  const [disposition, other] = lines.filter((line) => /^content-disposition:/i.test(line));
  const isFolded = lines.some((line) => /^\s/.test(line));
  if (disposition === undefined || other !== undefined || isFolded) return undefined;
  // Some clients write no quotes around names.
  const told = [...disposition.matchAll(/;\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g)];
  const parameters = told.map(([, key, quoted, bare]) => [key.toLowerCase(), quoted ?? bare]);
  const [[key, name] = [], another] = parameters.filter(([key]) => key === "name" || key === "name*");
  if (key !== "name" || another !== undefined || name.includes("\\")) return undefined;
  return { name, isFile: parameters.some(([key]) => key === "filename" || key === "filename*") };
}

/** Where `pattern` first stands at or after `from`; -1 where it does not. Steps over what cannot be its end (Horspool). */
function find(bytes, pattern, from) {
  const last = pattern.length - 1;
  const steps = new Uint8Array(256).fill(pattern.length);
  for (let index = 0; index < last; index += 1) steps[pattern[index]] = last - index;
  for (let at = from; at + last < bytes.length; at += steps[bytes[at + last]]) {
    let index = last;
    while (index >= 0 && bytes[at + index] === pattern[index]) index -= 1;
    if (index < 0) return at;
  }
  return -1;
}

/** The form with `name` as its model: what is kept, and the rest as it comes. */
function body({ kept, model, name, rest, length, left }) {
  const before = kept.subarray(0, model.start);
  const after = kept.subarray(model.end);
  const total = before.length + name.length + after.length;
  const grown = name.length - (model.end - model.start);
  const isKnown = rest === undefined || length > 0;
  const stream = isKnown ? new FixedLengthStream(rest === undefined ? total : length + grown) : new IdentityTransformStream();
  pump(stream.writable.getWriter(), [before, name, after], rest, left).catch(() => {});
  return stream.readable;
}

async function pump(writer, pieces, rest, left) {
  try {
    for (const piece of pieces) if (piece.length > 0) await writer.write(piece);
    for (;;) {
      const { done, value } = rest === undefined ? { done: true } : await rest.read();
      if (done) break;
      // It has no end for the provider, as one that its caller broke off.
      if (value === undefined) return left();
      await writer.write(value);
    }
    await writer.close();
  } catch (error) {
    // A form that its caller broke off has no end, or the provider would take it for whole.
    if (rest !== undefined && (await isBroken(rest.reader))) left();
    else await writer.abort(error);
  }
}

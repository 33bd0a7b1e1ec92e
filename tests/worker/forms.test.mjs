// How the edge reads forms (src/edge/form.mjs), over forms and chunks drawn from fixed seeds: what the core is told does
// not depend on the chunks, what is sent is what came with another model in it, and nothing that is no form does harm.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readForm } from "../../src/edge/form.mjs";
import { recordings } from "./recordings.mjs";

const encode = (text) => new TextEncoder().encode(text);
/** Pieces that could be taken for a boundary, or for the end of a head. */
const TRAPS = ["\r\n", "\r\n\r\n", "--", "\r\n--", "\r\n--edge", "\r\n--edg", '"; name="model"', "\0", "\r", "é"];

/** The runtime's own stream, which holds a body to its length. */
class FixedLengthStream extends TransformStream {
  constructor(length) {
    let left = length;
    super({
      transform(chunk, controller) {
        left -= chunk.byteLength;
        if (left < 0) throw new Error("longer than was said");
        controller.enqueue(chunk);
      },
      flush() {
        if (left !== 0) throw new Error(`${left} bytes are missing`);
      },
    });
  }
}

before(() => Object.assign(globalThis, { FixedLengthStream, IdentityTransformStream: TransformStream }));
after(() => {
  delete globalThis.FixedLengthStream;
  delete globalThis.IdentityTransformStream;
});

/** Numbers below a bound, the same for the same seed. */
function numbers(seed) {
  let state = seed * 2_654_435_761 + 1;
  return (bound) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 374_761_393) >>> 0;
    return (state >>> 3) % bound;
  };
}

function contentOf(draw, boundary) {
  const pieces = Array.from({ length: draw(6) }, () => (draw(3) === 0 ? TRAPS[draw(TRAPS.length)] : "x".repeat(draw(40))));
  // What holds the boundary itself ends there, by definition.
  return pieces.join("").replaceAll(`\r\n--${boundary}`, "");
}

/** A form, what the core is to be told of it, and where its model stands. */
function formOf(draw) {
  const boundary = ["edge", "-----edge7", "e"][draw(3)];
  const told = {};
  let [files, model, text] = [0, undefined, ""];
  for (let index = draw(6); index >= 0; index -= 1) {
    const name = ["model", "prompt", "file", "n", "unknown", "image[]"][draw(6)];
    const content = contentOf(draw, boundary);
    const isFile = name === "file" || name === "image[]";
    const written = draw(2) === 0 ? `"${name}"` : name;
    text += `--${boundary}\r\nContent-Disposition: form-data; name=${written}${isFile ? '; filename="a.mp3"\r\nContent-Type: audio/mpeg' : ""}\r\n\r\n`;
    if (isFile) files += encode(content).length;
    else if (name !== "unknown") told[name] = content;
    if (name === "model") model = [text.length, text.length + content.length];
    text += `${content}\r\n`;
  }
  text += `--${boundary}--\r\n`;
  if (files > 0) told.file = String(files);
  return { boundary, text, told, model };
}

function request(bytes, boundary, draw, length = true) {
  let at = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      const size = 1 + draw(draw(3) === 0 ? 3 : 200);
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
  const headers = new Headers({ "content-type": `multipart/form-data; boundary=${boundary}`, ...(length && { "content-length": String(bytes.length) }) });
  return { headers, body };
}

const read = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());

test("a form is told alike however it comes, and sent with another model in it", async () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const draw = numbers(seed);
    const { boundary, text, told, model } = formOf(draw);
    for (let chunking = 0; chunking < 2; chunking += 1) {
      const form = await readForm(request(encode(text), boundary, draw, chunking === 0));
      assert.deepEqual(JSON.parse(new TextDecoder().decode(form.told)), told, `seed ${seed}: ${JSON.stringify(text)}`);
      assert.equal(form.once, false);
      if (model === undefined) continue;
      const expected = `${text.slice(0, model[0])}whisper-1${text.slice(model[1])}`;
      // It can be sent again, for another attempt.
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const sent = await read(form.body(encode("whisper-1")));
        assert.equal(new TextDecoder().decode(sent), expected, `seed ${seed}`);
      }
    }
  }
});

/** OpenAI's SDK for .NET writes a boundary with signs in quotes, names without, and a file's name twice. */
test("a form that an official SDK sent is told, and goes on with another model in it", async () => {
  const sent = recordings("openai").filter(({ request }) => Array.isArray(request.body));
  assert.ok(sent.length >= 2, "the forms are there");
  for (const { id, request: { headers, body } } of sent) {
    const files = body.filter((line) => line.startsWith("b64:"));
    const bytes = Buffer.concat(body.map((line) => (line.startsWith("b64:") ? Buffer.from(line.slice(4), "base64") : encode(line))));
    const asked = new Request("http://gateway", { method: "POST", headers, body: bytes });
    const form = await readForm(asked);
    const told = JSON.parse(new TextDecoder().decode(form.told));
    const length = files.reduce((sum, line) => sum + Buffer.from(line.slice(4), "base64").length, 0);
    assert.equal(told.file, String(length), id);
    const model = body.find((line) => /^(gpt|whisper)-/.test(line));
    assert.equal(told.model, model, id);
    const expected = Buffer.from(bytes.toString("latin1").replace(`\r\n\r\n${model}`, "\r\n\r\nanother-model"), "latin1");
    assert.deepEqual(Buffer.from(await read(form.body(encode("another-model")))), expected, id);
  }
});

test("what is broken is told in part, and harms nobody", async () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const draw = numbers(seed);
    const { boundary, text } = formOf(draw);
    const bytes = [...encode(text)];
    for (let change = draw(4); change >= 0; change -= 1) {
      const at = draw(bytes.length + 1);
      if (draw(3) === 0) bytes.length = at;
      else if (draw(2) === 0) bytes.splice(at, draw(9));
      else bytes.splice(at, 0, ...encode(TRAPS[draw(TRAPS.length)]));
    }
    const broken = Uint8Array.from(bytes);
    const told = [];
    for (let chunking = 0; chunking < 2; chunking += 1) {
      const form = await readForm(request(broken, boundary, draw));
      told.push(new TextDecoder().decode(form.told));
      assert.ok(form.told.length <= 6 * broken.length + 64, "no more is told than came");
      const sent = await read(form.body(encode("m")));
      assert.ok(sent.length <= broken.length + 1, "and no more is sent");
    }
    assert.equal(told[0], told[1], `seed ${seed}`);
  }
});

/** Where a provider reads another model than the core was told, the key may not be for it, and nobody knows its price. */
test("what a provider could read in another way is refused, or told as nothing", async () => {
  const field = (name, value) => `--B\r\nContent-Disposition: form-data; name=${name}\r\n\r\n${value}\r\n`;
  const told = async (text, type = "multipart/form-data; boundary=B") => {
    const form = await readForm({ headers: new Headers({ "content-type": type }), body: new Response(text).body });
    return new TextDecoder().decode(form.told);
  };
  const allowed = field('"model"', "allowed");
  assert.equal(await told(`${allowed}--B--`, "multipart/form-data; charset=utf-8; Boundary=B"), '{"model":"allowed"}');
  const twice = `${allowed}${field('"model"', "dear")}${field("n", 1)}${field("n", 9)}--B--`;
  assert.equal(await told(twice), '{"model":"allowed","model":"dear","n":"1","n":"9"}', "of which the core refuses both");
  for (const hidden of [field('"mod\\el"', "dear"), field("*=utf-8''model", "dear").replace("name=", "name"), `--B \r\n${field("model", "dear").slice(5)}`]) {
    assert.equal(await told(`${allowed}${hidden}--B--\r\n`), "{}", hidden);
  }
  const head = (lines) => `--B\r\n${lines.join("\r\n")}\r\n\r\ndear\r\n`;
  const disposition = 'Content-Disposition: form-data; name="model"';
  for (const lines of [
    ['Content-Type: text/plain; name="x"', disposition],
    [disposition, "X-A: b; filename=a"],
  ]) {
    assert.equal(await told(`${allowed}${head(lines)}--B--`), '{"model":"allowed","model":"dear"}', lines.join());
  }
  const unclear = ['; name="x"', "; name*=utf-8''x", '\r\n ; name="x"', "\nContent-Disposition: form-data; name=x"].map((more) => [disposition + more]);
  for (const lines of [...unclear, [disposition, `X-A: ${"a".repeat(5_000)}`], ["X-A: b"]]) {
    assert.equal(await told(`${allowed}${head(lines)}--B--`), "{}", lines.join().slice(0, 100));
  }
  const other = allowed.replaceAll("--B", "--A") + "--A--\r\n" + field("model", "dear") + "--B--";
  for (const type of ["xboundary=A; boundary=B", "boundary=A; boundary=B"]) {
    assert.equal(await told(other, `multipart/form-data; ${type}`), "{}", type);
  }
});

/** Of a long form only the beginning is read before it is sent: what follows it must not change what it is. */
test("a second model behind what is kept of a long form never reaches the provider whole", async () => {
  const PIECE = 64 * 1024;
  const KEPT = 25 * 1024 * 1024 + PIECE;
  const part = (head, content) => `\r\n--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}`;
  const begin = `${part('name="model"', "allowed").slice(2)}${part('name="file"; filename="a.mp3"', "")}`;
  /** A form whose file ends so many bytes before, or behind, the end of what is kept. */
  const send = async (before, behind) => {
    const bytes = encode(`${begin}${"x".repeat(KEPT - begin.length - before)}${behind}\r\n--B--\r\n`);
    let at = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        // Behind what is kept they come in the smallest pieces that can cut a name in two.
        const size = at < KEPT ? PIECE : 40;
        controller.enqueue(bytes.slice(at, at + size));
        at += size;
      },
    });
    const headers = new Headers({ "content-type": "multipart/form-data; boundary=B", "content-length": String(bytes.length) });
    const form = await readForm({ headers, body });
    assert.equal(form.once, true);
    const told = new TextDecoder().decode(form.told);
    // Either is refused by the core.
    if (told === "{}" || told.split('"model"').length > 2) return "left";
    const left = new Promise((resolve) => (form.left = () => resolve("left")));
    const whole = read(form.body(encode("allowed"))).then((sent) => (Buffer.compare(sent, bytes) === 0 ? "whole" : "changed"));
    return Promise.race([left, whole]);
  };
  const again = part('name="model"', "dear");
  const long = part(`name="n"\r\nX-A: ${"a".repeat(4_200)}`, "1");
  for (const before of [-200, -40, 0, 1, 3, 5, 20, 40, 54, 55, 56, 57, 58, 59, 60]) {
    assert.equal(await send(before, again), "left", `${before} bytes before the end of what is kept`);
  }
  for (const before of [-1, 30, 4_000, 4_100, 4_250]) {
    assert.notEqual(await send(before, `${long}${again}`), "whole", `behind a long head, ${before}`);
  }
  assert.equal(await send(-100, part("name*=utf-8''model", "dear")), "left");
  assert.equal(await send(-100, again.replace("--B", "--B ")), "left");
  const others = `${part('name="language"', "en")}${part('name="file"; filename="b.mp3"', "y".repeat(9_000))}`;
  for (const before of [-50, 0, 10, 40, 60]) assert.equal(await send(before, others), "whole", `${before}`);
});

test("what is no form is told as nothing", async () => {
  for (const type of ["multipart/form-data", 'multipart/form-data; boundary=""', `multipart/form-data; boundary=${"x".repeat(71)}`]) {
    const { told, once, body } = await readForm({ headers: new Headers({ "content-type": type }), body: new Response("--x").body });
    assert.deepEqual([new TextDecoder().decode(told), once, body(encode("m"))], ["{}", false, null], type);
  }
});

// What the fake provider can answer: recordings, synthetic answers, and every way of going wrong.

const SSE = "text/event-stream; charset=utf-8";

/** A JSON answer. */
export function json(body, { status = 200, headers = {} } = {}) {
  return (_, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** A recorded exchange, sent again. `chunking` says how its bytes are cut: `whole`, `events` or `bytes`. */
export function replay(recording, { chunking = "whole" } = {}) {
  return async (_, response) => {
    const { status, headers, body } = recording.response;
    response.writeHead(status, kept(headers));
    await write(response, pieces(body, chunking));
    response.end();
  };
}

/** A stream of server-sent events that ends as it should. */
export function stream(text, { chunking = "events" } = {}) {
  return async (_, response) => {
    response.writeHead(200, { "content-type": SSE });
    await write(response, pieces(text, chunking));
    response.end();
  };
}

/** A stream that sends `text` and then breaks off: `clean` as if it had ended, or with the connection torn down. */
export function cut(text, { clean = false } = {}) {
  return async (_, response) => {
    response.writeHead(200, { "content-type": SSE });
    await write(response, [text]);
    if (clean) response.end();
    else response.destroy();
  };
}

/** A stream that sends `text` and then nothing more, until the other side leaves. */
export function stall(text) {
  return async (seen, response) => {
    response.writeHead(200, { "content-type": SSE });
    await write(response, [text]);
    await seen.left;
  };
}

/** No answer at all, not even a status, until the other side leaves. */
export function silence() {
  return async (seen) => void (await seen.left);
}

/** A status and headers, and then no body until the other side leaves. */
export function headersOnly() {
  return stall("");
}

/** A stream that begins with `start` and goes on with `again` and `again`, until the other side leaves. */
export function endless(start, again) {
  return async (seen, response) => {
    response.writeHead(200, { "content-type": SSE });
    let left = false;
    void seen.left.then(() => (left = true));
    await write(response, [start]);
    while (!left) await write(response, [again]);
  };
}

/** A body of another type than asked for, as a proxy in between would send. */
export function page(status, html = "<html><body>Bad gateway</body></html>") {
  return (_, response) => {
    response.writeHead(status, { "content-type": "text/html" });
    response.end(html);
  };
}

/** A short answer in the format of the path, for tests that are about something else. */
export function synthetic(seen) {
  const streamed = seen.json?.stream === true || seen.path.includes("streamGenerateContent");
  if (seen.path.includes("/embeddings")) return json(EMBEDDING);
  const format = formatOf(seen.path);
  if (format === undefined) return json({ error: { message: `no such path: ${seen.path}` } }, { status: 404 });
  return streamed ? stream(STREAMS[format]) : json(ANSWERS[format]);
}

/** How OpenAI begins a stream: with a role and no text. */
export function chatStart() {
  return event({ ...CHUNK, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
}

/** Events of a stream in OpenAI's format, one for each piece of text. */
export function chatEvents(...texts) {
  return texts.map((content) => event({ ...CHUNK, choices: [{ index: 0, delta: { content }, finish_reason: null }] })).join("");
}

/** The end of a stream in OpenAI's format. */
export function chatEnd({ finish = "stop", usage = USAGE } = {}) {
  const ended = event({ ...CHUNK, choices: [{ index: 0, delta: {}, finish_reason: finish }] });
  return `${ended}${event({ ...CHUNK, choices: [], usage })}data: [DONE]\n\n`;
}

/** One server-sent event. */
export function event(data, name) {
  return `${name ? `event: ${name}\n` : ""}data: ${JSON.stringify(data)}\n\n`;
}

function formatOf(path) {
  if (path.includes("/chat/completions")) return "openai";
  if (path.includes("/messages")) return "anthropic";
  if (/:(streamG|g)enerateContent/.test(path)) return "gemini";
  return undefined;
}

/** Waits for each write to leave, so that a piece is a network read of its own where the other side keeps up. */
async function write(response, parts) {
  for (const part of parts) {
    if (response.destroyed) return;
    if (part.length > 0) await new Promise((resolve) => response.write(part, resolve));
    else response.flushHeaders();
  }
}

function pieces(text, chunking) {
  if (chunking === "bytes") return Array.from(Buffer.from(text), (byte) => Buffer.of(byte));
  if (chunking === "events") return text.split(/(?<=\r?\n\r?\n)/);
  return [text];
}

/** Headers that describe the recorded body, without those that described its transfer. */
function kept(headers) {
  const transfer = new Set(["content-length", "content-encoding", "transfer-encoding", "connection"]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !transfer.has(name.toLowerCase())));
}

const USAGE = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
const CHUNK = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_700_000_000, model: "gpt-4o-mini" };
const MESSAGE = { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5" };

const ANSWERS = {
  openai: {
    ...CHUNK,
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content: "Hello there" }, finish_reason: "stop" }],
    usage: USAGE,
  },
  anthropic: {
    ...MESSAGE,
    content: [{ type: "text", text: "Hello there" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 2 },
  },
  gemini: {
    candidates: [{ index: 0, content: { role: "model", parts: [{ text: "Hello there" }] }, finishReason: "STOP" }],
    usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 2, totalTokenCount: 11 },
    modelVersion: "gemini-2.5-flash",
    responseId: "r1",
  },
};

const STREAMS = {
  openai: chatStart() + chatEvents("Hello", " there") + chatEnd(),
  anthropic: [
    ["message_start", { message: { ...MESSAGE, content: [], stop_reason: null, usage: { input_tokens: 9, output_tokens: 1 } } }],
    ["content_block_start", { index: 0, content_block: { type: "text", text: "" } }],
    ["ping", {}],
    ["content_block_delta", { index: 0, delta: { type: "text_delta", text: "Hello" } }],
    ["content_block_delta", { index: 0, delta: { type: "text_delta", text: " there" } }],
    ["content_block_stop", { index: 0 }],
    ["message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 2 } }],
    ["message_stop", {}],
  ]
    .map(([type, data]) => event({ type, ...data }, type))
    .join(""),
  gemini: event(ANSWERS.gemini),
};

const EMBEDDING = {
  object: "list",
  data: [{ object: "embedding", index: 0, embedding: [0.25, -0.5, 1] }],
  model: "text-embedding-3-small",
  usage: { prompt_tokens: 2, total_tokens: 2 },
};

// Links to pictures, for providers that follow none.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "./upstream.mjs";

const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

let upstream;
let gateway;
let client;
/** What was asked of the host of the pictures. */
const asked = [];

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway(upstream, {}, { outside });
  client = gateway.client((await gateway.createKey()).key);
});

beforeEach(() => {
  upstream.forget();
  asked.length = 0;
});

after(async () => {
  await gateway?.close();
  await upstream?.close();
});

/** Stands for the internet: a host of pictures, and the fake provider. */
async function outside(request) {
  const { hostname, pathname } = new URL(request.url);
  if (hostname !== "pictures.example.com") return forward(request);
  asked.push(pathname);
  if (!request.headers.get("user-agent")) return new Response("Please set a user-agent", { status: 403 });
  if (pathname === "/inside") return new Response(null, { status: 302, headers: { location: "http://169.254.169.254/latest" } });
  if (pathname.startsWith("/large")) return new Response(Buffer.concat([PIXEL, Buffer.alloc(7 << 20)]));
  if (pathname === "/moved") return new Response(null, { status: 301, headers: { location: "/cat" } });
  return new Response(PIXEL, { headers: { "content-type": "binary/octet-stream" } });
}

async function forward(request) {
  const headers = Object.fromEntries([...request.headers].filter(([name]) => !["host", "content-length"].includes(name)));
  return fetch(request.url, { method: request.method, headers, body: await request.arrayBuffer() });
}

function ask(...paths) {
  const content = paths.map((path) => ({ type: "image_url", image_url: { url: `https://pictures.example.com${path}` } }));
  return client.chat.completions.create({ model: "gemini/gemini-2.5-flash", messages: [{ role: "user", content }] });
}

test("follows a link to bytes that nobody named, and says who asks", async () => {
  await ask("/moved");
  assert.deepEqual(asked, ["/moved", "/cat"]);
  const image = upstream.last().json.contents[0].parts.find(({ inlineData }) => inlineData);
  assert.deepEqual(image.inlineData, { mimeType: "image/png", data: PIXEL.toString("base64") });
});

test("follows no redirect into a private network", async () => {
  await assert.rejects(ask("/inside"), { status: 400, code: "media_unavailable" });
  assert.deepEqual([asked, upstream.requests.length], [["/inside"], 0]);
});

test("has no more in memory of all links together than a body may have", async () => {
  await ask("/large/1", "/large/2");
  const tooMuch = ask("/large/1", "/large/2", "/large/3");
  await assert.rejects(tooMuch, ({ status, code, message }) => status === 400 && code === "media_unavailable" && /body_bytes/.test(message));
  assert.equal(upstream.requests.length, 1);
});

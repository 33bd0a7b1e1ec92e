// A provider of talks on this machine: a WebSocket server with no more than the tests need (RFC 6455, up to 64 KiB).

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Starts the server. Each socket is given to `talk` with `send(text or bytes)`, `close(code)`, and `say(text or bytes)` to be set for what comes. */
export async function startTalks(talk) {
  const requests = [];
  const server = createServer();
  server.on("upgrade", (request, socket) => {
    requests.push(request);
    const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + MAGIC).digest("base64");
    const lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade", `sec-websocket-accept: ${accept}`];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const side = {
      send: (said) => socket.write(frame(typeof said === "string" ? 1 : 2, Buffer.from(said))),
      close: (code) => socket.write(frame(8, Buffer.from([code >> 8, code & 255]))),
    };
    let rest = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let read = unframe(rest); read !== undefined; read = unframe(rest)) {
        rest = read.rest;
        if (read.kind === 1) side.say?.(read.content.toString("utf8"));
        if (read.kind === 2) side.say?.(read.content);
        if (read.kind === 8) socket.end(frame(8, read.content));
      }
    });
    talk(side, request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function frame(kind, content) {
  const length = content.length < 126 ? [content.length] : [126, content.length >> 8, content.length & 255];
  return Buffer.concat([Buffer.from([0x80 | kind, ...length]), content]);
}

/** The first frame of what came, which callers mask; undefined while it is not all there. */
function unframe(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 127;
  const start = short === 126 ? 4 : 2;
  if (bytes.length < start) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  const end = start + 4 + length;
  if (bytes.length < end) return undefined;
  const mask = bytes.subarray(start, start + 4);
  const content = Buffer.from(bytes.subarray(start + 4, end).map((byte, index) => byte ^ mask[index % 4]));
  return { kind: bytes[0] & 15, content, rest: bytes.subarray(end) };
}

// Every way in which a provider can fail, as the fake upstream plays it, and what a caller may expect of the gateway.

import { chatEnd, chatEvents, chatStart, cut, endless, event, headersOnly, json, page, silence, stall, stream } from "./replies.mjs";

const error = (message, code = null) => ({ error: { message, type: "server_error", param: null, code } });
const refusal = (status, headers = {}, code = null) => json(error(`status ${status}`, code), { status, headers });
const ERROR_EVENT = event(error("The server had an error"));

/**
 * Each has a name that is also the model asked for, the reply, and what follows:
 * - `alone`: the status when there is nowhere else to go; 200 where the stream had begun already.
 * - `elsewhere`: whether another target makes the call whole. After the first token, none does.
 * - `continues`: of a stream that has begun, whether another target may go on with it.
 * - `plain`: whether it can happen to a plain call as well as to a stream.
 */
export const FAULTS = [
  { name: "refused-connection", provider: "deepseek", alone: 502, elsewhere: true, plain: true },
  ...[500, 502, 503, 529].map((status) => ({
    name: `status-${status}`,
    reply: refusal(status),
    alone: status === 503 || status === 529 ? 503 : 502,
    elsewhere: true,
    plain: true,
  })),
  { name: "status-429", reply: refusal(429), alone: 429, elsewhere: true, plain: true },
  { name: "status-429-retry-after", reply: refusal(429, { "retry-after": "7" }), alone: 429, elsewhere: true, plain: true, retryAfter: "7" },
  { name: "status-401", reply: refusal(401, {}, "invalid_api_key"), alone: 502, elsewhere: true, plain: true },
  { name: "slow-headers", reply: silence(), alone: 504, elsewhere: true },
  { name: "slow-first-token", reply: headersOnly(), alone: 504, elsewhere: true },
  { name: "start-and-no-token", reply: stall(chatStart()), alone: 504, elsewhere: true },
  { name: "stall-mid-stream", reply: stall(chatStart() + chatEvents("Hello")), alone: 200, elsewhere: false, continues: true },
  { name: "cut-clean", reply: cut(chatStart() + chatEvents("Hello"), { clean: true }), alone: 200, elsewhere: false, continues: true },
  { name: "cut-abrupt", reply: cut(chatStart() + chatEvents("Hello")), alone: 200, elsewhere: false, continues: true },
  { name: "cut-before-token", reply: cut(chatStart(), { clean: true }), alone: 502, elsewhere: true },
  { name: "error-event-before-token", reply: stream(chatStart() + ERROR_EVENT), alone: 502, elsewhere: true },
  { name: "error-event-after-token", reply: stream(chatStart() + chatEvents("Hello") + ERROR_EVENT), alone: 200, elsewhere: false, continues: true },
  { name: "garbage-json", reply: stream("data: {certainly not JSON\n\n"), alone: 502, elsewhere: true },
  { name: "wrong-content-type", reply: page(200, "<html>Welcome to the airport</html>"), alone: 502, elsewhere: true, plain: true },
  { name: "empty-200", reply: (_, response) => response.writeHead(200, { "content-type": "text/event-stream" }).end(), alone: 502, elsewhere: true, plain: true },
  { name: "endless-stream", reply: endless(chatStart() + chatEvents("once "), chatEvents("again ".repeat(2000))), alone: 200, elsewhere: false, continues: false },
  { name: "giant-event", reply: stream(`data: {"x":"${"y".repeat(200_000)}"}\n\n${chatEnd()}`), alone: 502, elsewhere: true },
];

import assert from "node:assert/strict";
import test from "node:test";
import { orderByLikeness } from "./order.mjs";

test("what is alike comes to stand together, whatever its place was", () => {
  const like = (text, other) => Buffer.from(`${text.repeat(3)}${other}`);
  const bodies = ["first of many", "then another"].flatMap((other) => [like("0123456789", other), like("abcdefghij", other)]);
  const [one, two, three, four] = orderByLikeness(bodies);
  assert.deepEqual([one, two].sort(), [0, 2]);
  assert.deepEqual([three, four].sort(), [1, 3]);
});

test("each function has one place, also those that share nothing", () => {
  const bodies = Array.from({ length: 50 }, (_, at) => Buffer.alloc(at, at));
  assert.deepEqual(orderByLikeness(bodies).sort((one, other) => one - other), bodies.map((_, at) => at));
});

// How an answer is scored: each way gives a number from 0 to 1.

import { z } from "zod";
import { Stop } from "./progress.mjs";

/** What a line of a suite can be scored by. */
export const WAYS = ["exact", "regex", "json_schema", "similar", "judge"];

/** What a judge is asked; its answer ends in a number. */
const JUDGE = `Judge whether an answer to a request meets a criterion. Reply with a number from 0 (not at all) to 1 (fully) and nothing else.`;

/** The way a line is scored by; a line without one, or with several, is a fault. */
export function wayOf(line, number) {
  const ways = WAYS.filter((way) => line[way] !== undefined);
  if (ways.length === 1) return ways[0];
  throw new Stop(`Line ${number} needs one of ${WAYS.join(", ")}, and has ${ways.length === 0 ? "none" : ways.join(" and ")}.`);
}

/** Scores `answer`; `ask(model, messages)` asks a judge. */
export async function score(line, answer, { judge, ask }) {
  if (line.exact !== undefined) return Number(answer.trim() === String(line.exact).trim());
  if (line.regex !== undefined) return Number(new RegExp(line.regex, line.flags ?? "").test(answer));
  if (line.json_schema !== undefined) return Number(follows(line.json_schema, answer));
  if (line.similar !== undefined) return similarity(String(line.similar), answer);
  if (!judge) throw new Stop("A line is scored by a judge: name one with --judge provider/model.");
  const request = typeof line.prompt === "string" ? line.prompt : JSON.stringify(line.messages);
  const question = `Request:\n${request}\n\nAnswer:\n${answer}\n\nCriterion:\n${line.judge}`;
  const verdict = await ask(judge, [{ role: "system", content: JUDGE }, { role: "user", content: question }]);
  const found = verdict.match(/\d+(\.\d+)?(?!.*\d)/s);
  if (!found) throw new Error(`the judge gave no number: ${verdict.slice(0, 80)}`);
  return Math.min(Math.max(Number(found[0]), 0), 1);
}

/** Whether an answer is JSON, in a fence or bare, that a schema permits. */
export function follows(schema, answer) {
  const text = answer.match(/^\s*```(?:json)?\s*\n([\s\S]*?)\n```\s*$/)?.[1] ?? answer;
  try {
    return z.fromJSONSchema(schema).safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

/** How alike two texts are: the share of their letter triples that both have (Dice). */
export function similarity(one, other) {
  const [mine, theirs] = [triples(one), triples(other)];
  if (mine.size === 0 && theirs.size === 0) return 1;
  let both = 0;
  for (const triple of mine) if (theirs.has(triple)) both += 1;
  return (2 * both) / (mine.size + theirs.size);
}

function triples(text) {
  const plain = ` ${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim()} `;
  const found = new Set();
  for (let at = 0; at + 3 <= plain.length; at += 1) found.add(plain.slice(at, at + 3));
  return found;
}

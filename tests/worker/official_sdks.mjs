// What an answer says, read by the official SDKs: each provider's own, pointed straight at the provider, and OpenAI's,
// pointed at the gateway. All readings have one shape, so that they can be compared.
//
// A reading: `text`; `calls`, each with `name` and parsed `arguments`; `finish`, the unified reason; `native`, the
// provider's own word for it; `usage` with `prompt`, `completion` and `cached` tokens, or nothing where none was sent.

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { baseUrls } from "./upstream.mjs";

const MESSAGES = [{ role: "user", content: "Hello" }];

/** How the providers' own words for the end map to OpenAI's, per their documentation. */
const FINISH = {
  end_turn: "stop",
  stop_sequence: "stop",
  pause_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
  STOP: "stop",
  MAX_TOKENS: "length",
  SAFETY: "content_filter",
  RECITATION: "content_filter",
  BLOCKLIST: "content_filter",
  PROHIBITED_CONTENT: "content_filter",
  SPII: "content_filter",
  IMAGE_SAFETY: "content_filter",
  OTHER: "stop",
};

/** What the own SDKs ask for: a replaying server answers the same to any model. */
const ANY_MODEL = "any-model";

/** Readers of the providers' own SDKs, by provider: `(url, streamed)` to a reading. */
export const OWN = {
  async openai(url, streamed) {
    const client = new OpenAI({ baseURL: baseUrls(url).OPENAI_BASE_URL, apiKey: "unused", maxRetries: 0 });
    return readChat(client, ANY_MODEL, streamed);
  },

  async anthropic(url, streamed) {
    const client = new Anthropic({ baseURL: baseUrls(url).ANTHROPIC_BASE_URL, apiKey: "unused", maxRetries: 0 });
    const call = { model: ANY_MODEL, max_tokens: 1000, messages: MESSAGES };
    const message = streamed ? await client.messages.stream(call).finalMessage() : await client.messages.create(call);
    const blocks = (type) => message.content.filter((block) => block.type === type);
    const { usage } = message;
    return {
      text: blocks("text").map(({ text }) => text).join(""),
      calls: blocks("tool_use").map(({ name, input }) => ({ name, arguments: input })),
      finish: FINISH[message.stop_reason],
      native: message.stop_reason,
      usage: usage && {
        prompt: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
        completion: usage.output_tokens,
        cached: usage.cache_read_input_tokens ?? 0,
      },
    };
  },

  async gemini(url, streamed) {
    const client = new GoogleGenAI({ apiKey: "unused", httpOptions: { baseUrl: baseUrls(url).GEMINI_BASE_URL } });
    const call = { model: ANY_MODEL, contents: "Hello" };
    const answers = [];
    if (streamed) for await (const chunk of await client.models.generateContentStream(call)) answers.push(chunk);
    else answers.push(await client.models.generateContent(call));
    const first = answers.flatMap(({ candidates }) => candidates?.filter(({ index }) => !index) ?? []);
    const parts = first.flatMap(({ content }) => content?.parts ?? []);
    const calls = parts.flatMap(({ functionCall }) => functionCall ?? []);
    const native = first.findLast(({ finishReason }) => finishReason)?.finishReason;
    const blocked = answers.find(({ promptFeedback }) => promptFeedback?.blockReason)?.promptFeedback.blockReason;
    const usage = answers.findLast(({ usageMetadata }) => usageMetadata)?.usageMetadata;
    return {
      text: parts.filter(({ thought, text }) => text && !thought).map(({ text }) => text).join(""),
      calls: calls.map(({ name, args }) => ({ name, arguments: args ?? {} })),
      finish: blocked ? "content_filter" : calls.length > 0 && native === "STOP" ? "tool_calls" : FINISH[native],
      native: blocked ?? native,
      usage: usage && {
        prompt: (usage.promptTokenCount ?? 0) + (usage.toolUsePromptTokenCount ?? 0),
        completion: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
        cached: usage.cachedContentTokenCount ?? 0,
      },
    };
  },
};

/** Reads an answer with OpenAI's SDK: its first choice, whichever way it comes. */
export async function readChat(client, model, streamed) {
  const call = { model, messages: MESSAGES };
  const answer = streamed
    ? await folded(await client.chat.completions.create({ ...call, stream: true, stream_options: { include_usage: true } }))
    : await client.chat.completions.create(call);
  const choice = answer.choices.find(({ index }) => !index);
  const { usage } = answer;
  return {
    text: choice?.message.content ?? "",
    calls: (choice?.message.tool_calls ?? [])
      .filter((call) => call.function)
      .map((call) => ({ name: call.function.name, arguments: parsed(call.function.arguments) })),
    finish: choice?.finish_reason ?? undefined,
    native: choice?.native_finish_reason ?? choice?.finish_reason ?? undefined,
    usage: usage && {
      prompt: usage.prompt_tokens,
      completion: usage.completion_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    },
    estimated: usage?.estimated === true,
  };
}

/** Arguments as data; an answer that ended at its token limit may leave them unfinished, and then they stay text. */
function parsed(written) {
  try {
    return JSON.parse(written || "{}");
  } catch {
    return written;
  }
}

/** The first choice of a stream, put together as OpenAI documents it: by index, arguments appended. */
async function folded(chunks) {
  const message = { content: "", tool_calls: [] };
  const choice = { index: 0, message };
  let usage;
  for await (const chunk of chunks) {
    usage = chunk.usage ?? usage;
    const part = chunk.choices?.find(({ index }) => !index);
    if (!part) continue;
    message.content += part.delta?.content ?? "";
    choice.finish_reason = part.finish_reason ?? choice.finish_reason;
    choice.native_finish_reason = part.native_finish_reason ?? choice.native_finish_reason;
    for (const { index, function: piece } of part.delta?.tool_calls ?? []) {
      const call = (message.tool_calls[index] ??= { function: { name: "", arguments: "" } });
      call.function.name += piece?.name ?? "";
      call.function.arguments += piece?.arguments ?? "";
    }
  }
  return { choices: [choice], usage };
}

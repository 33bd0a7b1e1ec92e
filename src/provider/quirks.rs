//! How vendors depart from their format.

use super::ModelFacts;

/// Departures of one vendor from its format. Each field says what differs and which recording or page shows it.
///
/// What any vendor's answer may hold without doing harm (reasoning under either name, usage in any chunk, repeated
/// finish reasons, comments, a first chunk without choices) is no quirk: the decoder takes it from everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The stream may end without `[DONE]`; a finish reason before the end of the body is then its end.
    /// Recordings: `cerebras.thinking-stream.87050a5eae`, `perplexity.web-search-stream.bee0c3f418`,
    /// `huggingface.chat-stream.535199531c`, `writer.chat-stream.1d6c971f71`.
    pub ends_without_done: bool,
    /// Choices never get a finish reason; `[DONE]` alone ends them. Recording: `snowflake.chat-stream.f7e08e347b`.
    pub ends_without_finish_reason: bool,
    /// More reasoning tokens than completion tokens means that these leave those out; elsewhere it is a miscount.
    /// Recordings: `vercel-gateway.thinking-stream.bf59d1b775` (35 and 267, whose cost is that of 302),
    /// against `openrouter.tools-stream.ad77df3ada` (168 and 173, cost of 168).
    pub reasoning_apart: bool,
    /// Tool-call deltas lack their index, repeat an empty id or name, or spell absent arguments `null`, so the
    /// same-format lane must write them anew. Recordings: `mistral.tools-stream.1e27a706ee`,
    /// `dashscope.tools-stream.407b6df3fc`, `groq.tools.84db824c4b`, `venice.tools-stream.d361bce408`.
    pub odd_tool_call_deltas: bool,
    /// A choice may end with `stop` though it calls tools, as OpenAI says of a call that is forced by name. Of anybody else
    /// it is a slip by which agents run no calls (<https://github.com/anomalyco/opencode/issues/14972>), and put right.
    /// Recording: `openai.tools.207037be52`.
    pub stop_beside_calls: bool,
    /// `content` may be an array of text and thinking parts. Recording: `mistral.thinking-stream.8760605718`.
    pub content_arrays: bool,
    /// Top-level fields of every chunk that repeat the same large value and are not worth sending on. Recording:
    /// `perplexity.web-search-stream.bee0c3f418`, where they make most of a megabyte.
    pub repeated_in_chunks: &'static [&'static str],
    /// Where chat is, below the base URL. Recording: `writer.chat-stream.1d6c971f71`.
    pub chat_path: &'static str,
    /// What the limit of output tokens is called.
    pub output_cap: OutputCap,
    /// Where a request names no limit of output tokens, an answer is cut off after some 256: the default of `max_tokens` in
    /// <https://developers.cloudflare.com/workers-ai/models/llama-3.3-70b-instruct-fp8-fast/>. It then gets one that the
    /// model's context has room for.
    pub short_answers: bool,
    /// Whether `developer` messages are taken; otherwise they become `system` messages in the same place.
    pub developer_role: bool,
    /// Parameters that are answered with an error; those that can be lost are dropped, others are refused here.
    pub refuses: &'static [&'static str],
    /// What it refuses besides of models that think unasked: "invalid temperature: only 1 is allowed for this model", where
    /// other hosts of the same models take any (<https://platform.kimi.ai/docs/api/models-overview>).
    pub thinkers_refuse: &'static [&'static str],
    /// The words it knows for `service_tier`, where they are not OpenAI's: <https://console.groq.com/docs/service-tiers>,
    /// <https://docs.x.ai/developers/advanced-api-usage/priority-processing>.
    pub service_tiers: &'static [&'static str],
    /// Members of messages that are answered with an error, as some say to whatever they do not know: "property 'refusal'
    /// is unsupported". Clients send an answer's message back with all that it came with.
    pub refuses_in_messages: &'static [&'static str],
    /// The name of `seed`: `random_seed` in <https://docs.mistral.ai/api/endpoint/chat>.
    pub seed: &'static str,
    /// The field, set to `true`, that has a last message of the assistant's continued: `prefix` in
    /// <https://docs.mistral.ai/api/endpoint/chat>, `partial` in
    /// <https://alibabacloud.com/help/en/model-studio/user-guide/partial-mode>. `None` where nothing does.
    pub prefill: Option<&'static str>,
    /// What ids of replayed tool calls must look like.
    pub tool_call_ids: ToolCallIds,
    /// Whether `response_format: json_schema` is taken; otherwise `json_object` is all there is.
    pub json_schema: bool,
    /// Whether the root of such a schema has to be an object: "schema must be a JSON Schema of 'type: "object"', got
    /// 'type: "array"'" (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).
    pub answers_are_objects: bool,
    /// Whether a turn of calls alone may have `null` as its content; otherwise it has empty text: schemas of Workers AI
    /// want a string (<https://developers.cloudflare.com/workers-ai/models/llama-3.3-70b-instruct-fp8-fast/>).
    pub null_content: bool,
    /// How thinking is asked for.
    pub reasoning_control: ReasoningParameter,
    /// The levels of effort that are known, least first, where the family of the model says nothing; empty where any word
    /// may be sent. A word that is no level of OpenAI's stands for all but `none`: `default` in
    /// <https://console.groq.com/docs/reasoning>.
    pub efforts: &'static [&'static str],
    /// A model that thinks refuses to be made to call a tool: `deepseek.error.510e7fa30f`, "tool_choice 'required' is
    /// incompatible with thinking enabled" (Moonshot), "The tool_choice parameter does not support being set to required
    /// or object in thinking mode" (Alibaba Cloud).
    pub thinks_unforced: bool,
    /// A turn of the assistant's without its thoughts is a 400 to a model that thinks, also where another model made it,
    /// which had none: "thinking is enabled but reasoning_content is missing in assistant tool call message"
    /// (<https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model>), "The `reasoning_content` in the thinking
    /// mode must be passed back to the API" (<https://api-docs.deepseek.com/guides/thinking_mode>).
    pub thoughts_demanded: bool,
    /// Where an assistant's earlier reasoning goes when the conversation is sent back.
    pub reasoning_back: ReasoningBack,
    /// It is a router itself and reads `models`, `provider`, `plugins` and their like; others never see them.
    /// <https://openrouter.ai/docs/features/provider-routing>.
    pub routes_itself: bool,
    /// How its encrypted reasoning is named, as OpenRouter's `reasoning_details[].format` has it: what one provider
    /// encrypted no other can read, not even for the same model, and refuses. Recordings:
    /// `openai.responses-stream.1a00fc326a`, `xai.responses-stream.dbb2d2d858`.
    pub signed: &'static str,
    /// `usage.cost` is what it charges, in US dollars. Recording: `openrouter.tools-stream.ad77df3ada`;
    /// <https://openrouter.ai/docs/use-cases/usage-accounting>.
    pub states_cost: bool,
    /// Where it is called, if not as its format's maker says.
    pub hosting: Hosting,
}

/// Where the models of a maker are called in that maker's own protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hosting {
    /// As the maker says.
    Own,
    /// Under `/model/{model}/invoke`: the model is not in the body, the protocol's version is, and streams come inside
    /// AWS's own (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>).
    /// Recordings: `bedrock.cache-stream.791394fd76`, `bedrock.chat.3aa5e7a76d`.
    InvokeModel,
    /// Under `/publishers/{maker}/models/{model}`: the model is not in the body
    /// (<https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude>). Recordings:
    /// `vertex.tools-stream.ae8c72b158`, `vertex.tools-stream.1b68821e6b`.
    PublisherModel,
}

/// The name of the limit of output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputCap {
    /// `max_completion_tokens`; `max_tokens` is deprecated and refused by reasoning models
    /// (<https://platform.openai.com/docs/api-reference/chat/create>).
    MaxCompletionTokens,
    /// `max_tokens`; `max_completion_tokens` is unknown, and to some an error (422 `extra_forbidden`).
    MaxTokens,
    /// Both: what the caller wrote is sent, and `max_tokens` where another surface's request is translated.
    Either,
}

/// What ids of replayed tool calls must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolCallIds {
    /// Anything.
    Any,
    /// Nine of `[a-zA-Z0-9]`: ids made elsewhere are hashed to that, calls and results alike
    /// (<https://docs.mistral.ai/capabilities/function_calling>; ids of `mistral.tools.*` recordings).
    NineAlphanumerics,
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasoningParameter {
    /// `reasoning_effort: "low"`.
    Effort,
    /// `reasoning: {"effort", "max_tokens", "enabled", "exclude"}`. Recordings: `openrouter.thinking.*`,
    /// `vercel-gateway.thinking.*`, `snowflake.tools.*`.
    Object,
    /// `thinking: {"type": "enabled" | "disabled"}`, with `reasoning_effort` beside it where a level is asked for.
    /// Recordings: `deepseek.thinking.*`, `zai.thinking.*`.
    ThinkingType,
    /// The same alone: "cannot specify both 'thinking' and 'reasoning_effort'"
    /// (<https://platform.moonshot.ai/docs/guide/kimi-k2-5-quickstart>); or the level alone where a model's family has some.
    ThinkingAlone,
    /// `enable_thinking: true` and `thinking_budget: 1024`
    /// (<https://www.alibabacloud.com/help/en/model-studio/deep-thinking>).
    EnableThinking,
}

/// Where an assistant's earlier reasoning goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasoningBack {
    /// Nowhere: the vendor ignores or refuses it.
    Nowhere,
    /// `reasoning_content` of the message. Recordings: `deepseek.tools.*`, `zai.tools.*`, `xai.tools.*`.
    ReasoningContent,
    /// `reasoning` of the message. Recordings: `cerebras.tools.*`, `crusoe.tools.*`, `ollama.tools.*`.
    Reasoning,
    /// `reasoning_details`, unchanged. Recordings: `openrouter.tools.ef271eff35`, `snowflake.tools.*`,
    /// `vercel-gateway.tools.*`.
    Details,
    /// A `thinking` part at the head of an array in `content`. Recording: `mistral.thinking.6c4415f8f4`.
    ContentPart,
}

impl Quirks {
    /// A vendor that follows its format to the letter, as the one who defined it does.
    pub const NONE: Quirks = Quirks {
        ends_without_done: false,
        ends_without_finish_reason: false,
        reasoning_apart: false,
        odd_tool_call_deltas: false,
        stop_beside_calls: true,
        content_arrays: false,
        repeated_in_chunks: &[],
        chat_path: "/chat/completions",
        output_cap: OutputCap::MaxCompletionTokens,
        short_answers: false,
        developer_role: true,
        refuses: &[],
        thinkers_refuse: &[],
        service_tiers: &[],
        refuses_in_messages: &[],
        seed: "seed",
        prefill: None,
        tool_call_ids: ToolCallIds::Any,
        json_schema: true,
        answers_are_objects: true,
        null_content: true,
        reasoning_control: ReasoningParameter::Effort,
        efforts: &[],
        thinks_unforced: false,
        thoughts_demanded: false,
        reasoning_back: ReasoningBack::Nowhere,
        routes_itself: false,
        signed: "openai-responses-v1",
        states_cost: false,
        hosting: Hosting::Own,
    };

    /// What can be counted on when a server merely calls itself OpenAI-compatible.
    pub const COMPATIBLE: Quirks = Quirks {
        stop_beside_calls: false,
        output_cap: OutputCap::MaxTokens,
        developer_role: false,
        answers_are_objects: false,
        ..Quirks::NONE
    };

    /// Whether a parameter is answered with an error, be it by the vendor or by a model that `facts` tell of. A router leaves
    /// out what its models refuse: <https://openrouter.ai/docs/api-reference/parameters>.
    #[must_use]
    pub fn refuses(&self, key: &str, facts: &ModelFacts) -> bool {
        self.refuses.contains(&key)
            || (!self.routes_itself && facts.refuses.contains(&key))
            || (facts.thinks_unasked && self.thinkers_refuse.contains(&key))
    }

    /// Whether `tier` is among the tiers it knows, which are `usual` where it has none of its own; without any, all are.
    #[must_use]
    pub fn knows_tier(&self, tier: &str, usual: &[&str]) -> bool {
        let known = if self.service_tiers.is_empty() { usual } else { self.service_tiers };
        known.is_empty() || known.contains(&tier)
    }

    /// Whether a stream of this vendor may go to a caller of the same format byte for byte.
    #[must_use]
    pub fn stream_is_faithful(&self) -> bool {
        !self.ends_without_done
            && !self.ends_without_finish_reason
            && !self.odd_tool_call_deltas
            && !self.content_arrays
            && self.repeated_in_chunks.is_empty()
    }

    /// Whether `stream_options: {"include_usage": true}` may be sent.
    #[must_use]
    pub fn takes_stream_options(&self) -> bool {
        !self.refuses.contains(&"stream_options")
    }
}

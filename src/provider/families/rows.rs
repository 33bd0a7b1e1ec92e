//! The rows.

use super::Family;
use crate::chat::Effort::{High, Low, Max, Medium, Minimal, None as Off, XHigh};
use crate::provider::{ModelFacts, OwnThinking, ReasoningControl, SamplingRule, StructuredOutput};

/// Nothing known: what the rows below start from.
const UNKNOWN: ModelFacts = ModelFacts {
    context: None,
    max_output: None,
    capabilities: None,
    reasoning: ReasoningControl::Unknown,
    structured: StructuredOutput::Unknown,
    sampling: SamplingRule::Free,
    refuses: &[],
    refuses_prefill: false,
    thinks_unasked: false,
    thinks_between_tools: false,
    effort_beside_budget: false,
    refuses_forced_tools: false,
    system_anywhere: false,
    completion_cap_only: false,
    own_thinking: OwnThinking::Unknown,
    responses_only: false,
    tools_over_responses: false,
};

/// Claude before thinking.
const CLAUDE_PLAIN: ModelFacts =
    ModelFacts { reasoning: ReasoningControl::None, structured: StructuredOutput::ForcedTool, ..UNKNOWN };
/// 3.7 and 4: `budget_tokens`, at least 1024.
const CLAUDE_BUDGET: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Budget { min: 1024, max: 128_000, optional: true },
    structured: StructuredOutput::ForcedTool,
    own_thinking: OwnThinking::Thinking,
    ..UNKNOWN
};
/// 4.5: structured outputs; `temperature` and `top_p` exclude each other (from Opus 4.1 on).
const CLAUDE_4_5: ModelFacts = ModelFacts {
    structured: StructuredOutput::Native,
    sampling: SamplingRule::OneOfTemperatureAndTopP,
    ..CLAUDE_BUDGET
};
/// 4.6: adaptive thinking, effort without `xhigh` (`anthropic.error.2730dd71df`), no prefill.
const CLAUDE_4_6: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Effort { levels: &[Off, Low, Medium, High, Max] },
    refuses_prefill: true,
    ..CLAUDE_4_5
};
/// 4.7: `xhigh`, and no sampling parameters at all.
const CLAUDE_4_7: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Effort { levels: &[Off, Low, Medium, High, XHigh, Max] },
    sampling: SamplingRule::Fixed,
    ..CLAUDE_4_6
};
/// 5: thinks unless told not to, and takes system messages in mid-conversation. Those are documented for Opus 4.8, too,
/// which refused one all the same (`anthropic.error.5ffdff9ea1`).
const CLAUDE_5: ModelFacts = ModelFacts { thinks_unasked: true, system_anywhere: true, ..CLAUDE_4_7 };
/// Fable, Mythos and Opus 5.5: thinking cannot be switched off.
const CLAUDE_ALWAYS: ModelFacts =
    ModelFacts { reasoning: ReasoningControl::Effort { levels: &[Low, Medium, High, XHigh, Max] }, ..CLAUDE_5 };
/// Fable and Mythos 5.1, Opus 5.5: a forced tool is a 400, too.
const CLAUDE_UNFORCED: ModelFacts = ModelFacts { refuses_forced_tools: true, ..CLAUDE_ALWAYS };
/// Sonnet 5.5: `disabled` became `between_tools`.
const CLAUDE_BETWEEN: ModelFacts = ModelFacts { refuses_forced_tools: true, thinks_between_tools: true, ..CLAUDE_5 };

const GEMINI: ModelFacts = ModelFacts { structured: StructuredOutput::Native, ..UNKNOWN };
const GEMINI_PLAIN: ModelFacts = ModelFacts { reasoning: ReasoningControl::None, ..GEMINI };
const GEMINI_FLASH_3: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Effort { levels: &[Minimal, Low, Medium, High] },
    thinks_unasked: true,
    ..GEMINI
};
/// From 3.5 Flash-Lite and 3.6 Flash on: sampling is ignored, a last turn of the model refused.
const GEMINI_FLASH_FIXED: ModelFacts =
    ModelFacts { sampling: SamplingRule::Fixed, refuses_prefill: true, ..GEMINI_FLASH_3 };
const GEMINI_LEVELS: ModelFacts =
    ModelFacts { reasoning: ReasoningControl::Effort { levels: &[Low, Medium, High] }, ..GEMINI_FLASH_3 };

/// OpenAI's reasoning models: no sampling parameters, and the cap is called `max_completion_tokens`.
/// <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/reasoning#api--feature-support>.
const OPENAI: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Effort { levels: &[Low, Medium, High] },
    structured: StructuredOutput::Native,
    sampling: SamplingRule::Fixed,
    refuses: PENALTIES_AND_STOP,
    thinks_unasked: true,
    completion_cap_only: true,
    ..UNKNOWN
};
const PENALTIES: &[&str] = &["frequency_penalty", "presence_penalty", "logit_bias"];
/// "Unsupported parameter: 'stop' is not supported with this model."
const PENALTIES_AND_STOP: &[&str] = &["frequency_penalty", "presence_penalty", "logit_bias", "stop"];
/// "Unsupported parameter: 'parallel_tool_calls' is not supported with this model."
const OPENAI_O: ModelFacts =
    ModelFacts { refuses: &["frequency_penalty", "presence_penalty", "logit_bias", "parallel_tool_calls"], ..OPENAI };
/// `stop` is "not supported with latest reasoning models `o3` and `o4-mini`":
/// <https://platform.openai.com/docs/api-reference/chat/create>.
const OPENAI_O3: ModelFacts = ModelFacts {
    refuses: &["frequency_penalty", "presence_penalty", "logit_bias", "parallel_tool_calls", "stop"],
    ..OPENAI
};
/// 5.1 to 5.4 do not think unless asked, and take sampling parameters while they do not.
const OPENAI_5_1: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Effort { levels: &[Off, Low, Medium, High] },
    sampling: SamplingRule::FixedWhileThinking,
    thinks_unasked: false,
    ..OPENAI
};
const OPENAI_5_2: ModelFacts =
    ModelFacts { reasoning: ReasoningControl::Effort { levels: &[Off, Low, Medium, High, XHigh] }, ..OPENAI_5_1 };
/// "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions."
const OPENAI_5_4: ModelFacts = ModelFacts { tools_over_responses: true, ..OPENAI_5_2 };
/// Whether they take `stop` nobody says; what they refuse they tell themselves.
const OPENAI_5_5: ModelFacts = ModelFacts { thinks_unasked: true, refuses: PENALTIES, ..OPENAI_5_4 };
const OPENAI_5_6: ModelFacts = ModelFacts {
    reasoning: ReasoningControl::Effort { levels: &[Off, Low, Medium, High, XHigh, Max] },
    refuses: PENALTIES,
    tools_over_responses: true,
    ..OPENAI
};

/// Grok refuses penalties and `stop` where it thinks (<https://docs.x.ai/docs/guides/reasoning>). Which models take an effort: <https://docs.x.ai/developers/model-capabilities/text/reasoning>; the others are like
/// `xai.error.4028a632a9`, "does not support parameter reasoningEffort".
const GROK: ModelFacts = ModelFacts { refuses: &["frequency_penalty", "presence_penalty", "stop"], ..GROK_PLAIN };
const GROK_PLAIN: ModelFacts = ModelFacts { reasoning: ReasoningControl::None, ..UNKNOWN };

const fn grok(levels: &'static [crate::chat::Effort]) -> ModelFacts {
    ModelFacts { reasoning: ReasoningControl::Effort { levels }, ..GROK }
}

const fn row(line: &'static str, since: (u32, u32), facts: ModelFacts) -> Family {
    Family { line, since, facts }
}

const fn openai(levels: &'static [crate::chat::Effort]) -> ModelFacts {
    ModelFacts { reasoning: ReasoningControl::Effort { levels }, ..OPENAI }
}

const fn gemini_budget(min: u64, max: u64, optional: bool) -> ModelFacts {
    ModelFacts { reasoning: ReasoningControl::Budget { min, max, optional }, thinks_unasked: true, ..GEMINI }
}

/// Every family, in no particular order.
pub(super) static FAMILIES: &[Family] = &[
    // Names without a tier are a deployment's, or of a tier that is not known yet; Claude 2 had none.
    row("claude", (0, 0), UNKNOWN),
    row("claude", (1, 0), CLAUDE_PLAIN),
    row("claude", (3, 0), UNKNOWN),
    row("claude-opus", (3, 0), CLAUDE_PLAIN),
    row("claude-opus", (4, 0), CLAUDE_BUDGET),
    row("claude-opus", (4, 1), ModelFacts { sampling: SamplingRule::OneOfTemperatureAndTopP, ..CLAUDE_BUDGET }),
    // Alone of its generation: https://platform.claude.com/docs/en/build-with-claude/effort.
    row("claude-opus", (4, 5), ModelFacts { effort_beside_budget: true, ..CLAUDE_4_5 }),
    row("claude-opus", (4, 6), CLAUDE_4_6),
    row("claude-opus", (4, 7), CLAUDE_4_7),
    row("claude-opus", (5, 0), CLAUDE_5),
    row("claude-opus", (5, 5), CLAUDE_UNFORCED),
    row("claude-sonnet", (3, 0), CLAUDE_PLAIN),
    row("claude-sonnet", (3, 7), CLAUDE_BUDGET),
    row("claude-sonnet", (4, 5), CLAUDE_4_5),
    row("claude-sonnet", (4, 6), CLAUDE_4_6),
    row("claude-sonnet", (5, 0), CLAUDE_5),
    row("claude-sonnet", (5, 5), CLAUDE_BETWEEN),
    row("claude-haiku", (3, 0), CLAUDE_PLAIN),
    row("claude-haiku", (4, 5), CLAUDE_4_5),
    row("claude-haiku", (5, 5), CLAUDE_5),
    row("claude-fable", (5, 0), CLAUDE_ALWAYS),
    row("claude-fable", (5, 1), CLAUDE_UNFORCED),
    row("claude-mythos", (0, 0), ModelFacts { system_anywhere: false, ..CLAUDE_ALWAYS }),
    row("claude-mythos", (5, 0), CLAUDE_ALWAYS),
    row("claude-mythos", (5, 1), CLAUDE_UNFORCED),
    row("gemini-pro", (1, 5), GEMINI_PLAIN),
    row("gemini-pro", (2, 5), gemini_budget(128, 32_768, false)),
    row(
        "gemini-pro",
        (3, 0),
        ModelFacts { reasoning: ReasoningControl::Effort { levels: &[Low, High] }, ..GEMINI_LEVELS },
    ),
    row("gemini-pro", (3, 1), GEMINI_LEVELS),
    row("gemini-flash", (1, 5), GEMINI_PLAIN),
    row("gemini-flash", (2, 5), gemini_budget(1, 24_576, true)),
    row("gemini-flash", (3, 0), GEMINI_FLASH_3),
    row("gemini-flash", (3, 6), GEMINI_FLASH_FIXED),
    row(
        "gemini-flash",
        (3, 7),
        ModelFacts { reasoning: ReasoningControl::Effort { levels: &[Low, Medium, High] }, ..GEMINI_FLASH_FIXED },
    ),
    row("gemini-flash-lite", (1, 5), GEMINI_PLAIN),
    row("gemini-flash-lite", (2, 5), ModelFacts { thinks_unasked: false, ..gemini_budget(512, 24_576, true) }),
    row("gemini-flash-lite", (3, 0), GEMINI_FLASH_3),
    row("gemini-flash-lite", (3, 5), GEMINI_FLASH_FIXED),
    row("gemini", (4, 0), ModelFacts { sampling: SamplingRule::Fixed, refuses_prefill: true, ..GEMINI_LEVELS }),
    row("o", (1, 0), OPENAI_O),
    row("o", (3, 0), OPENAI_O3),
    row("o-mini", (1, 0), OPENAI_O),
    row("o-mini", (4, 0), OPENAI_O3),
    // GPT-4 and before, to whom `reasoning_effort` is an "Unrecognized request argument".
    row("gpt", (0, 0), ModelFacts { reasoning: ReasoningControl::None, ..UNKNOWN }),
    row("gpt", (5, 0), openai(&[Minimal, Low, Medium, High])),
    row("gpt", (5, 1), OPENAI_5_1),
    row("gpt", (5, 2), OPENAI_5_2),
    row("gpt", (5, 4), OPENAI_5_4),
    row("gpt", (5, 5), OPENAI_5_5),
    row("gpt", (5, 6), OPENAI_5_6),
    row("gpt-pro", (5, 0), openai(&[High])),
    row("gpt-pro", (5, 2), openai(&[Medium, High, XHigh])),
    row("gpt-codex", (5, 0), OPENAI),
    row("gpt-codex", (5, 2), openai(&[Low, Medium, High, XHigh])),
    row("gpt-codex-max", (5, 0), openai(&[Low, Medium, High, XHigh])),
    row("gpt-chat", (5, 0), ModelFacts { reasoning: ReasoningControl::None, ..UNKNOWN }),
    row("gpt-chat", (5, 1), openai(&[Medium])),
    row("gpt-search", (5, 0), ModelFacts { reasoning: ReasoningControl::None, ..OPENAI }),
    row(
        "gpt-oss",
        (0, 0),
        ModelFacts {
            sampling: SamplingRule::Free,
            refuses: &[],
            completion_cap_only: false,
            structured: StructuredOutput::Unknown,
            own_thinking: OwnThinking::Effort,
            ..OPENAI
        },
    ),
    row("grok", (0, 0), GROK_PLAIN),
    row("grok", (4, 0), GROK),
    row("grok", (4, 3), grok(&[Off, Low, Medium, High])),
    row("grok", (4, 5), grok(&[Low, Medium, High])),
    row("grok", (4, 20), GROK),
    row("grok", (4, 21), grok(&[Low, Medium, High])),
    row("grok-plain", (0, 0), GROK_PLAIN),
    row("grok-code", (0, 0), GROK),
    row("grok-mini", (3, 0), grok(&[Low, High])),
    row("grok-multi-agent", (4, 0), grok(&[Low, Medium, High, XHigh])),
    // From K2.5 on it thinks, and Moonshot draws its tokens by itself: https://platform.kimi.ai/docs/api/models-overview.
    row("kimi", (2, 5), ModelFacts { thinks_unasked: true, ..UNKNOWN }),
    // It always thinks, and neither can be told to nor not to: https://platform.kimi.ai/docs/guide/use-kimi-k2-thinking-model.
    row(
        "kimi",
        (2, 7),
        ModelFacts { reasoning: ReasoningControl::None, thinks_unasked: true, refuses_forced_tools: true, ..UNKNOWN },
    ),
    // It always thinks, and knows no `thinking`: https://platform.kimi.ai/docs/guide/use-thinking-effort.
    row(
        "kimi",
        (3, 0),
        ModelFacts {
            reasoning: ReasoningControl::Effort { levels: &[Low, High, Max] },
            thinks_unasked: true,
            ..UNKNOWN
        },
    ),
    // At `high` it refuses limits and sampling parameters, which callers set more often than they ask for that much.
    row(
        "nova",
        (2, 0),
        ModelFacts {
            reasoning: ReasoningControl::Effort { levels: &[Low, Medium] },
            sampling: SamplingRule::FixedWhileThinking,
            own_thinking: OwnThinking::Config,
            ..UNKNOWN
        },
    ),
];

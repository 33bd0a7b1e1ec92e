//! What is known of a model beyond its price.

/// What a format's writer must know of a model. The default is a model about which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ModelFacts {
    /// Tokens of input and output together, or of input where the vendor counts them apart.
    pub context: Option<u64>,
    /// The most tokens it produces.
    pub max_output: Option<u64>,
    /// What it can do; `None` where unknown (then nothing is refused for lack of a capability).
    pub capabilities: Option<Capabilities>,
    /// How its thinking is steered.
    pub reasoning: ReasoningControl,
    /// How it is held to a schema.
    pub structured: StructuredOutput,
    /// It refuses `temperature` and `top_p` together, or takes neither while thinking, or takes neither at all.
    pub sampling: SamplingRule,
    /// Further parameters that are answered with an error, under OpenAI's names.
    pub refuses: &'static [&'static str],
    /// It refuses a conversation that ends with an assistant message.
    pub refuses_prefill: bool,
    /// It thinks unless it is told not to.
    pub thinks_unasked: bool,
    /// Told not to think, it still thinks between tool calls, and wants to be told in other words (Anthropic's
    /// `between_tools` in place of `disabled`).
    pub thinks_between_tools: bool,
    /// It takes an effort though its thinking is steered in tokens.
    pub effort_beside_budget: bool,
    /// It refuses to be made to call a tool.
    pub refuses_forced_tools: bool,
    /// It takes system messages in the middle of a conversation.
    pub system_anywhere: bool,
    /// It takes its output cap as `max_completion_tokens` and not as `max_tokens`.
    pub completion_cap_only: bool,
    /// It is served over OpenAI's Responses alone.
    pub responses_only: bool,
    /// It takes functions over OpenAI's Responses alone where it thinks.
    pub tools_over_responses: bool,
    /// How thinking is asked for where a host passes the model's own fields on.
    pub own_thinking: OwnThinking,
}

impl ModelFacts {
    /// Whether the model is known not to think, by its family or else by what the catalogue lists.
    #[must_use]
    pub fn never_thinks(&self) -> bool {
        match self.reasoning {
            ReasoningControl::None => true,
            ReasoningControl::Unknown => self.capabilities.is_some_and(|can| !can.has(Capabilities::REASONING)),
            _ => false,
        }
    }
}

/// A set of abilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Function calling.
    pub const TOOLS: u32 = 1;
    /// Several calls at once.
    pub const PARALLEL_TOOLS: u32 = 1 << 1;
    /// A forced call.
    pub const TOOL_CHOICE: u32 = 1 << 2;
    /// Images in.
    pub const VISION: u32 = 1 << 3;
    /// PDF in.
    pub const PDF: u32 = 1 << 4;
    /// Sound in.
    pub const AUDIO_INPUT: u32 = 1 << 5;
    /// Sound out.
    pub const AUDIO_OUTPUT: u32 = 1 << 6;
    /// Video in.
    pub const VIDEO_INPUT: u32 = 1 << 7;
    /// Text held to a schema.
    pub const JSON_SCHEMA: u32 = 1 << 8;
    /// Thinking.
    pub const REASONING: u32 = 1 << 9;
    /// Marks in the prompt, or automatic caching.
    pub const PROMPT_CACHING: u32 = 1 << 10;
    /// Search run by the provider.
    pub const WEB_SEARCH: u32 = 1 << 11;
    /// Continuing an assistant message.
    pub const PREFILL: u32 = 1 << 12;
    /// System messages.
    pub const SYSTEM: u32 = 1 << 13;

    /// Whether all of `wanted` are there.
    #[must_use]
    pub fn has(self, wanted: u32) -> bool {
        self.0 & wanted == wanted
    }
}

/// How thinking is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReasoningControl {
    /// Not known: what the caller wrote is sent where the format has a word for it.
    #[default]
    Unknown,
    /// It does not think.
    None,
    /// In words (`reasoning_effort`, Anthropic's `output_config.effort` with adaptive thinking, Gemini's
    /// `thinkingLevel`). What the model refuses is moved to the nearest level it takes.
    Effort {
        /// The levels it takes, least first. [`Effort::None`](crate::chat::Effort::None) is among them where thinking
        /// can be switched off.
        levels: &'static [crate::chat::Effort],
    },
    /// In tokens (Anthropic's `budget_tokens`, Gemini's `thinkingBudget`).
    Budget {
        /// The fewest.
        min: u64,
        /// The most.
        max: u64,
        /// Whether it can be switched off.
        optional: bool,
    },
}

/// The fields of a model's own protocol that ask for thinking, as hosts pass them on: Bedrock's
/// `additionalModelRequestFields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OwnThinking {
    /// None that is known.
    #[default]
    Unknown,
    /// `thinking` and `output_config.effort`
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>).
    Thinking,
    /// `reasoning_effort`
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html>).
    Effort,
    /// `reasoningConfig` with `maxReasoningEffort`
    /// (<https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>).
    Config,
}

/// How text is held to a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StructuredOutput {
    /// The format's own way where it has one, else a forced tool.
    #[default]
    Unknown,
    /// The format's own way.
    Native,
    /// A forced tool whose arguments become the content.
    ForcedTool,
}

/// Which sampling parameters a model refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SamplingRule {
    /// None.
    #[default]
    Free,
    /// `temperature` and `top_p` together.
    OneOfTemperatureAndTopP,
    /// Both while it thinks.
    FixedWhileThinking,
    /// Both, always (reasoning models).
    Fixed,
}

impl SamplingRule {
    /// Which of them it refuses, depending on whether the model thinks and whether `temperature` is there.
    #[must_use]
    pub fn refused(self, thinks: bool, has_temperature: bool) -> &'static [&'static str] {
        match self {
            SamplingRule::OneOfTemperatureAndTopP if has_temperature => &["top_p"],
            SamplingRule::FixedWhileThinking if thinks => &["temperature", "top_p"],
            SamplingRule::Fixed => &["temperature", "top_p"],
            _ => &[],
        }
    }
}

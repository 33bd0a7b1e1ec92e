//! What a caller asks for.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::json::{Raw, Text};

use super::{Citation, Signature};

/// A chat call, whatever surface it came through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// The model string as the caller wrote it: `provider/model`, a bare id or an alias.
    pub model: Text<'a>,
    /// The conversation, in order; system messages stay where they stood.
    pub messages: Vec<Message<'a>>,
    /// Functions the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether and which of them it must call.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// The shape its text must have.
    pub output: OutputShape<'a>,
    /// How tokens are drawn.
    pub sampling: Sampling<'a>,
    /// The most tokens it may produce, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// How much it should think.
    pub reasoning: Option<Reasoning>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller wants the usage chunk of a stream.
    pub include_usage: bool,
    /// `auto`, `default`, `flex`, `priority`, …
    pub service_tier: Option<Text<'a>>,
    /// The end user on whose behalf this is.
    pub user: Option<Text<'a>>,
    /// The caller's own labels: an object of strings.
    pub metadata: Option<Raw<'a>>,
    /// Which calls share a prompt cache.
    pub prompt_cache_key: Option<Text<'a>>,
    /// A mark at the end of the whole prompt (OpenRouter's top-level `cache_control`).
    pub cache: Option<CacheMark>,
    /// OpenAI's predicted output, as written.
    pub prediction: Option<Raw<'a>>,
    /// What to produce: `text`, `audio`, `image`. Empty where the caller did not say.
    pub modalities: Vec<Text<'a>>,
    /// Voice and encoding for audio output, as written.
    pub audio: Option<Raw<'a>>,
    /// Asks for web search, with OpenAI's options object.
    pub web_search: Option<Raw<'a>>,
    /// Top-level fields that nothing above models, as written, in order.
    pub unknown: Vec<(Cow<'a, str>, Raw<'a>)>,
    /// What only the caller's own protocol can say and what may harmlessly stay unsaid: listed as dropped wherever the
    /// request goes.
    pub unsayable: Vec<Cow<'a, str>>,
    /// The first thing in it that only the caller's own protocol can say: why every other format must refuse it.
    pub untranslatable: Option<Failure>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// The speaker's name among several of one role.
    pub name: Option<Text<'a>>,
    /// What is said, in order.
    pub parts: Vec<Part<'a>>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, in OpenAI's newer word.
    Developer,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Words.
    Text {
        /// The words.
        text: Text<'a>,
        /// Where the prompt cache may cut after this part.
        cache: Option<CacheMark>,
        /// Sources (answers only).
        citations: Vec<Citation<'a>>,
        /// What the producer wants back with it.
        signature: Option<Signature<'a>>,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: Source<'a>,
        /// `low`, `high`, `auto`.
        detail: Option<Text<'a>>,
        /// A cache mark after it.
        cache: Option<CacheMark>,
    },
    /// Sound.
    Audio {
        /// Where it is.
        source: Source<'a>,
    },
    /// Moving pictures.
    Video {
        /// Where it is.
        source: Source<'a>,
    },
    /// A document, usually a PDF.
    File {
        /// Where it is.
        source: Source<'a>,
        /// What it is called.
        name: Option<Text<'a>>,
        /// A cache mark after it.
        cache: Option<CacheMark>,
    },
    /// What the model thought.
    Reasoning {
        /// What is shown of it; empty where it is encrypted.
        text: Text<'a>,
        /// What the producer wants back with it.
        signature: Option<Signature<'a>>,
    },
    /// Why the model would not answer.
    Refusal {
        /// The words.
        text: Text<'a>,
    },
    /// A call the model makes.
    ToolCall {
        /// The call's id.
        id: Text<'a>,
        /// The function.
        name: Text<'a>,
        /// What it is called with.
        arguments: Arguments<'a>,
        /// What the producer wants back with it.
        signature: Option<Signature<'a>>,
    },
    /// What a call returned. Stands in a message of role [`Role::Tool`].
    ToolResult {
        /// Which call.
        call_id: Text<'a>,
        /// Text and images.
        parts: Vec<Part<'a>>,
        /// Whether the tool failed.
        is_error: bool,
        /// A cache mark after it.
        cache: Option<CacheMark>,
    },
}

/// Where an image, sound or document is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// On the web.
    Url(Text<'a>),
    /// Here.
    Inline {
        /// Such as `image/png`.
        media_type: Text<'a>,
        /// Base64 without line breaks.
        data: Text<'a>,
    },
    /// In the provider's own file store.
    FileId(Text<'a>),
}

/// A tool call's arguments in whichever spelling they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments<'a> {
    /// JSON text inside a JSON string, as OpenAI has it; may be anything at all, the model wrote it.
    Quoted(Text<'a>),
    /// An object, as Anthropic and Gemini have it.
    Object(Raw<'a>),
}

impl<'a> Arguments<'a> {
    /// As the content of a JSON string.
    #[must_use]
    pub fn quoted(&self) -> Text<'_> {
        match self {
            Arguments::Quoted(text) => text.borrowed(),
            Arguments::Object(raw) => Text::escape(raw.get()),
        }
    }

    /// As an object. Empty text is an empty object.
    ///
    /// # Errors
    /// With the parser's message where the model wrote no JSON object.
    pub fn object(&self) -> Result<Raw<'_>, String> {
        match self {
            Arguments::Object(raw) => Ok(raw.borrowed()),
            Arguments::Quoted(text) => {
                let plain = text.decode();
                if plain.trim().is_empty() || plain == "null" {
                    return Ok(Raw::EMPTY_OBJECT);
                }
                let raw = Raw::parse_owned(plain.into_owned()).map_err(|error| error.to_string())?;
                if raw.is_object() { Ok(raw) } else { Err("expected a JSON object".to_owned()) }
            }
        }
    }
}

/// How long a marked prompt prefix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheMark {
    /// The vendor's default, five minutes.
    Short,
    /// One hour.
    Hour,
}

/// A function the model may call, or a tool that the provider runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool<'a> {
    /// Called by the model, run by the caller.
    Function {
        /// What it is called.
        name: Text<'a>,
        /// What it does.
        description: Option<Text<'a>>,
        /// JSON Schema of its arguments; `None` where it takes none.
        parameters: Option<Raw<'a>>,
        /// Whether arguments must match the schema exactly.
        strict: Option<bool>,
        /// A cache mark after it.
        cache: Option<CacheMark>,
    },
    /// Anything else, as written: passed on where surface and format are the same protocol.
    Native(Raw<'a>),
}

/// Whether and what the model must call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    /// As it likes.
    Auto,
    /// Nothing.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(Text<'a>),
    /// One or any of these (OpenAI's `allowed_tools`).
    Allowed {
        /// At least one must be called.
        required: bool,
        /// Their names.
        names: Vec<Text<'a>>,
    },
}

/// The shape of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputShape<'a> {
    /// Free.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// What the schema is called.
        name: Text<'a>,
        /// What it is for.
        description: Option<Text<'a>>,
        /// JSON Schema; `None` where the caller left it out.
        schema: Option<Raw<'a>>,
        /// Whether it must match exactly.
        strict: Option<bool>,
    },
}

/// How tokens are drawn. Numbers stay as written, so `0.10` stays `0.10`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Sampling<'a> {
    /// 0 to 2.
    pub temperature: Option<Raw<'a>>,
    /// 0 to 1.
    pub top_p: Option<Raw<'a>>,
    /// An integer.
    pub top_k: Option<Raw<'a>>,
    /// 0 to 1.
    pub min_p: Option<Raw<'a>>,
    /// -2 to 2.
    pub frequency_penalty: Option<Raw<'a>>,
    /// -2 to 2.
    pub presence_penalty: Option<Raw<'a>>,
    /// 0 to 2.
    pub repetition_penalty: Option<Raw<'a>>,
    /// Token ids to biases.
    pub logit_bias: Option<Raw<'a>>,
    /// An integer.
    pub seed: Option<Raw<'a>>,
    /// Where to stop.
    pub stop: Vec<Text<'a>>,
    /// How many alternatives.
    pub n: Option<u64>,
    /// Whether to return log probabilities.
    pub logprobs: Option<bool>,
    /// Of how many alternatives per token.
    pub top_logprobs: Option<u64>,
}

/// How much the model should think, and whether that is shown.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub max_tokens: Option<u64>,
    /// Think, but do not show it.
    pub exclude: bool,
    /// Switches it on or off without saying how much.
    pub enabled: Option<bool>,
}

impl Reasoning {
    /// Whether the model is to think; nothing where only showing it is spoken of.
    #[must_use]
    pub fn thinks(&self) -> Option<bool> {
        match (self.effort, self.max_tokens, self.enabled) {
            (Some(effort), ..) => Some(effort != Effort::None),
            (_, Some(0), _) | (_, _, Some(false)) => Some(false),
            (_, None, None) => None,
            _ => Some(true),
        }
    }
}

/// Levels of effort, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// A little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as possible.
    Max,
}

impl Effort {
    /// Reads OpenAI's and OpenRouter's words.
    #[must_use]
    pub fn parse(word: &str) -> Option<Effort> {
        Some(match word {
            "none" => Effort::None,
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" => Effort::XHigh,
            "max" => Effort::Max,
            _ => return None,
        })
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::XHigh => "xhigh",
            Effort::Max => "max",
        }
    }
}

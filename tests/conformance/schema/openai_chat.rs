//! <https://platform.openai.com/docs/api-reference/chat/create>, and Workers AI, which takes much of it:
//! <https://developers.cloudflare.com/workers-ai/models/llama-3.3-70b-instruct-fp8-fast/>.

use super::Shape::{Any, Count, Flag, List, Null, Number, Object, OneOf, Tagged, Text, Word};
use super::{MAY, Member, NEED, Schema, Shape};

pub const SCHEMA: Schema = Schema {
    paths: ["/chat/completions", "/chat/completions"],
    body: Object(&[
        ("model", NEED, Text),
        ("messages", NEED, List(&MESSAGE)),
        ("tools", MAY, List(&TOOL)),
        ("tool_choice", MAY, CHOICE),
        ("parallel_tool_calls", MAY, Flag),
        ("response_format", MAY, FORMAT),
        ("max_tokens", MAY, Count),
        ("max_completion_tokens", MAY, Count),
        ("stop", MAY, List(&Text)),
        ("stream", MAY, Flag),
        ("stream_options", MAY, Object(&[("include_usage", MAY, Flag)])),
        ("reasoning_effort", MAY, Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
        ("temperature", MAY, Number),
        ("top_p", MAY, Number),
        ("frequency_penalty", MAY, Number),
        ("presence_penalty", MAY, Number),
        ("logit_bias", MAY, Any),
        ("logprobs", MAY, Flag),
        ("top_logprobs", MAY, Count),
        ("n", MAY, Count),
        ("seed", MAY, Number),
        ("user", MAY, Text),
        ("service_tier", MAY, Text),
        ("store", MAY, Flag),
        ("metadata", MAY, Any),
        // Pictures are of https://openrouter.ai/docs/features/multimodal/image-generation.
        ("modalities", MAY, List(&Word(&["text", "audio", "image"]))),
        ("audio", MAY, Object(&[("voice", NEED, Any), ("format", NEED, Text)])),
        ("prediction", MAY, Tagged("type", &[("content", &[("content", NEED, OneOf(&[Text, List(&WORDS)]))])])),
        ("prompt_cache_key", MAY, Text),
        ("parallel_tool_calls", MAY, Flag),
        (
            "web_search_options",
            MAY,
            Object(&[("search_context_size", MAY, Word(&["low", "medium", "high"])), ("user_location", MAY, Any)]),
        ),
        // Of compatible servers: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#extra-parameters.
        ("top_k", MAY, Number),
        ("min_p", MAY, Number),
        ("repetition_penalty", MAY, Number),
    ]),
};

pub const WORKERS_AI: Schema = Schema { paths: ["/run/m", "/run/m"], body: SCHEMA.body };

const MESSAGE: Shape = Tagged(
    "role",
    &[
        ("system", SAID),
        ("developer", SAID),
        ("user", SAID),
        ("tool", &[("content", NEED, OneOf(&[Text, List(&WORDS)])), ("tool_call_id", NEED, Text)]),
        (
            "assistant",
            &[
                ("content", MAY, OneOf(&[Text, Null, List(&WORDS)])),
                ("refusal", MAY, OneOf(&[Text, Null])),
                ("name", MAY, Text),
                // Of those who want it back: <https://api-docs.deepseek.com/guides/thinking_mode>.
                ("reasoning_content", MAY, Text),
                ("tool_calls", MAY, List(&CALL)),
            ],
        ),
    ],
);

const SAID: &[Member] = &[("content", NEED, OneOf(&[Text, List(&PART)])), ("name", MAY, Text)];

/// Of those who take OpenRouter's: <https://openrouter.ai/docs/features/prompt-caching>.
const MARK: Member = ("cache_control", MAY, Any);

const WORDS: Shape = Tagged("type", &[("text", &[("text", NEED, Text), MARK])]);

const PART: Shape = Tagged(
    "type",
    &[
        ("text", &[("text", NEED, Text), MARK]),
        ("image_url", &[("image_url", NEED, Object(&[("url", NEED, Text), ("detail", MAY, Text)])), MARK]),
        ("input_audio", &[("input_audio", NEED, Object(&[("data", NEED, Text), ("format", NEED, Text)]))]),
        (
            "file",
            &[
                ("file", NEED, Object(&[("file_data", MAY, Text), ("file_id", MAY, Text), ("filename", MAY, Text)])),
                MARK,
            ],
        ),
        // https://docs.vllm.ai/en/latest/features/multimodal_inputs.html.
        ("video_url", &[("video_url", NEED, Object(&[("url", NEED, Text)]))]),
    ],
);

const CALL: Shape = Object(&[
    ("id", NEED, Text),
    ("type", NEED, Word(&["function"])),
    ("function", NEED, Object(&[("name", NEED, Text), ("arguments", NEED, Text)])),
]);

pub const TOOL: Shape = Object(&[
    ("type", NEED, Word(&["function"])),
    (
        "function",
        NEED,
        Object(&[("name", NEED, Text), ("description", MAY, Text), ("parameters", MAY, Any), ("strict", MAY, Flag)]),
    ),
]);

const CHOICE: Shape = OneOf(&[
    Word(&["none", "auto", "required"]),
    Object(&[("type", NEED, Word(&["function"])), ("function", NEED, Object(&[("name", NEED, Text)]))]),
]);

const FORMAT: Shape = Tagged(
    "type",
    &[
        ("text", &[]),
        ("json_object", &[]),
        (
            "json_schema",
            &[(
                "json_schema",
                NEED,
                Object(&[
                    ("name", NEED, Text),
                    ("description", MAY, Text),
                    ("schema", MAY, Any),
                    ("strict", MAY, OneOf(&[Flag, Null])),
                ]),
            )],
        ),
    ],
);

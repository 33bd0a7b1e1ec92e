//! <https://docs.cohere.com/reference/chat>.

use super::Shape::{Any, Count, Flag, List, Number, Object, OneOf, Tagged, Text, Word};
use super::{MAY, NEED, Schema, Shape, openai_chat};

pub const SCHEMA: Schema = Schema {
    paths: ["/v2/chat", "/v2/chat"],
    body: Object(&[
        ("model", NEED, Text),
        ("messages", NEED, List(&MESSAGE)),
        ("stream", NEED, Flag),
        ("tools", MAY, List(&openai_chat::TOOL)),
        ("tool_choice", MAY, Word(&["REQUIRED", "NONE"])),
        ("strict_tools", MAY, Flag),
        ("response_format", MAY, Tagged("type", &[("text", &[]), ("json_object", &[("json_schema", MAY, Any)])])),
        ("max_tokens", MAY, Count),
        ("stop_sequences", MAY, List(&Text)),
        ("temperature", MAY, Number),
        ("p", MAY, Number),
        ("k", MAY, Count),
        ("seed", MAY, Count),
        ("frequency_penalty", MAY, Number),
        ("presence_penalty", MAY, Number),
        ("safety_mode", MAY, Word(&["CONTEXTUAL", "STRICT", "OFF", "NONE"])),
        ("thinking", MAY, Tagged("type", &[("enabled", &[("token_budget", MAY, Count)]), ("disabled", &[])])),
    ]),
};

const MESSAGE: Shape = Tagged(
    "role",
    &[
        ("system", &[("content", NEED, OneOf(&[Text, List(&WORDS)]))]),
        ("user", &[("content", NEED, OneOf(&[Text, List(&PART)]))]),
        ("tool", &[("content", NEED, OneOf(&[Text, List(&WORDS)])), ("tool_call_id", NEED, Text)]),
        (
            "assistant",
            &[
                ("content", MAY, OneOf(&[Text, List(&ANSWERED)])),
                ("tool_plan", MAY, Text),
                ("tool_calls", MAY, List(&CALL)),
                ("citations", MAY, List(&Any)),
            ],
        ),
    ],
);

const WORDS: Shape = Tagged("type", &[("text", &[("text", NEED, Text)]), ("document", &[("document", NEED, Any)])]);

const PART: Shape = Tagged(
    "type",
    &[
        ("text", &[("text", NEED, Text)]),
        ("image_url", &[("image_url", NEED, Object(&[("url", NEED, Text), ("detail", MAY, Text)]))]),
    ],
);

const ANSWERED: Shape = Tagged("type", &[("text", &[("text", NEED, Text)]), ("thinking", &[("thinking", NEED, Text)])]);

const CALL: Shape = Object(&[
    ("id", NEED, Text),
    ("type", NEED, Word(&["function"])),
    ("function", NEED, Object(&[("name", NEED, Text), ("arguments", NEED, Text)])),
]);

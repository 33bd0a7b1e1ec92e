//! <https://platform.openai.com/docs/api-reference/responses/create>.

use super::Shape::{Any, Count, Flag, List, Null, Number, Object, OneOf, Tagged, Text, Word};
use super::{MAY, Member, NEED, Schema, Shape};

pub const SCHEMA: Schema = Schema {
    paths: ["/responses", "/responses"],
    body: Object(&[
        ("model", NEED, Text),
        ("input", NEED, List(&OneOf(&[MESSAGE, ITEM]))),
        ("instructions", MAY, Text),
        ("tools", MAY, List(&TOOL)),
        ("tool_choice", MAY, CHOICE),
        ("parallel_tool_calls", MAY, Flag),
        ("text", MAY, Object(&[("format", MAY, FORMAT), ("verbosity", MAY, Text)])),
        (
            "reasoning",
            MAY,
            Object(&[
                ("effort", MAY, Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
                ("summary", MAY, Word(&["auto", "concise", "detailed"])),
            ]),
        ),
        ("max_output_tokens", MAY, Count),
        ("include", MAY, List(&Word(&["reasoning.encrypted_content", "message.output_text.logprobs"]))),
        // Nothing may be kept unasked.
        ("store", NEED, Flag),
        ("stream", MAY, Flag),
        ("temperature", MAY, Number),
        ("top_p", MAY, Number),
        ("top_logprobs", MAY, Count),
        ("user", MAY, Text),
        ("service_tier", MAY, Text),
        ("prompt_cache_key", MAY, Text),
        ("metadata", MAY, Any),
    ]),
};

/// Messages may lack their type.
const MESSAGE: Shape =
    Tagged("role", &[("system", SAID), ("developer", SAID), ("user", SAID), ("assistant", ANSWERED)]);

const SAID: &[Member] = &[("type", MAY, Word(&["message"])), ("content", NEED, OneOf(&[Text, List(&INPUT)]))];

const ANSWERED: &[Member] = &[
    ("type", MAY, Word(&["message"])),
    ("id", MAY, Text),
    ("status", MAY, Text),
    ("phase", MAY, Text),
    ("content", NEED, OneOf(&[Text, List(&OUTPUT)])),
];

const INPUT: Shape = Tagged(
    "type",
    &[
        ("input_text", &[("text", NEED, Text)]),
        ("input_image", &[("image_url", MAY, Text), ("file_id", MAY, Text), ("detail", MAY, Text)]),
        (
            "input_file",
            &[("file_data", MAY, Text), ("file_url", MAY, Text), ("file_id", MAY, Text), ("filename", MAY, Text)],
        ),
    ],
);

const OUTPUT: Shape = Tagged(
    "type",
    &[
        ("output_text", &[("text", NEED, Text), ("annotations", MAY, List(&Any)), ("logprobs", MAY, List(&Any))]),
        ("refusal", &[("refusal", NEED, Text)]),
    ],
);

const ITEM: Shape = Tagged(
    "type",
    &[
        (
            "function_call",
            &[
                ("id", MAY, Text),
                ("status", MAY, Text),
                ("call_id", NEED, Text),
                ("name", NEED, Text),
                ("arguments", NEED, Text),
            ],
        ),
        (
            "function_call_output",
            &[("call_id", NEED, Text), ("output", NEED, OneOf(&[Text, List(&INPUT)])), ("status", MAY, Text)],
        ),
        (
            "reasoning",
            &[
                ("id", MAY, Text),
                ("status", MAY, OneOf(&[Text, Null])),
                ("summary", NEED, List(&Tagged("type", &[("summary_text", &[("text", NEED, Text)])]))),
                ("content", MAY, OneOf(&[Null, List(&Tagged("type", &[("reasoning_text", &[("text", NEED, Text)])]))])),
                ("encrypted_content", MAY, Text),
            ],
        ),
    ],
);

const TOOL: Shape = Tagged(
    "type",
    &[
        (
            "function",
            &[
                ("name", NEED, Text),
                ("description", MAY, Text),
                ("parameters", NEED, Any),
                ("strict", NEED, OneOf(&[Flag, Null])),
            ],
        ),
        ("web_search", &[("search_context_size", MAY, Text), ("user_location", MAY, Any), ("filters", MAY, Any)]),
    ],
);

const CHOICE: Shape = OneOf(&[
    Word(&["none", "auto", "required"]),
    Tagged(
        "type",
        &[
            ("function", &[("name", NEED, Text)]),
            ("allowed_tools", &[("mode", NEED, Word(&["auto", "required"])), ("tools", NEED, List(&Any))]),
        ],
    ),
]);

const FORMAT: Shape = Tagged(
    "type",
    &[
        ("text", &[]),
        ("json_object", &[]),
        (
            "json_schema",
            &[
                ("name", NEED, Text),
                ("description", MAY, Text),
                ("schema", NEED, Any),
                ("strict", MAY, OneOf(&[Flag, Null])),
            ],
        ),
    ],
);

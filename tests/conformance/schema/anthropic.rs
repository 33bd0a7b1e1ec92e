//! <https://platform.claude.com/docs/en/api/messages/create>.

use super::Shape::{Any, Count, Flag, List, Number, Object, OneOf, Tagged, Text, Word};
use super::{MAY, Member, NEED, Schema, Shape};

pub const SCHEMA: Schema = Schema {
    paths: ["/v1/messages", "/v1/messages"],
    body: Object(&[
        ("model", NEED, Text),
        ("max_tokens", NEED, Count),
        ("messages", NEED, List(&MESSAGE)),
        ("system", MAY, OneOf(&[Text, List(&WORDS)])),
        ("tools", MAY, List(&TOOL)),
        ("tool_choice", MAY, CHOICE),
        ("stop_sequences", MAY, List(&Text)),
        ("stream", MAY, Flag),
        ("thinking", MAY, THINKING),
        (
            "output_config",
            MAY,
            Object(&[
                ("effort", MAY, Text),
                ("format", MAY, Tagged("type", &[("json_schema", &[("schema", NEED, Any)])])),
            ]),
        ),
        ("temperature", MAY, Number),
        ("top_k", MAY, Count),
        ("top_p", MAY, Number),
        ("service_tier", MAY, Word(&["auto", "standard_only"])),
        ("cache_control", MAY, Any),
        // Of hosts: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html.
        ("anthropic_version", MAY, Text),
        ("anthropic_beta", MAY, List(&Text)),
        ("metadata", MAY, Object(&[("user_id", MAY, Text)])),
    ]),
};

const MESSAGE: Shape =
    Object(&[("role", NEED, Word(&["user", "assistant"])), ("content", NEED, OneOf(&[Text, List(&BLOCK)]))]);

const MARK: Member =
    ("cache_control", MAY, Object(&[("type", NEED, Word(&["ephemeral"])), ("ttl", MAY, Word(&["5m", "1h"]))]));

const WORDS: Shape = Tagged("type", &[("text", &[("text", NEED, Text), MARK])]);

const BLOCK: Shape = Tagged(
    "type",
    &[
        ("text", &[("text", NEED, Text), MARK]),
        ("image", &[("source", NEED, SOURCE), MARK]),
        ("thinking", &[("thinking", NEED, Text), ("signature", NEED, Text)]),
        (
            "document",
            &[
                ("source", NEED, DOCUMENT),
                ("title", MAY, Text),
                ("context", MAY, Text),
                ("citations", MAY, Object(&[("enabled", NEED, Flag)])),
                MARK,
            ],
        ),
        ("redacted_thinking", &[("data", NEED, Text)]),
        ("tool_use", &[("id", NEED, Text), ("name", NEED, Text), ("input", NEED, Any), MARK]),
        (
            "tool_result",
            &[
                ("tool_use_id", NEED, Text),
                ("content", MAY, OneOf(&[Text, List(&RESULT)])),
                ("is_error", MAY, Flag),
                MARK,
            ],
        ),
    ],
);

const SOURCE: Shape =
    Tagged("type", &[("base64", &[("media_type", NEED, Text), ("data", NEED, Text)]), ("url", &[("url", NEED, Text)])]);

const DOCUMENT: Shape = Tagged(
    "type",
    &[
        ("base64", &[("media_type", NEED, Word(&["application/pdf"])), ("data", NEED, Text)]),
        ("url", &[("url", NEED, Text)]),
        ("text", &[("media_type", NEED, Word(&["text/plain"])), ("data", NEED, Text)]),
        ("file", &[("file_id", NEED, Text)]),
    ],
);

const RESULT: Shape = Tagged(
    "type",
    &[
        ("text", &[("text", NEED, Text), MARK]),
        ("image", &[("source", NEED, SOURCE), MARK]),
        ("document", &[("source", NEED, DOCUMENT), ("title", MAY, Text), MARK]),
    ],
);

const TOOL: Shape = OneOf(&[FUNCTION, SEARCH]);

const SEARCH: Shape = Tagged(
    "type",
    &[(
        "web_search_20250305",
        &[("name", NEED, Word(&["web_search"])), ("max_uses", MAY, Count), ("user_location", MAY, Any)],
    )],
);

const FUNCTION: Shape = Object(&[
    ("type", MAY, Word(&["custom"])),
    ("name", NEED, Text),
    ("description", MAY, Text),
    ("input_schema", NEED, Any),
    ("strict", MAY, Flag),
    MARK,
]);

const ALONE: Member = ("disable_parallel_tool_use", MAY, Flag);

const CHOICE: Shape =
    Tagged("type", &[("auto", &[ALONE]), ("any", &[ALONE]), ("tool", &[("name", NEED, Text), ALONE]), ("none", &[])]);

const THINKING: Shape = Tagged(
    "type",
    &[
        ("enabled", &[("budget_tokens", NEED, Count), ("display", MAY, Text)]),
        ("adaptive", &[("display", MAY, Text)]),
        ("disabled", &[]),
    ],
);

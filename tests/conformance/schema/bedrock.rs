//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use super::Shape::{Any, Count, Flag, List, Number, Object, Text, Union, Word};
use super::{MAY, NEED, Schema, Shape};

pub const SCHEMA: Schema = Schema {
    paths: ["/model/m/converse", "/model/m/converse-stream"],
    body: Object(&[
        ("messages", NEED, List(&MESSAGE)),
        ("system", MAY, List(&Union(&[("text", MAY, Text), ("cachePoint", MAY, POINT)]))),
        ("toolConfig", MAY, Object(&[("tools", NEED, List(&TOOL)), ("toolChoice", MAY, CHOICE)])),
        (
            "inferenceConfig",
            MAY,
            Object(&[
                ("maxTokens", MAY, Count),
                ("temperature", MAY, Number),
                ("topP", MAY, Number),
                ("stopSequences", MAY, List(&Text)),
            ]),
        ),
        // The model's own.
        ("additionalModelRequestFields", MAY, Any),
        ("outputConfig", MAY, OUTPUT),
        ("requestMetadata", MAY, Any),
        ("serviceTier", MAY, Object(&[("type", NEED, Word(&["priority", "default", "flex", "reserved"]))])),
    ]),
};

const MESSAGE: Shape = Object(&[("role", NEED, Word(&["user", "assistant"])), ("content", NEED, List(&BLOCK))]);

const POINT: Shape = Object(&[("type", NEED, Word(&["default"])), ("ttl", MAY, Word(&["5m", "1h"]))]);

const BLOCK: Shape = Union(&[
    ("text", MAY, Text),
    ("image", MAY, IMAGE),
    ("cachePoint", MAY, POINT),
    ("document", MAY, DOCUMENT),
    ("audio", MAY, Object(&[("format", NEED, Text), ("source", NEED, BYTES)])),
    ("video", MAY, Object(&[("format", NEED, Text), ("source", NEED, BYTES)])),
    ("toolUse", MAY, Object(&[("toolUseId", NEED, Text), ("name", NEED, Text), ("input", NEED, Any)])),
    (
        "toolResult",
        MAY,
        Object(&[
            ("toolUseId", NEED, Text),
            (
                "content",
                NEED,
                List(&Union(&[
                    ("text", MAY, Text),
                    ("json", MAY, Any),
                    ("image", MAY, IMAGE),
                    ("document", MAY, DOCUMENT),
                ])),
            ),
            ("status", MAY, Word(&["success", "error"])),
        ]),
    ),
    (
        "reasoningContent",
        MAY,
        Union(&[
            ("reasoningText", MAY, Object(&[("text", NEED, Text), ("signature", MAY, Text)])),
            ("redactedContent", MAY, Text),
        ]),
    ),
]);

const BYTES: Shape = Union(&[("bytes", MAY, Text), ("s3Location", MAY, Any)]);

const DOCUMENT: Shape = Object(&[
    ("format", NEED, Word(&["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"])),
    ("name", NEED, Text),
    ("source", NEED, Union(&[("bytes", MAY, Text), ("s3Location", MAY, Any), ("text", MAY, Text)])),
    ("context", MAY, Text),
    ("citations", MAY, Object(&[("enabled", NEED, Flag)])),
]);

const IMAGE: Shape = Object(&[
    ("format", NEED, Word(&["png", "jpeg", "gif", "webp"])),
    ("source", NEED, Union(&[("bytes", MAY, Text), ("s3Location", MAY, Any)])),
]);

const TOOL: Shape = Union(&[
    ("cachePoint", MAY, POINT),
    (
        "toolSpec",
        MAY,
        Object(&[
            ("name", NEED, Text),
            ("description", MAY, Text),
            ("inputSchema", NEED, Object(&[("json", NEED, Any)])),
            ("strict", MAY, Flag),
        ]),
    ),
]);

const CHOICE: Shape =
    Union(&[("auto", MAY, Object(&[])), ("any", MAY, Object(&[])), ("tool", MAY, Object(&[("name", NEED, Text)]))]);

const OUTPUT: Shape = Object(&[(
    "textFormat",
    NEED,
    Object(&[
        ("type", NEED, Word(&["json_schema"])),
        (
            "structure",
            NEED,
            Object(&[(
                "jsonSchema",
                NEED,
                Object(&[("schema", NEED, Text), ("name", MAY, Text), ("description", MAY, Text)]),
            )]),
        ),
    ]),
)]);

//! <https://docs.ollama.com/api/chat>.

use super::Shape::{Any, Count, Flag, List, Number, Object, OneOf, Text, Word};
use super::{MAY, NEED, Schema, Shape, openai_chat};

pub const SCHEMA: Schema = Schema {
    paths: ["/api/chat", "/api/chat"],
    body: Object(&[
        ("model", NEED, Text),
        ("messages", NEED, List(&MESSAGE)),
        // It streams unless it is told not to.
        ("stream", NEED, Flag),
        ("tools", MAY, List(&openai_chat::TOOL)),
        ("format", MAY, Any),
        (
            "options",
            MAY,
            Object(&[
                ("num_predict", MAY, Count),
                ("stop", MAY, List(&Text)),
                ("temperature", MAY, Number),
                ("top_p", MAY, Number),
                ("top_k", MAY, Count),
                ("min_p", MAY, Number),
                ("seed", MAY, Count),
                ("repeat_penalty", MAY, Number),
                ("presence_penalty", MAY, Number),
                ("frequency_penalty", MAY, Number),
            ]),
        ),
        ("think", MAY, OneOf(&[Flag, Word(&["low", "medium", "high"])])),
        ("keep_alive", MAY, Any),
    ]),
};

const MESSAGE: Shape = Object(&[
    ("role", NEED, Word(&["system", "user", "assistant", "tool"])),
    ("content", NEED, Text),
    ("thinking", MAY, Text),
    ("images", MAY, List(&Text)),
    ("tool_name", MAY, Text),
    ("tool_call_id", MAY, Text),
    (
        "tool_calls",
        MAY,
        List(&Object(&[
            ("id", MAY, Text),
            ("function", NEED, Object(&[("name", NEED, Text), ("arguments", NEED, Any)])),
        ])),
    ),
]);

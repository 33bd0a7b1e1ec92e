//! <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/caching#Content>.

use super::Shape::{Any, Count, Flag, List, Number, Object, Text, Word};
use super::{MAY, NEED, Schema, Shape};

pub const SCHEMA: Schema = Schema {
    paths: ["/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse"],
    body: Object(&[
        ("contents", NEED, List(&CONTENT)),
        ("systemInstruction", MAY, Object(&[("role", MAY, Text), ("parts", NEED, List(&PART))])),
        (
            "tools",
            MAY,
            List(&Object(&[("functionDeclarations", MAY, List(&DECLARATION)), ("googleSearch", MAY, Object(&[]))])),
        ),
        (
            "toolConfig",
            MAY,
            Object(&[(
                "functionCallingConfig",
                MAY,
                Object(&[
                    ("mode", MAY, Word(&["AUTO", "ANY", "NONE", "VALIDATED"])),
                    ("allowedFunctionNames", MAY, List(&Text)),
                ]),
            )]),
        ),
        ("generationConfig", MAY, CONFIG),
        ("safetySettings", MAY, List(&Any)),
        ("serviceTier", MAY, Word(&["standard", "flex", "priority"])),
    ]),
};

const CONTENT: Shape = Object(&[("role", NEED, Word(&["user", "model"])), ("parts", NEED, List(&PART))]);

/// One kind of data, and what may stand beside any.
const PART: Shape = Object(&[
    ("text", MAY, Text),
    ("inlineData", MAY, Object(&[("mimeType", NEED, Text), ("data", NEED, Text)])),
    ("fileData", MAY, Object(&[("mimeType", MAY, Text), ("fileUri", NEED, Text)])),
    ("functionCall", MAY, Object(&[("id", MAY, Text), ("name", NEED, Text), ("args", MAY, Any)])),
    (
        "functionResponse",
        MAY,
        Object(&[
            ("id", MAY, Text),
            ("name", NEED, Text),
            ("response", NEED, Any),
            (
                "parts",
                MAY,
                List(&Object(&[("inlineData", NEED, Object(&[("mimeType", NEED, Text), ("data", NEED, Text)]))])),
            ),
        ]),
    ),
    ("thought", MAY, Flag),
    ("thoughtSignature", MAY, Text),
]);

const DECLARATION: Shape = Object(&[
    ("name", NEED, Text),
    ("description", MAY, Text),
    ("parameters", MAY, Any),
    ("parametersJsonSchema", MAY, Any),
]);

const CONFIG: Shape = Object(&[
    ("maxOutputTokens", MAY, Count),
    ("stopSequences", MAY, List(&Text)),
    ("responseMimeType", MAY, Word(&["application/json", "text/plain"])),
    ("responseSchema", MAY, Any),
    ("responseJsonSchema", MAY, Any),
    ("temperature", MAY, Number),
    ("topP", MAY, Number),
    ("topK", MAY, Count),
    ("seed", MAY, Count),
    ("candidateCount", MAY, Count),
    ("logprobs", MAY, Count),
    ("responseLogprobs", MAY, Flag),
    ("responseModalities", MAY, List(&Word(&["TEXT", "IMAGE", "AUDIO"]))),
    ("speechConfig", MAY, Any),
    ("mediaResolution", MAY, Text),
    ("presencePenalty", MAY, Number),
    ("frequencyPenalty", MAY, Number),
    (
        "thinkingConfig",
        MAY,
        Object(&[
            ("includeThoughts", MAY, Flag),
            ("thinkingBudget", MAY, Number),
            ("thinkingLevel", MAY, Word(&["minimal", "low", "medium", "high", "MINIMAL", "LOW", "MEDIUM", "HIGH"])),
        ]),
    ),
]);

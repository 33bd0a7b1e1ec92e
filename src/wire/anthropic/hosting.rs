//! Where the protocol is spoken: by its maker, or by a host that has the model in the path and the version in the body.

use crate::json::{self, Cursor, Edits, Kind, Object, SyntaxError, Text};
use crate::provider::{Hosting, ModelFacts, StructuredOutput, percent_encoded};
use crate::wire::{Adjusted, Change, Target};

/// The version of the protocol.
const VERSION: &str = "2023-06-01";
/// What hosts call theirs.
const INVOKE_VERSION: &str = "bedrock-2023-05-31";
const PUBLISHER_VERSION: &str = "vertex-2023-10-16";

/// Betas that both kinds of host know.
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>.
const HOSTED: &[&str] = &[
    "compact-2026-01-12",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "interleaved-thinking-2025-05-14",
    SEARCH_BETA,
];
/// Betas that Bedrock knows besides.
const INVOKED: &[&str] = &[
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
];
/// The one that Vertex knows besides.
const PUBLISHED: &[&str] = &["web-search-2025-03-05"];
/// What hosts call the search of tools, and the beta of the maker's that holds it.
const SEARCH_BETA: &str = "tool-search-tool-2025-10-19";
const TOOLS_BETA: &str = "advanced-tool-use-2025-11-20";

/// Below the base URL.
pub(super) fn path(hosting: Hosting, model: &str, stream: bool) -> String {
    let model = percent_encoded(model);
    match (hosting, stream) {
        (Hosting::Own, _) => "/v1/messages".to_owned(),
        (Hosting::InvokeModel, false) => format!("/model/{model}/invoke"),
        (Hosting::InvokeModel, true) => format!("/model/{model}/invoke-with-response-stream"),
        (Hosting::PublisherModel, false) => format!("/publishers/anthropic/models/{model}:rawPredict"),
        (Hosting::PublisherModel, true) => format!("/publishers/anthropic/models/{model}:streamRawPredict"),
    }
}

/// The version that stands in the body; `None` where it is a header.
pub(super) fn version(hosting: Hosting) -> Option<&'static str> {
    match hosting {
        Hosting::Own => None,
        Hosting::InvokeModel => Some(INVOKE_VERSION),
        Hosting::PublisherModel => Some(PUBLISHER_VERSION),
    }
}

/// Writes what tells the model or the version, the output's limit, and the stream.
pub(super) fn open(target: &Target<'_>, max_tokens: u64, stream: bool, body: &mut Object<'_>) {
    let hosting = target.quirks.hosting;
    match version(hosting) {
        None => body.string("model", target.model),
        Some(version) => body.string("anthropic_version", version),
    };
    body.number("max_tokens", max_tokens);
    // An invocation is a stream by its path, and refuses the member.
    if stream && hosting != Hosting::InvokeModel {
        body.boolean("stream", true);
    }
}

/// Those of a caller's betas that the host knows, under its own names. Clients name all that their maker has, whatever a
/// call needs of it, and a host refuses every call over one that it lacks: "invalid beta flag".
pub(super) fn known(hosting: Hosting, betas: &str, adjusted: &mut Adjusted) -> String {
    let more = match hosting {
        Hosting::Own => return betas.to_owned(),
        Hosting::InvokeModel => INVOKED,
        Hosting::PublisherModel => PUBLISHED,
    };
    let mut known = Vec::new();
    for beta in betas.split(',').map(str::trim).filter(|beta| !beta.is_empty()) {
        let beta = if beta == TOOLS_BETA { SEARCH_BETA } else { beta };
        if HOSTED.contains(&beta) || more.contains(&beta) {
            known.push(beta);
        } else {
            adjusted.note("anthropic-beta", Change::Trimmed);
        }
    }
    known.join(",")
}

/// Betas that may be named, each once: what callers write into a header must not end it.
pub(super) fn betas(betas: Vec<String>) -> Vec<String> {
    let is_token = |beta: &String| beta.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let mut betas: Vec<String> = betas.into_iter().filter(|beta| !beta.is_empty() && is_token(beta)).collect();
    betas.dedup();
    betas
}

/// Names the betas in the body or in a header, and the version where that is a header, too.
pub(super) fn close(target: &Target<'_>, betas: Vec<String>, body: &mut Object<'_>) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if target.quirks.hosting == Hosting::Own {
        headers.push(("anthropic-version", VERSION.to_owned()));
    }
    match target.quirks.hosting {
        _ if betas.is_empty() => {}
        Hosting::InvokeModel => {
            body.array("anthropic_beta", |array| {
                for beta in &betas {
                    array.text(&Text::escape(beta));
                }
            });
        }
        Hosting::Own | Hosting::PublisherModel => headers.push(("anthropic-beta", betas.join(","))),
    }
    headers
}

/// The body with its cache marks as the host takes them: Bedrock's models before Claude 4.5 know no `ttl`,
/// "cache_control.ephemeral.ttl: Extra inputs are not permitted".
///
/// Source: <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>.
pub(super) fn marked(at: Hosting, facts: &ModelFacts, body: Vec<u8>, adjusted: &mut Adjusted) -> Vec<u8> {
    let knows = at != Hosting::InvokeModel || facts.structured != StructuredOutput::ForcedTool;
    if knows || !json::mentions(&body, b"\"ttl\"") {
        return body;
    }
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let mut edits = Edits::of(&body);
    match unmark(text, 0, DEEPEST, &mut edits) {
        Ok(()) => {
            adjusted.note("cache_control", Change::Clamped);
            edits.apply().into_owned()
        }
        Err(_) => body,
    }
}

/// A block of a result in a message of the conversation.
const DEEPEST: usize = 8;

/// Takes `ttl` off the marks of what stands at `position`, but for what models and callers wrote.
fn unmark(text: &str, position: usize, depth: usize, edits: &mut Edits<'_>) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::at(text, position);
    match cursor.kind().filter(|_| depth > 0) {
        Some(Kind::Array) => cursor.items(|_, cursor| {
            cursor.kind();
            let start = cursor.position();
            cursor.value()?;
            unmark(text, start, depth - 1, edits)
        }),
        Some(Kind::Object) => {
            for member in cursor.spans()? {
                match &*member.key {
                    "cache_control" => {
                        let mut mark = Cursor::at(text, member.value.start);
                        if mark.kind() == Some(Kind::Object) {
                            edits.object(mark.position(), &mark.spans()?, |member| member.key == "ttl", &[]);
                        }
                    }
                    "input" | "input_schema" => {}
                    _ => unmark(text, member.value.start, depth - 1, edits)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

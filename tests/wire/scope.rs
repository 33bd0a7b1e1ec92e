//! Which recordings the formats and vendors cover, and why the others are left out.

use latchkey::provider::{PROVIDERS, Quirks, find};
use latchkey::wire::Format;

use super::corpus::Recording;

/// What a recording is to the tests.
pub enum Scope {
    /// A chat answer or an error on a chat endpoint.
    Chat { format: Format, quirks: &'static Quirks },
    /// An answer of an embeddings endpoint.
    Embeddings { format: Format },
    /// Not ours.
    Outside(&'static str),
}

pub fn scope(recording: &Recording) -> Scope {
    let endpoint = recording.endpoint.as_str();
    if let Some(reason) = another_protocol(recording) {
        return Scope::Outside(reason);
    }
    if endpoint.ends_with("/messages") || endpoint.ends_with("awPredict") {
        return Scope::Chat { format: Format::Anthropic, quirks: &Quirks::NONE };
    }
    if endpoint.starts_with("/model/") && (endpoint.ends_with("/converse") || endpoint.ends_with("/converse-stream")) {
        return Scope::Chat { format: Format::Bedrock, quirks: &Quirks::NONE };
    }
    if endpoint.ends_with("/responses") {
        return Scope::Chat { format: Format::OpenAiResponses, quirks: quirks_of(recording) };
    }
    if recording.provider == "cohere" && endpoint == "/v2/chat" {
        return Scope::Chat { format: Format::Cohere, quirks: &Quirks::NONE };
    }
    if recording.provider == "ollama" && endpoint == "/api/chat" {
        return Scope::Chat { format: Format::Ollama, quirks: &Quirks::NONE };
    }
    if recording.provider == "ollama" && endpoint == "/api/embed" {
        return Scope::Embeddings { format: Format::Ollama };
    }
    if recording.provider == "cohere" && endpoint == "/v2/embed" {
        return Scope::Embeddings { format: Format::Cohere };
    }
    if endpoint.ends_with("enerateContent") {
        return Scope::Chat { format: Format::Gemini, quirks: &Quirks::NONE };
    }
    let chat = ["/chat/completions", "/agents/completions"].iter().any(|path| endpoint.ends_with(path));
    if chat || (recording.provider == "writer" && endpoint == "/v1/chat") {
        return Scope::Chat { format: Format::OpenAiChat, quirks: quirks_of(recording) };
    }
    if endpoint.ends_with("/embeddings") && recording.provider != "voyage" {
        return Scope::Embeddings { format: Format::OpenAiChat };
    }
    let predicts = endpoint.ends_with(":predict") && recording.kind == "embeddings";
    if endpoint.ends_with("mbedContent") || endpoint.ends_with("mbedContents") || predicts {
        return Scope::Embeddings { format: Format::Gemini };
    }
    Scope::Outside("another endpoint")
}

/// The row whose recordings these are. Hosts without a row (Copilot, Bedrock's and Gemini's OpenAI layers) are read as
/// any compatible server would be.
fn quirks_of(recording: &Recording) -> &'static Quirks {
    let by_id = find(&recording.provider).filter(|_| recording.synthetic);
    let row = by_id.or_else(|| {
        PROVIDERS
            .iter()
            .find(|row| row.format == Format::OpenAiChat && row.recordings == Some(recording.provider.as_str()))
    });
    row.map_or(&Quirks::COMPATIBLE, |row| &row.quirks)
}

fn another_protocol(recording: &Recording) -> Option<&'static str> {
    let endpoint = recording.endpoint.as_str();
    let Some(body) = &recording.body else {
        let is_converse = endpoint.ends_with("/converse-stream") && recording.is_aws_stream();
        return (!is_converse).then_some("binary: models' own protocols in an AWS event stream, or audio");
    };
    if endpoint.ends_with("interactions") {
        return Some("Gemini Interactions");
    }
    if endpoint.contains("/api/v1/services/") {
        return Some("DashScope native");
    }
    let current = ["/compatibility/", "/v2/chat", "/v2/embed"];
    if recording.provider == "cohere" && !current.iter().any(|start| endpoint.starts_with(start)) {
        return Some("another API of Cohere's");
    }
    if recording.provider == "ollama" && ["/api/generate", "/api/embeddings"].contains(&endpoint) {
        return Some("an older API of Ollama's");
    }
    if endpoint.starts_with("/model/") && !endpoint.contains("/converse") {
        return Some("models' own protocols on Bedrock");
    }
    let streamed = endpoint.ends_with("streamGenerateContent") && recording.status == 200;
    if streamed && body.trim_start().starts_with('[') {
        return Some("JSON array stream: only asked for with alt=sse");
    }
    None
}

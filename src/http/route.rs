use crate::failure::{Failure, Kind};
use crate::provider::Service;
use crate::wire::Surface;

/// What a caller's request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A call that may cost money.
    Call(Endpoint),
    /// A call whose path names its model, decoded.
    CallOf(Endpoint, String),
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`; the id is decoded.
    Model(String),
    /// `GET /v1/responses/{id}`.
    Response(String),
    /// `GET /v1/responses/{id}/input_items`.
    InputItems(String),
    /// `DELETE /v1/responses/{id}`.
    ForgetResponse(String),
    /// `GET /v1/key`.
    Key,
    /// `GET /v1/generation?id=`.
    Generation,
    /// `POST /v1/feedback`.
    Feedback,
    /// `GET /v1/realtime`, to be upgraded.
    Realtime,
    /// `/passthrough/{provider}/…` with any method: the provider's id, and what follows it with its slash, as it came.
    Passthrough(String, String),
}

/// The endpoints that are billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/completions`, the legacy form.
    Completions,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/responses/compact`.
    CompactResponse,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountMessages,
    /// `POST /v1beta/models/{model}:generateContent`.
    GenerateContent,
    /// `POST /v1beta/models/{model}:streamGenerateContent`.
    StreamGenerateContent,
    /// `POST /v1beta/models/{model}:countTokens`.
    CountTokens,
    /// `POST /v1beta/models/{model}:embedContent`.
    EmbedContent,
    /// `POST /v1beta/models/{model}:batchEmbedContents`.
    BatchEmbedContents,
    /// `POST /v2/chat`.
    CohereChat,
    /// `POST /model/{model}/converse`.
    Converse,
    /// `POST /model/{model}/converse-stream`.
    ConverseStream,
    /// `POST /v1/rerank` and `/v2/rerank`.
    Rerank,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/images/generations`.
    ImageGenerations,
    /// `POST /v1/images/edits`.
    ImageEdits,
    /// `POST /v1/audio/speech`.
    Speech,
    /// `POST /v1/audio/transcriptions`.
    Transcriptions,
    /// `POST /v1/audio/translations`.
    Translations,
    /// `/passthrough/{provider}/…`.
    Passthrough,
    /// `GET /v1/realtime`.
    Realtime,
}

/// What is done at an endpoint, whatever its caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// A conversation goes on.
    Chat,
    /// Text becomes vectors.
    Embeddings,
    /// Text goes on, without turns.
    Completions,
    /// A conversation becomes shorter, in its provider's own way.
    Compaction,
    /// The tokens of a prompt are counted.
    Count,
    /// Something of what providers do beside conversation.
    Service(Service),
    /// Whatever it is, it goes on as it came.
    Passthrough,
    /// A talk over a socket.
    Talk,
}

impl Route {
    /// The endpoint that is called; `None` for what only reads or writes here.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Route::Call(endpoint) | Route::CallOf(endpoint, _) => Some(*endpoint),
            Route::Passthrough(..) => Some(Endpoint::Passthrough),
            Route::Realtime => Some(Endpoint::Realtime),
            _ => None,
        }
    }
}

impl Endpoint {
    /// What its callers speak.
    #[must_use]
    pub fn surface(self) -> Surface {
        match self {
            Endpoint::ChatCompletions
            | Endpoint::Embeddings
            | Endpoint::Completions
            | Endpoint::Rerank
            | Endpoint::Moderations
            | Endpoint::ImageGenerations
            | Endpoint::ImageEdits
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations
            | Endpoint::Passthrough
            | Endpoint::Realtime => Surface::OpenAiChat,
            Endpoint::Responses | Endpoint::CompactResponse => Surface::OpenAiResponses,
            Endpoint::Messages | Endpoint::CountMessages => Surface::Anthropic,
            Endpoint::GenerateContent
            | Endpoint::StreamGenerateContent
            | Endpoint::CountTokens
            | Endpoint::EmbedContent
            | Endpoint::BatchEmbedContents => Surface::Gemini,
            Endpoint::Converse | Endpoint::ConverseStream => Surface::Bedrock,
            Endpoint::CohereChat => Surface::Cohere,
        }
    }

    /// What is done there.
    #[must_use]
    pub fn task(self) -> Task {
        match self {
            Endpoint::ChatCompletions
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::GenerateContent
            | Endpoint::StreamGenerateContent
            | Endpoint::Converse
            | Endpoint::ConverseStream
            | Endpoint::CohereChat => Task::Chat,
            Endpoint::Embeddings | Endpoint::EmbedContent | Endpoint::BatchEmbedContents => Task::Embeddings,
            Endpoint::Completions => Task::Completions,
            Endpoint::CompactResponse => Task::Compaction,
            Endpoint::CountMessages | Endpoint::CountTokens => Task::Count,
            Endpoint::Rerank => Task::Service(Service::Rerank),
            Endpoint::Moderations => Task::Service(Service::Moderation),
            Endpoint::ImageGenerations => Task::Service(Service::ImageGeneration),
            Endpoint::ImageEdits => Task::Service(Service::ImageEdit),
            Endpoint::Speech => Task::Service(Service::Speech),
            Endpoint::Transcriptions => Task::Service(Service::Transcription),
            Endpoint::Translations => Task::Service(Service::Translation),
            Endpoint::Passthrough => Task::Passthrough,
            Endpoint::Realtime => Task::Talk,
        }
    }

    /// As a key's `allowed_endpoints` and the records name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "chat/completions",
            Endpoint::Embeddings => "embeddings",
            Endpoint::Completions => "completions",
            Endpoint::Responses => "responses",
            Endpoint::CompactResponse => "responses/compact",
            Endpoint::Messages => "messages",
            Endpoint::CountMessages => "messages/count_tokens",
            Endpoint::GenerateContent => "generateContent",
            Endpoint::StreamGenerateContent => "streamGenerateContent",
            Endpoint::CountTokens => "countTokens",
            Endpoint::EmbedContent => "embedContent",
            Endpoint::BatchEmbedContents => "batchEmbedContents",
            Endpoint::CohereChat => "chat",
            Endpoint::Converse => "converse",
            Endpoint::ConverseStream => "converse-stream",
            Endpoint::Rerank => "rerank",
            Endpoint::Moderations => "moderations",
            Endpoint::ImageGenerations => "images/generations",
            Endpoint::ImageEdits => "images/edits",
            Endpoint::Speech => "audio/speech",
            Endpoint::Transcriptions => "audio/transcriptions",
            Endpoint::Translations => "audio/translations",
            Endpoint::Passthrough => "passthrough",
            Endpoint::Realtime => "realtime",
        }
    }

    /// Whether its answer is a list of what a single call would give one of.
    #[must_use]
    pub fn is_batch(self) -> bool {
        self == Endpoint::BatchEmbedContents
    }

    /// The endpoint of a method behind a model's name.
    fn of_method(method: &str) -> Option<Endpoint> {
        use Endpoint::{BatchEmbedContents, CountTokens, EmbedContent, GenerateContent, StreamGenerateContent};
        [GenerateContent, StreamGenerateContent, CountTokens, EmbedContent, BatchEmbedContents]
            .into_iter()
            .find(|endpoint| endpoint.as_str() == method)
    }
}

/// What the callers of a path speak: in whose words a path that leads nowhere is refused.
#[must_use]
pub fn surface_of(path: &str) -> Surface {
    match path.trim_start_matches('/') {
        path if path.starts_with("v1beta/") => Surface::Gemini,
        path if path.starts_with("model/") => Surface::Bedrock,
        path if path.starts_with("v2/") => Surface::Cohere,
        path if path.contains("v1/messages") => Surface::Anthropic,
        path if path.contains("v1/responses") => Surface::OpenAiResponses,
        _ => Surface::default(),
    }
}

/// The route of a path under `/v1`. A trailing slash and a doubled `/v1` (a common slip in base URLs) are forgiven.
///
/// # Errors
/// `NotFound` for a path that is none, `MethodNotAllowed` for the wrong method.
pub fn route(method: &str, path: &str) -> Result<Route, Failure> {
    if let Some(passed) = path.strip_prefix("/passthrough/") {
        return passthrough(passed);
    }
    let asked = path;
    let path = path.strip_prefix("/v1beta").or(path.strip_prefix("/v1")).unwrap_or(path);
    let path = path.strip_prefix("/v1/").map_or(path, |_| path.get(3..).unwrap_or(path));
    let path = path.trim_matches('/');
    let post = |endpoint| Some((Route::Call(endpoint), "POST"));
    let found = match path {
        "chat/completions" => post(Endpoint::ChatCompletions),
        "embeddings" => post(Endpoint::Embeddings),
        "completions" => post(Endpoint::Completions),
        "responses" => post(Endpoint::Responses),
        "responses/compact" => post(Endpoint::CompactResponse),
        "messages" => post(Endpoint::Messages),
        "messages/count_tokens" => post(Endpoint::CountMessages),
        "rerank" | "v2/rerank" => post(Endpoint::Rerank),
        "moderations" => post(Endpoint::Moderations),
        "images/generations" => post(Endpoint::ImageGenerations),
        "images/edits" => post(Endpoint::ImageEdits),
        "audio/speech" => post(Endpoint::Speech),
        "audio/transcriptions" => post(Endpoint::Transcriptions),
        "audio/translations" => post(Endpoint::Translations),
        "v2/chat" => post(Endpoint::CohereChat),
        "models" => Some((Route::Models, "GET")),
        "key" => Some((Route::Key, "GET")),
        "generation" => Some((Route::Generation, "GET")),
        "feedback" => Some((Route::Feedback, "POST")),
        "realtime" => Some((Route::Realtime, "GET")),
        _ => stored(path, method).or_else(|| converse(path)).or_else(|| of_model(path)),
    };
    let (route, wanted) = found.ok_or_else(|| {
        let message =
            format!("Unknown route {method} {}. Try POST /v1/chat/completions or GET /v1/models.", shown(asked));
        Failure::new(Kind::NotFound, message).code("unknown_url")
    })?;
    if method == wanted || (wanted == "GET" && method == "HEAD") {
        Ok(route)
    } else {
        Err(Failure::new(Kind::MethodNotAllowed, format!("{} takes {wanted}, not {method}.", shown(asked)))
            .because(wanted))
    }
}

/// A stored response, or what it was asked, and the method for that.
fn stored(path: &str, method: &str) -> Option<(Route, &'static str)> {
    let id = path.strip_prefix("responses/")?;
    Some(match id.strip_suffix("/input_items") {
        Some(id) if method != "DELETE" => (Route::InputItems(percent_decode(id)), "GET"),
        None if method == "DELETE" && !id.contains('/') => (Route::ForgetResponse(percent_decode(id)), "DELETE"),
        None if !id.contains('/') => (Route::Response(percent_decode(id)), "GET"),
        _ => return None,
    })
}

/// A provider and the path there. A path that could leave the provider's base URL, once somebody decodes it, is refused.
fn passthrough(passed: &str) -> Result<Route, Failure> {
    let (provider, path) = passed.split_at_checked(passed.find('/').unwrap_or(passed.len())).unwrap_or((passed, ""));
    let decoded = percent_decode(&percent_decode(path));
    let leaves = decoded.split(['/', '\\']).any(|segment| matches!(segment.trim(), "." | ".."));
    if provider.is_empty() || leaves || decoded.contains(char::is_control) || path.starts_with("//") {
        let message = format!("The path /passthrough/{} cannot be passed on.", shown(passed));
        return Err(Failure::new(Kind::BadRequest, message).code("invalid_path"));
    }
    Ok(Route::Passthrough(provider.to_owned(), path.to_owned()))
}

/// A model, or one with a method behind it: `openai/gpt-4o:generateContent`.
fn of_model(path: &str) -> Option<(Route, &'static str)> {
    let named = path.strip_prefix("models/").filter(|named| !named.is_empty())?;
    let parts = named.rsplit_once(':').or_else(|| named.rsplit_once("%3A"));
    let called = parts.and_then(|(model, method)| Some((model, Endpoint::of_method(method)?)));
    Some(match called {
        Some((model, endpoint)) if !model.is_empty() => (Route::CallOf(endpoint, percent_decode(model)), "POST"),
        _ => (Route::Model(percent_decode(named)), "GET"),
    })
}

/// A model between `model/` and one of Converse's methods; it may have slashes of its own.
fn converse(path: &str) -> Option<(Route, &'static str)> {
    let (model, method) = path.strip_prefix("model/")?.rsplit_once('/')?;
    let endpoints = [Endpoint::Converse, Endpoint::ConverseStream];
    let endpoint = endpoints.into_iter().find(|endpoint| endpoint.as_str() == method)?;
    (!model.is_empty()).then(|| (Route::CallOf(endpoint, percent_decode(model)), "POST"))
}

/// Paths come from outside and go into an error message.
fn shown(path: &str) -> String {
    path.chars().take(80).filter(|character| !character.is_control()).collect()
}

/// The text of a path's segment; what is no escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        let chat = Ok(Route::Call(Endpoint::ChatCompletions));
        for path in ["/v1/chat/completions", "/v1/chat/completions/", "/v1/v1/chat/completions", "/chat/completions"] {
            assert_eq!(route("POST", path), chat, "{path}");
        }
        for path in ["/v1/chat", "/health", "/v1/v1/nowhere"] {
            let refused = route("POST", path).expect_err("no route");
            assert!(refused.message.contains(&format!("POST {path}.")), "{}", refused.message);
        }
        assert_eq!(route("GET", "/v1/models/openai%2Fgpt-4o"), Ok(Route::Model("openai/gpt-4o".to_owned())));
        assert_eq!(route("GET", "/v1/models/openai/gpt-4o"), Ok(Route::Model("openai/gpt-4o".to_owned())));
        assert_eq!(route("GET", "/v1/generation"), Ok(Route::Generation));
        assert_eq!(route("POST", "/v1/feedback"), Ok(Route::Feedback));
        assert_eq!(route("GET", "/v1/models/%zz%"), Ok(Route::Model("%zz%".to_owned())));
        assert_eq!(route("POST", "/v1/responses"), Ok(Route::Call(Endpoint::Responses)));
        assert_eq!(route("POST", "/v1/responses/compact"), Ok(Route::Call(Endpoint::CompactResponse)));
        let response = "resp_1".to_owned();
        assert_eq!(route("GET", "/v1/responses/resp_1"), Ok(Route::Response(response.clone())));
        assert_eq!(route("DELETE", "/v1/responses/resp_1/"), Ok(Route::ForgetResponse(response.clone())));
        assert_eq!(route("GET", "/v1/responses/resp_1/input_items"), Ok(Route::InputItems(response)));
        for (method, path) in [("POST", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/input_items")] {
            assert_eq!(route(method, path).map_err(|f| f.kind), Err(Kind::MethodNotAllowed), "{path}");
        }
        for path in ["/v1/responses/resp_1/cancel", "/v1/responses/a/b/c"] {
            assert_eq!(route("POST", path).map_err(|f| f.kind), Err(Kind::NotFound), "{path}");
        }
        for (path, model) in [
            ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash"),
            ("/v1beta/models/openai%2Fgpt-4o:streamGenerateContent", "openai/gpt-4o"),
            ("/v1/models/openrouter/x/y:free:streamGenerateContent", "openrouter/x/y:free"),
        ] {
            let wanted = Route::CallOf(Endpoint::StreamGenerateContent, model.to_owned());
            assert_eq!(route("POST", path), Ok(wanted), "{path}");
        }
        assert_eq!(route("GET", "/v1beta/models/x:generateContent").map_err(|f| f.kind), Err(Kind::MethodNotAllowed));
        assert_eq!(route("GET", "/v1beta/models/x:free"), Ok(Route::Model("x:free".to_owned())));
        for (path, model) in [
            (
                "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ),
            ("/model/openai/gpt-4o/converse", "openai/gpt-4o"),
        ] {
            assert_eq!(route("POST", path), Ok(Route::CallOf(Endpoint::Converse, model.to_owned())), "{path}");
        }
        assert_eq!(route("POST", "/model//converse").map_err(|f| f.kind), Err(Kind::NotFound));
        for path in ["/v1/rerank", "/v2/rerank", "/rerank/"] {
            assert_eq!(route("POST", path), Ok(Route::Call(Endpoint::Rerank)), "{path}");
        }
        assert_eq!(route("POST", "/v1/audio/speech"), Ok(Route::Call(Endpoint::Speech)));
        let passed = Route::Passthrough("openai".to_owned(), "/v1/files%20a".to_owned());
        assert_eq!(route("DELETE", "/passthrough/openai/v1/files%20a"), Ok(passed));
        for path in ["/../x", "/a/%2e%2e/x", "/a%2f..%2fx", "/a/%252e%252e/x", "/..\\x", "//evil.example/", "/%0d%0a"] {
            let refused = route("GET", &format!("/passthrough/openai{path}"));
            assert_eq!(refused.map_err(|failure| failure.kind), Err(Kind::BadRequest), "{path}");
        }
        for path in ["/v1/chat/completions", "/v1beta/models/x:countTokens", "/model/a/b/converse", "/v2/chat"] {
            let refused = route("GET", path).expect_err("another method");
            assert_eq!(
                (refused.kind, refused.message.clone()),
                (Kind::MethodNotAllowed, format!("{path} takes POST, not GET."))
            );
        }
        assert_eq!(route("POST", "/v1/nothing").map_err(|f| f.kind), Err(Kind::NotFound));
        assert_eq!(route("HEAD", "/v1/models"), Ok(Route::Models));
        assert_eq!(route("HEAD", "/v1/feedback").map_err(|f| f.kind), Err(Kind::MethodNotAllowed));
        assert_eq!(route("DELETE", "/v1/responses/resp_1/input_items").map_err(|f| f.kind), Err(Kind::NotFound));
        // Some clients encode the colon.
        let counted = Route::CallOf(Endpoint::CountTokens, "gemini-2.5-flash".to_owned());
        assert_eq!(route("POST", "/v1beta/models/gemini-2.5-flash%3AcountTokens"), Ok(counted));
        assert_eq!(route("GET", "/v1/models/").map_err(|f| f.kind), Ok(()).map(|()| Route::Models));
    }
    /// What keys allow and records say: a name that changes locks callers out.
    #[test]
    fn every_endpoint_goes_by_the_name_that_keys_allow_it_by() {
        for (path, name) in [
            ("/v1/chat/completions", "chat/completions"),
            ("/v1/embeddings", "embeddings"),
            ("/v1/completions", "completions"),
            ("/v1/responses", "responses"),
            ("/v1/responses/compact", "responses/compact"),
            ("/v1/messages", "messages"),
            ("/v1/messages/count_tokens", "messages/count_tokens"),
            ("/v1/rerank", "rerank"),
            ("/v1/moderations", "moderations"),
            ("/v1/images/generations", "images/generations"),
            ("/v1/images/edits", "images/edits"),
            ("/v1/audio/speech", "audio/speech"),
            ("/v1/audio/transcriptions", "audio/transcriptions"),
            ("/v1/audio/translations", "audio/translations"),
            ("/v2/chat", "chat"),
            ("/v1beta/models/m:generateContent", "generateContent"),
            ("/v1beta/models/m:streamGenerateContent", "streamGenerateContent"),
            ("/v1beta/models/m:countTokens", "countTokens"),
            ("/v1beta/models/m:embedContent", "embedContent"),
            ("/v1beta/models/m:batchEmbedContents", "batchEmbedContents"),
            ("/model/m/converse", "converse"),
            ("/model/m/converse-stream", "converse-stream"),
        ] {
            let (Ok(Route::Call(endpoint)) | Ok(Route::CallOf(endpoint, _))) = route("POST", path) else {
                panic!("{path} leads nowhere");
            };
            assert_eq!(endpoint.as_str(), name, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused_in_the_words_of_its_callers() {
        for (path, surface) in [
            ("/v1beta/nothing", Surface::Gemini),
            ("/model/x/nothing", Surface::Bedrock),
            ("/v2/nothing", Surface::Cohere),
            ("/v1/messages/nothing", Surface::Anthropic),
            ("/v1/responses/none", Surface::OpenAiResponses),
            ("/v1/nothing", Surface::OpenAiChat),
        ] {
            assert_eq!(surface_of(path), surface, "{path}");
        }
    }
}

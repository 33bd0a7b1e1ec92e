use crate::failure::{Failure, Kind};
use crate::wire::Surface;

/// What a caller's request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A call that may cost money.
    Call(Endpoint),
    /// `GET /v1/models`.
    Models,
    /// `GET /v1/models/{id}`; the id is decoded.
    Model(String),
    /// `GET /v1/key`.
    Key,
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
    /// `POST /v1/messages`.
    Messages,
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
}

impl Endpoint {
    /// What its callers speak.
    #[must_use]
    pub fn surface(self) -> Surface {
        match self {
            Endpoint::ChatCompletions | Endpoint::Embeddings | Endpoint::Completions => Surface::OpenAiChat,
            Endpoint::Messages => Surface::Anthropic,
        }
    }

    /// What is done there.
    #[must_use]
    pub fn task(self) -> Task {
        match self {
            Endpoint::ChatCompletions | Endpoint::Messages => Task::Chat,
            Endpoint::Embeddings => Task::Embeddings,
            Endpoint::Completions => Task::Completions,
        }
    }

    /// As a key's `allowed_endpoints` and the records name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "chat/completions",
            Endpoint::Embeddings => "embeddings",
            Endpoint::Completions => "completions",
            Endpoint::Messages => "messages",
        }
    }
}

/// The route of a path under `/v1`. A trailing slash and a doubled `/v1` (a common slip in base URLs) are forgiven.
///
/// # Errors
/// `NotFound` for a path that is none, `MethodNotAllowed` for the wrong method.
pub fn route(method: &str, path: &str) -> Result<Route, Failure> {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let path = path.strip_prefix("/v1/").map_or(path, |_| path.get(3..).unwrap_or(path));
    let path = path.trim_matches('/');
    let (route, wanted) = match path {
        "chat/completions" => (Route::Call(Endpoint::ChatCompletions), "POST"),
        "embeddings" => (Route::Call(Endpoint::Embeddings), "POST"),
        "completions" => (Route::Call(Endpoint::Completions), "POST"),
        "messages" => (Route::Call(Endpoint::Messages), "POST"),
        "models" => (Route::Models, "GET"),
        "key" => (Route::Key, "GET"),
        _ => match path.strip_prefix("models/") {
            Some(id) if !id.is_empty() => (Route::Model(percent_decode(id)), "GET"),
            _ => {
                return Err(Failure::new(
                    Kind::NotFound,
                    format!(
                        "Unknown route {method} /v1/{}. Try POST /v1/chat/completions or GET /v1/models.",
                        shown(path)
                    ),
                )
                .code("unknown_url"));
            }
        },
    };
    if method == wanted || (wanted == "GET" && method == "HEAD") {
        Ok(route)
    } else {
        Err(Failure::new(Kind::MethodNotAllowed, format!("/v1/{} takes {wanted}, not {method}.", shown(path)))
            .because(wanted))
    }
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
        assert_eq!(route("GET", "/v1/models/openai%2Fgpt-4o"), Ok(Route::Model("openai/gpt-4o".to_owned())));
        assert_eq!(route("GET", "/v1/models/openai/gpt-4o"), Ok(Route::Model("openai/gpt-4o".to_owned())));
        assert_eq!(route("GET", "/v1/models/%zz%"), Ok(Route::Model("%zz%".to_owned())));
        assert_eq!(route("GET", "/v1/chat/completions").map_err(|f| f.kind), Err(Kind::MethodNotAllowed));
        assert_eq!(route("POST", "/v1/nothing").map_err(|f| f.kind), Err(Kind::NotFound));
        assert_eq!(route("GET", "/v1/models/").map_err(|f| f.kind), Ok(()).map(|()| Route::Models));
    }
}

use crate::failure::{Failure, Kind};

/// A caller's request.
#[derive(Clone, Default)]
pub struct Incoming {
    /// Upper case.
    pub method: String,
    /// The path, without host and query.
    pub path: String,
    /// What stands behind the path's question mark.
    pub query: String,
    /// Lower-case names, as sent, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The body was longer than [`crate::config::Limits::body_bytes`] and was not read.
    pub oversize: bool,
    /// The body, or its files, can be sent only once: it is too long to be kept, and is passed on as it comes.
    pub once: bool,
}

/// Where it goes and how long it is, and nothing of what it holds: keys and prompts are in there.
impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Incoming");
        shown.field("method", &self.method).field("path", &self.path).field("bytes", &self.body.len());
        shown.finish_non_exhaustive()
    }
}

/// Headers in which SDKs send a key: OpenAI's, Anthropic's, Azure's, Google's.
const KEY_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// How a WebSocket's subprotocol begins that is a key
/// (<https://platform.openai.com/docs/guides/realtime-websocket>).
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

impl Incoming {
    /// The subprotocols that a WebSocket is asked for with.
    pub(super) fn protocols(&self) -> impl Iterator<Item = &str> {
        self.header("sec-websocket-protocol").into_iter().flat_map(|list| list.split(',')).map(str::trim)
    }

    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The gateway key, from whichever header the caller's SDK puts it in.
    ///
    /// # Errors
    /// `Unauthorized` where there is none, or where two headers hold different ones.
    pub fn key(&self) -> Result<&str, Failure> {
        let mut found: Option<&str> = None;
        for name in KEY_HEADERS {
            let Some(value) = self.header(name).map(str::trim) else { continue };
            let key = match value.split_once(' ') {
                Some((scheme, key)) if name == "authorization" && scheme.eq_ignore_ascii_case("bearer") => key.trim(),
                _ => value,
            };
            match found {
                _ if key.is_empty() => {}
                Some(other) if other != key => {
                    return Err(unauthorized(
                        "Two headers of this request hold different keys; send the Latchkey key in one of them.",
                    ));
                }
                _ => found = Some(key),
            }
        }
        // Where pages in a browser put it, whose sockets can send no headers.
        let found = found.or(self.protocols().find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL)));
        // Where Google's clients without headers put it.
        let found = found.or(self.parameter("key").filter(|key| !key.is_empty()));
        found.ok_or_else(|| {
            unauthorized("No API key in this request; send your Latchkey key as `Authorization: Bearer lk-…`.")
        })
    }

    /// Whether it is a form. Its files stay at the edge: `body` is then a JSON object of its fields, which are strings,
    /// and as `file` how many bytes its files have.
    #[must_use]
    pub fn is_form(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("multipart/form-data"))
    }

    /// A parameter of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Whether the caller's page is in a browser and wants CORS headers.
    #[must_use]
    pub fn wants_cors(&self) -> bool {
        self.header("origin").is_some()
    }

    /// A header that is echoed into records: short and printable, or not at all.
    #[must_use]
    pub fn printable(&self, name: &str) -> Option<String> {
        let value = self.header(name)?;
        (value.len() <= 128 && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))).then(|| value.to_owned())
    }
}

/// The failure of every kind of bad key.
#[must_use]
pub fn unauthorized(message: &str) -> Failure {
    Failure::new(Kind::Unauthorized, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(headers: &[(&str, &str)]) -> Incoming {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Incoming { headers, ..Incoming::default() }
    }

    #[test]
    fn the_key_is_found_wherever_sdks_put_it() {
        for headers in [
            [("authorization", "Bearer lk-1")],
            [("authorization", "bearer  lk-1 ")],
            [("x-api-key", "lk-1")],
            [("api-key", "lk-1")],
            [("x-goog-api-key", "lk-1")],
        ] {
            assert_eq!(incoming(&headers).key().ok(), Some("lk-1"), "{headers:?}");
        }
        let agreeing = incoming(&[("authorization", "Bearer lk-1"), ("x-api-key", "lk-1")]);
        assert_eq!(agreeing.key().ok(), Some("lk-1"));
        let differing = incoming(&[("authorization", "Bearer lk-1"), ("x-api-key", "lk-2")]);
        assert_eq!(differing.key().map_err(|failure| failure.kind), Err(Kind::Unauthorized));
        assert_eq!(incoming(&[]).key().map_err(|failure| failure.kind), Err(Kind::Unauthorized));
    }
}

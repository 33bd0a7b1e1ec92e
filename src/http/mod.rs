//! HTTP as data: which route a request names, and what a failure looks like to its caller. No I/O.

mod answer;
mod page;
mod route;

pub use answer::{failure_response, status_of};
pub use page::{front_page, unknown_path};
pub(crate) use route::percent_decode;
pub use route::{Endpoint, Route, Task, route, surface_of};

/// A whole answer that the gateway makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Headers of a provider that go on as they came.
    pub passed: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON answer that no cache may keep.
    #[must_use]
    pub fn json(status: u16, body: Vec<u8>) -> Response {
        let headers = vec![("content-type", "application/json".to_owned()), no_store()];
        Response { status, headers, passed: Vec::new(), body }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers to authenticated calls are never for a cache.
#[must_use]
pub fn no_store() -> (&'static str, String) {
    ("cache-control", "private, no-store".to_owned())
}

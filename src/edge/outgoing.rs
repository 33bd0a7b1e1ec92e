//! Requests of the gateway's own: to its objects and to webhooks.

use wasm_bindgen::JsValue;
use worker::{Headers, Request, Result, web_sys};

/// A request; with a body, a JSON one is posted. Redirects are not followed.
///
/// `worker::RequestInit` is not used: it brings writers for all that Cloudflare can do with images.
///
/// # Errors
/// Where the URL or a header is none.
pub(super) fn request(url: &str, headers: &[(&'static str, String)], body: Option<JsValue>) -> Result<Request> {
    let sent = Headers::new();
    let init = web_sys::RequestInit::new();
    if let Some(body) = body {
        sent.set("content-type", "application/json")?;
        init.set_method("POST");
        init.set_body(&body);
    }
    for (name, value) in headers {
        sent.set(name, value)?;
    }
    init.set_headers(&sent.0);
    init.set_redirect(web_sys::RequestRedirect::Manual);
    Ok(web_sys::Request::new_with_str_and_init(url, &init)?.into())
}

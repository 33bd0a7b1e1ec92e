//! Where the protocol is spoken: by its maker, or by a host that has the model in the path and the version in the body.

use crate::json::{Object, Text};
use crate::provider::{Hosting, percent_encoded};
use crate::wire::Target;

/// The version of the protocol.
const VERSION: &str = "2023-06-01";
/// What hosts call theirs.
const INVOKE_VERSION: &str = "bedrock-2023-05-31";
const PUBLISHER_VERSION: &str = "vertex-2023-10-16";

/// Below the base URL.
pub(super) fn path(target: &Target<'_>, stream: bool) -> String {
    let model = || percent_encoded(target.model);
    match (target.quirks.hosting, stream) {
        (Hosting::Own, _) => "/v1/messages".to_owned(),
        (Hosting::InvokeModel, false) => format!("/model/{}/invoke", model()),
        (Hosting::InvokeModel, true) => format!("/model/{}/invoke-with-response-stream", model()),
        (Hosting::PublisherModel, false) => format!("/publishers/anthropic/models/{}:rawPredict", model()),
        (Hosting::PublisherModel, true) => format!("/publishers/anthropic/models/{}:streamRawPredict", model()),
    }
}

/// Writes what tells the model, the version and the stream.
pub(super) fn open(target: &Target<'_>, stream: bool, body: &mut Object<'_>) {
    match target.quirks.hosting {
        Hosting::Own => body.string("model", target.model),
        Hosting::InvokeModel => body.string("anthropic_version", INVOKE_VERSION),
        Hosting::PublisherModel => body.string("anthropic_version", PUBLISHER_VERSION),
    };
    // An invocation is a stream by its path, and refuses the member.
    if stream && target.quirks.hosting != Hosting::InvokeModel {
        body.boolean("stream", true);
    }
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

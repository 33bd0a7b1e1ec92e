//! Anthropic Messages, as what callers speak (`surface`) and as what upstreams speak.
//!
//! A request has its instructions apart from its turns, turns made of blocks, and rules about their order that other
//! protocols do not have; `request` says how each is kept. An answer is a list of blocks, streamed as named events.
//!
//! Source: <https://platform.claude.com/docs/en/api/messages>.

mod answer;
mod end;
mod error;
mod hosting;
pub(in crate::wire) mod request;
pub(in crate::wire) mod schema;
mod stream;
mod surface;
#[cfg(test)]
mod tests;
mod types;
mod usage;

pub use answer::read_answer;
pub use error::read_error;
pub use request::write_request;
pub use stream::Decoder;
pub use surface::{
    Patcher, Writer, inline_links, links_in, patch_answer, patch_request, read_request, see_answer, write_answer,
    write_failure,
};
pub(in crate::wire) use surface::{put_thinking_right, read_thinking, refused};
pub(in crate::wire) use surface::{read_block, split};

use crate::chat::{Part, Request, Signature, SignatureRole, Source};
use crate::json::Text;
use crate::provider::Hosting;
use crate::wire::Target;

/// How [`Signature::format`] names what this protocol's models signed.
const SIGNED: &str = "anthropic-claude-v1";

/// Links that have to be fetched first, each once: none where the protocol's maker serves the model. Hosts follow none
/// (<https://platform.claude.com/docs/en/build-with-claude/vision>).
#[must_use]
pub fn links_to_inline(request: &Request<'_>, target: &Target<'_>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    if target.quirks.hosting == Hosting::Own {
        return links;
    }
    let mut note = |part: &Part<'_>| {
        if let Part::Image { source: Source::Url(link), .. } | Part::File { source: Source::Url(link), .. } = part {
            let link = link.decode();
            if !links.iter().any(|known| *known == link) {
                links.push(link.into_owned());
            }
        }
    };
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolResult { parts, .. } => parts.iter().for_each(&mut note),
            part => note(part),
        }
    }
    links
}

/// A token that stands beside a block or in its place.
fn signature(data: Text<'_>, role: SignatureRole) -> Signature<'_> {
    Signature { format: Text::from_escaped(SIGNED), data, id: None, role }
}

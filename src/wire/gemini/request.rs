//! Requests.
//!
//! The same prefix of a conversation gives the same bytes, so that implicit prompt caches hit.

mod config;
mod contents;
mod media;
mod native;
mod results;
mod shape;
pub(super) mod thinking;
mod tools;
mod turns;

#[cfg(test)]
mod tests;

pub use media::links_to_inline;

use crate::chat::{Part, Request, Source};
use crate::failure::Failure;
use crate::json::{Object, Text};
use crate::provider::{Hosting, ModelFacts, ReasoningControl};
use crate::wire::{Adjusted, Format, Outgoing, Target, losses};

use native::Native;

/// Writes a request.
///
/// # Errors
/// `BadRequest` or `Unsupported`, naming the caller's field, where the model cannot serve it.
pub fn write_request(request: &Request<'_>, target: &Target<'_>, adjusted: &mut Adjusted) -> Result<Outgoing, Failure> {
    losses::give_up(Format::Gemini, request, adjusted)?;
    let native = Native::of(request, adjusted)?;
    let shape = shape::of(request, target.facts, adjusted)?;
    let tools = tools::gather(request, &shape, target.facts, adjusted)?;

    let mut out = Vec::with_capacity(estimate(request));
    let mut body = Object::open(&mut out);
    contents::write(request, target, shape.instruction(), adjusted, &mut body)?;
    tools.write(request.tool_choice.as_ref(), &shape, &mut body)?;
    let mut generation = Vec::new();
    let mut members = Object::open(&mut generation);
    config::write(request, target, &shape, &native, adjusted, &mut members)?;
    members.close();
    if generation != b"{}" {
        body.key("generationConfig").extend_from_slice(&generation);
    }
    let headers = write_service_tier(request, target.quirks.hosting, adjusted, &mut body)?;
    native.write(false, &mut body);
    body.close();
    let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let path = super::path(target.model, method, target.quirks.hosting);
    Ok(Outgoing { path, headers, body: out })
}

/// Whether the model belongs to the third generation or a later one: thinking is steered by levels, calls have to be
/// signed, and schemas and tools of the provider may stand beside functions. A model that nobody knows yet is taken for
/// one.
pub(super) fn is_level_steered(facts: &ModelFacts) -> bool {
    matches!(facts.reasoning, ReasoningControl::Effort { .. } | ReasoningControl::Unknown)
}

/// The tier under the protocol's own name, or in the header that is Vertex's word for it; the usual one is not worth one.
///
/// Source: <https://ai.google.dev/gemini-api/docs/priority-inference>.
fn write_service_tier(
    request: &Request<'_>,
    hosting: Hosting,
    adjusted: &mut Adjusted,
    body: &mut Object<'_>,
) -> Result<Vec<(&'static str, String)>, Failure> {
    match request.service_tier.as_ref().map(Text::escaped) {
        None | Some("auto" | "default" | "standard") => {}
        Some(tier @ ("flex" | "priority")) if hosting == Hosting::PublisherModel => {
            return Ok(vec![(super::TIER, tier.to_owned())]);
        }
        Some(tier @ ("flex" | "priority")) => {
            body.string("serviceTier", tier);
        }
        Some(_) => losses::lose(Format::Gemini, "service_tier", adjusted)?,
    }
    Ok(Vec::new())
}

/// About how long the body will be, so that its buffer seldom grows.
fn estimate(request: &Request<'_>) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let said: usize = parts
        .map(|part| match part {
            Part::Text { text, .. } => text.escaped().len(),
            part => match media::source(part) {
                Some(Source::Inline { data, .. }) => data.escaped().len(),
                _ => 256,
            },
        })
        .sum();
    said + 64 * request.messages.len() + 512 * request.tools.len() + 512
}

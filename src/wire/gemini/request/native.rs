//! Fields of this very protocol that a caller put beside the others: they go through as they are.

use crate::chat::Request;
use crate::failure::Failure;
use crate::json::{Members, Object, Raw};
use crate::wire::{Adjusted, Format, losses};

/// Names that callers use, the protocol's own name, and whether it stands in `generationConfig`.
const FIELDS: &[(&str, &str, bool)] = &[
    ("safetySettings", "safetySettings", false),
    ("safety_settings", "safetySettings", false),
    ("cachedContent", "cachedContent", false),
    ("cached_content", "cachedContent", false),
    ("labels", "labels", false),
    ("imageConfig", "imageConfig", true),
    ("image_config", "imageConfig", true),
    ("speechConfig", "speechConfig", true),
    ("speech_config", "speechConfig", true),
    ("mediaResolution", "mediaResolution", true),
    ("media_resolution", "mediaResolution", true),
    ("thinkingConfig", "thinkingConfig", true),
    ("thinking_config", "thinkingConfig", true),
];

/// What the caller wrote in this protocol's own words.
#[derive(Debug, Default)]
pub(super) struct Native {
    fields: Vec<(&'static str, bool, Raw<'static>)>,
}

impl Native {
    /// Sorts the fields that the hub does not model: those of the protocol at the top or within the `google` object
    /// that the provider's own OpenAI-compatible endpoint takes. The rest is dropped and listed.
    ///
    /// Source: <https://ai.google.dev/gemini-api/docs/openai#extra-body>.
    ///
    /// # Errors
    /// `Unsupported` where the loss would do harm.
    pub fn of(request: &Request<'_>, adjusted: &mut Adjusted) -> Result<Native, Failure> {
        let mut native = Native::default();
        for (name, value) in request.unknown.iter().filter(|(_, value)| !value.is_null()) {
            let taken = match name.as_ref() {
                "google" => native.take_all(value),
                "extra_body" => member(value, "google").is_some_and(|google| native.take_all(&google)),
                "store" if value.boolean() == Some(false) => true,
                name => native.take(name, value),
            };
            if !taken {
                losses::lose(Format::Gemini, name.clone().into_owned(), adjusted)?;
            }
        }
        Ok(native)
    }

    /// Whether the caller wrote this field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, ..)| *known == name)
    }

    /// Writes the fields of `generationConfig`, or those beside it.
    pub fn write(&self, in_config: bool, object: &mut Object<'_>) {
        for (name, _, value) in self.fields.iter().filter(|(_, inside, _)| *inside == in_config) {
            object.raw(name, value);
        }
    }

    fn take(&mut self, name: &str, value: &Raw<'_>) -> bool {
        let Some((_, field, in_config)) = FIELDS.iter().find(|(known, ..)| *known == name) else { return false };
        if !self.has(field) {
            self.fields.push((field, *in_config, value.clone().into_owned()));
        }
        true
    }

    fn take_all(&mut self, object: &Raw<'_>) -> bool {
        let Ok(members) = object.read_borrowed::<Members<'_>>() else { return false };
        members.0.iter().fold(true, |taken, (name, value)| self.take(name, value) && taken)
    }
}

fn member(object: &Raw<'_>, name: &str) -> Option<Raw<'static>> {
    let members: Members<'_> = object.read_borrowed().ok()?;
    members.0.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

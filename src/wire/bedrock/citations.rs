use std::borrow::Cow;

use super::types::{Citation, Passage};
use crate::chat;
use crate::json::Text;

impl<'a> Citation<'a> {
    /// As the hub has it. A place in a document of the prompt is told by the document's title and the words.
    pub fn into_hub(self) -> chat::Citation<'a> {
        let (url, domain) = self.location.and_then(|location| location.web).map_or((None, None), |w| (w.url, w.domain));
        let quote = joined(self.source_content.unwrap_or_default());
        chat::Citation { url, title: self.title.or(domain), quote, start: None, end: None }
    }
}

/// The text of several passages, one behind the other.
pub(super) fn joined(passages: Vec<Passage<'_>>) -> Option<Text<'_>> {
    let mut texts = passages.into_iter().filter_map(|passage| passage.text);
    let first = texts.next()?;
    let Some(second) = texts.next() else { return Some(first) };
    let mut all = first.escaped().to_owned();
    for text in std::iter::once(second).chain(texts) {
        all.push_str(text.escaped());
    }
    Some(Text::from_escaped(Cow::Owned(all)))
}

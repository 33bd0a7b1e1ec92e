//! Where an answer is from: annotations, and sources beside the choices.

use crate::chat::{Citation, Sink};
use crate::json::{Raw, Text, readable};

use super::blocks::Blocks;
use super::types::{UrlCitation, text};

/// Sources that a vendor lists beside the choices, in every chunk again: `perplexity.web-search-stream.bee0c3f418`.
pub(super) struct Sources<'a> {
    /// Web addresses.
    pub citations: Option<Raw<'a>>,
    /// The same with titles.
    pub results: Option<Raw<'a>>,
}

#[derive(Default)]
struct SearchResult<'a> {
    url: Option<Text<'a>>,
    title: Option<Text<'a>>,
}
readable! { SearchResult<'a> { url: text, title: text } }

impl Sources<'_> {
    /// Gives each source to the text, unless annotations already did. Asked for once, when the choice ends.
    pub(super) fn cite(&self, blocks: &mut Blocks, sink: &mut dyn Sink) {
        if blocks.has_citations() {
            return;
        }
        let results: Option<Vec<SearchResult<'_>>> = self.results.as_ref().and_then(|list| list.read_borrowed().ok());
        if let Some(results) = results.filter(|results| !results.is_empty()) {
            for SearchResult { url, title } in results {
                if url.is_some() {
                    blocks.citation(Citation { url, title, ..Citation::default() }, sink);
                }
            }
            return;
        }
        let citations: Option<Vec<Raw<'_>>> = self.citations.as_ref().and_then(|list| list.read_borrowed().ok());
        for address in citations.iter().flatten() {
            if let Some(url) = address.text() {
                blocks.citation(Citation { url: Some(url), ..Citation::default() }, sink);
            }
        }
    }
}

/// The source that an annotation names.
pub(super) fn of_annotation(source: UrlCitation<'_>) -> Citation<'_> {
    Citation {
        url: source.url,
        title: source.title,
        quote: source.content,
        start: source.start_index,
        end: source.end_index,
    }
}

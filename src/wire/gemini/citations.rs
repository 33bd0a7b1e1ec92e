//! Sources of what was said.
//!
//! Gemini counts bytes of the whole answer, the hub characters of a text block, and the sources come with the last
//! chunks. So the text is kept, still escaped, until the answer ends and sources are known.

use crate::chat::Citation;
use crate::json::Text;

use super::types::{CitationMetadata, Few, GroundingMetadata, GroundingSource};

/// An answer longer than this keeps its sources and loses their places.
const MAX_KEPT_TEXT: usize = 1 << 20;
/// More sources than this are no use to anyone.
const MAX_CITATIONS: usize = 2_000;

/// The sources of one candidate, until its text is complete.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// All text that is no thought, escaped.
    said: String,
    /// Whether `said` holds everything.
    overflown: bool,
    /// Where the text block that is open began in `said`.
    block_start: usize,
    grounding: Vec<Place>,
    recitations: Vec<Place>,
}

/// A source and the bytes of the answer that rest on it.
#[derive(Debug)]
struct Place {
    citation: Citation<'static>,
    bytes: Option<(u64, u64)>,
}

impl Sources {
    /// A text block begins.
    pub fn start_block(&mut self) {
        self.block_start = self.said.len();
    }

    /// More of the answer's text.
    pub fn push(&mut self, text: &Text<'_>) {
        if self.overflown || self.said.len() + text.escaped().len() > MAX_KEPT_TEXT {
            self.overflown = true;
        } else {
            self.said.push_str(text.escaped());
        }
    }

    /// What search found. Comes whole with the last chunk, so a later one replaces it.
    pub fn ground(&mut self, metadata: &GroundingMetadata<'_>) {
        let places = places(metadata);
        if !places.is_empty() {
            self.grounding = places;
        }
    }

    /// What was recited. Each chunk has its own (`vertex.chat-stream.540514bc3a`).
    pub fn recite(&mut self, metadata: &CitationMetadata<'_>) {
        let room = MAX_CITATIONS.saturating_sub(self.recitations.len());
        let named = metadata.citations.iter().filter(|source| source.uri.as_ref().is_some_and(|uri| !uri.is_empty()));
        self.recitations.extend(named.take(room).map(|source| Place {
            citation: Citation { url: owned(&source.uri), title: owned(&source.title), ..Citation::default() },
            bytes: source.end_index.map(|end| (source.start_index.unwrap_or(0), end)),
        }));
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.grounding.is_empty() && self.recitations.is_empty()
    }

    /// Gives every source, placed in the text block that began last.
    pub fn take(&mut self, mut each: impl FnMut(Citation<'static>)) {
        let places = std::mem::take(&mut self.grounding).into_iter().chain(std::mem::take(&mut self.recitations));
        let (before, block) = self.said.split_at_checked(self.block_start).unwrap_or_default();
        let before = Text::from_escaped(before).decode().len();
        let block = Text::from_escaped(block);
        let block = block.decode();
        for Place { mut citation, bytes } in places {
            if let Some((start, end)) = bytes.filter(|_| !self.overflown) {
                citation.start = character(&block, start, before);
                citation.end = character(&block, end, before);
            }
            each(citation);
        }
    }
}

/// The number of the character at `byte` of the answer, `before` bytes of which precede `block`. A byte within a
/// character counts as its start; `None` outside of the block.
fn character(block: &str, byte: u64, before: usize) -> Option<u64> {
    let byte = usize::try_from(byte).ok()?.checked_sub(before).filter(|byte| *byte <= block.len())?;
    u64::try_from(block.char_indices().take_while(|(at, _)| *at < byte).count()).ok()
}

/// One for each support and each chunk that it names; where nothing is supported, one for each chunk.
fn places(metadata: &GroundingMetadata<'_>) -> Vec<Place> {
    let chunks: Vec<&GroundingSource<'_>> = metadata
        .grounding_chunks
        .iter()
        .map(|chunk| chunk.web.as_ref().or(chunk.retrieved_context.as_ref()).or(chunk.maps.as_ref()))
        .map(|source| source.unwrap_or(&GroundingSource { uri: None, title: None }))
        .collect();
    let citation = |source: &GroundingSource<'_>| Citation {
        url: owned(&source.uri),
        title: owned(&source.title),
        ..Citation::default()
    };
    if metadata.grounding_supports.is_empty() {
        let bare = chunks.iter().take(MAX_CITATIONS);
        return bare.map(|source| Place { citation: citation(source), bytes: None }).collect();
    }
    let mut places = Vec::new();
    for support in metadata.grounding_supports.iter() {
        let segment = support.segment.as_ref();
        let bytes = segment.and_then(|segment| Some((segment.start_index.unwrap_or(0), segment.end_index?)));
        for source in named(&support.grounding_chunk_indices, &chunks) {
            if places.len() < MAX_CITATIONS {
                let quote = segment.and_then(|segment| owned(&segment.text));
                places.push(Place { citation: Citation { quote, ..citation(source) }, bytes });
            }
        }
    }
    places
}

fn named<'c, 's>(
    indices: &'c Few<usize>,
    chunks: &'c [&'s GroundingSource<'s>],
) -> impl Iterator<Item = &'s GroundingSource<'s>> + use<'c, 's> {
    indices.iter().filter_map(|index| chunks.get(*index).copied())
}

fn owned(text: &Option<Text<'_>>) -> Option<Text<'static>> {
    text.clone().map(Text::into_owned)
}

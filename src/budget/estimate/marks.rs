//! What stands in a request that bounds or prices it, found by its quoted words: escapes and white space hide nothing.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::json;
use crate::provider::DEAR;

/// What a quoted word at the beginning of a string says of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Tools,
    /// As a `type`: what providers run.
    Typed(&'static str),
    /// The same, as the name of an object.
    Named(&'static str),
    /// As the name of a text: what they keep.
    Kept(&'static str),
    /// What may be a link that the provider follows.
    Medium,
    Caches,
    Sound,
    Image,
    /// An image in the body itself, by the beginning of its text.
    Picture,
    /// The same, as a `type` or as the name of an object or a text.
    Encoded,
    /// A document or film in the body itself.
    Document,
    /// The same, where its bytes are within it.
    Enclosed,
    /// Sound or images may come back.
    Media,
    Tier,
    /// As the name of a text: a service that costs more.
    Served,
}

const SEARCH: &str = "a search by the provider";
const TOOL: &str = "a tool that the provider runs";

/// How deep links and bytes lie within what names them, with some to spare. Deeper is not looked, so that a body of names
/// within names is not gone over once for each.
const DEEPEST: u32 = 8;

/// What a request's words say that bounds or prices it.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) tools: bool,
    pub(super) unbounded: Option<&'static str>,
    pub(super) linked: bool,
    pub(super) caches: bool,
    pub(super) sound: bool,
    pub(super) images: bool,
    /// How many images are in the body itself.
    pub(super) pictures: u64,
    /// There is a document or a film in it.
    pub(super) pages: bool,
    pub(super) media: bool,
    pub(super) tier: bool,
    /// The dear service tier that is asked for by name.
    pub(super) dear: Option<&'static str>,
}

/// A quoted word, and what stands around it.
#[derive(Clone, Copy)]
struct Quoted<'b> {
    /// Up to the quote before it.
    before: &'b [u8],
    /// From its first letter on.
    rest: &'b [u8],
}

impl Marks {
    /// Goes over the quotes of a body once.
    pub(super) fn of(body: &[u8]) -> Marks {
        let mut marks = Marks::default();
        for quote in memchr::memchr_iter(b'"', body) {
            let before = body.get(..quote).unwrap_or_default();
            let rest = body.get(quote + 1..).unwrap_or_default();
            let words = if may_matter(rest) { words(rest.first().copied().unwrap_or_default()) } else { &[] };
            // A quote with a backslash before it stands within a text, and begins nothing.
            if !words.is_empty() && before.last() != Some(&b'\\') {
                let alike = words.iter().filter(|(word, _)| rest.starts_with(word.as_bytes()));
                alike.for_each(|(_, mark)| marks.note(*mark, Quoted { before, rest }));
            }
        }
        marks
    }

    fn note(&mut self, mark: Mark, quoted: Quoted<'_>) {
        match mark {
            Mark::Tools => self.tools = true,
            Mark::Typed(what) if quoted.is_type() => self.unbounded = self.unbounded.or(Some(what)),
            Mark::Named(what) if quoted.names(b'{') => self.unbounded = self.unbounded.or(Some(what)),
            Mark::Kept(what) if quoted.names(b'"') => self.unbounded = self.unbounded.or(Some(what)),
            Mark::Medium => self.linked |= quoted.value().is_some_and(|value| texts(value).any(is_link)),
            Mark::Caches => self.caches = true,
            Mark::Sound => self.sound = true,
            Mark::Image => self.images = true,
            Mark::Picture => self.pictures += 1,
            Mark::Encoded if quoted.is_type() || quoted.encodes() => self.pictures += 1,
            Mark::Document => self.pages = true,
            Mark::Enclosed => {
                let encloses = |value| texts(value).any(|text| text.starts_with(b"bytes\""));
                self.pages |= quoted.value().is_some_and(encloses);
            }
            Mark::Media => self.media = true,
            Mark::Tier | Mark::Served if quoted.names(b'"') => {
                self.tier = true;
                let value = quoted.value().and_then(|value| value.get(1..)).unwrap_or_default();
                let word = value.split(|byte| *byte == b'"').next().unwrap_or_default();
                self.dear = DEAR.into_iter().find(|tier| tier.as_bytes() == word).or(self.dear);
            }
            Mark::Tier => self.tier = true,
            Mark::Typed(_) | Mark::Named(_) | Mark::Kept(_) | Mark::Encoded | Mark::Served => {}
        }
    }
}

/// A bit for each second letter that words of a first letter have: most names in a request differ by then from all that
/// matter.
#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and refuses what leaves an array")]
const SECOND_LETTERS: [u32; 26] = {
    let mut letters = [0; 26];
    let mut first = 0;
    while first < 26 {
        let words = words(b'a' + first as u8);
        let mut at = 0;
        while at < words.len() {
            letters[first] |= 1 << (words[at].0.as_bytes()[1] - b'a');
            at += 1;
        }
        first += 1;
    }
    letters
};

/// Whether a text may begin with one of the words that matter.
fn may_matter(text: &[u8]) -> bool {
    let [first @ b'a'..=b'z', second @ b'a'..=b'z', ..] = text else { return false };
    SECOND_LETTERS.get(usize::from(first - b'a')).is_some_and(|letters| letters >> (second - b'a') & 1 == 1)
}

/// The words that matter, as they stand behind a quote, by their first letter. Those that end in a quote are whole names.
const fn words(letter: u8) -> &'static [(&'static str, Mark)] {
    match letter {
        b'a' => &[("audio_url\"", Mark::Medium), ("application/pdf\"", Mark::Document), ("audio\"", Mark::Media)],
        b'b' => &[("builtin_function\"", Mark::Typed(TOOL)), ("base64\"", Mark::Encoded), ("bytes\"", Mark::Encoded)],
        b'c' => &[
            ("code_interpreter\"", Mark::Typed(TOOL)),
            ("code_execution", Mark::Typed(TOOL)),
            ("codeExecution\"", Mark::Named(TOOL)),
            ("code_execution\"", Mark::Named(TOOL)),
            ("container_auto\"", Mark::Typed(TOOL)),
            ("container_reference\"", Mark::Typed(TOOL)),
            ("compact_", Mark::Typed("a summary by the provider")),
            ("cache_control\"", Mark::Caches),
            ("cachePoint\"", Mark::Caches),
        ],
        b'd' => &[
            ("document_url\"", Mark::Medium),
            ("data:audio", Mark::Sound),
            ("data:image", Mark::Image),
            ("data:image", Mark::Picture),
            ("data:application/", Mark::Document),
            ("data:video", Mark::Document),
            ("document\"", Mark::Enclosed),
        ],
        b'e' => &[
            ("enterpriseWebSearch\"", Mark::Named(SEARCH)),
            ("enterprise_web_search\"", Mark::Named(SEARCH)),
            ("exaAiSearch\"", Mark::Named(SEARCH)),
            ("exa_ai_search\"", Mark::Named(SEARCH)),
        ],
        b'f' => &[
            ("file_id\"", Mark::Kept("a stored file")),
            ("fileUri\"", Mark::Kept("a stored file")),
            ("file_uri\"", Mark::Kept("a stored file")),
            ("file_search\"", Mark::Typed(SEARCH)),
            ("fileSearch\"", Mark::Named(SEARCH)),
            ("file_url\"", Mark::Medium),
        ],
        b'g' => &[
            ("googleSearch", Mark::Named(SEARCH)),
            ("google_search", Mark::Named(SEARCH)),
            ("googleMaps\"", Mark::Named(SEARCH)),
            ("google_maps\"", Mark::Named(SEARCH)),
        ],
        b'i' => &[
            ("item_reference\"", Mark::Typed("a stored answer")),
            ("image_generation\"", Mark::Typed(TOOL)),
            ("image_url\"", Mark::Medium),
            ("input_audio\"", Mark::Sound),
            ("inlineData\"", Mark::Sound),
            ("inline_data\"", Mark::Sound),
            ("image", Mark::Image),
            ("input_image", Mark::Image),
            ("inlineData\"", Mark::Encoded),
            ("inline_data\"", Mark::Encoded),
            ("inference_geo\"", Mark::Served),
        ],
        b'm' => &[("mcp\"", Mark::Typed(TOOL)), ("mcp_toolset\"", Mark::Typed(TOOL)), ("modalities\"", Mark::Media)],
        b'p' => &[
            ("parallelAiSearch\"", Mark::Named(SEARCH)),
            ("parallel_ai_search\"", Mark::Named(SEARCH)),
            ("programmatic_tool_calling\"", Mark::Typed(TOOL)),
        ],
        b'r' => &[("responseModalities\"", Mark::Media)],
        b's' => &[
            ("source\"", Mark::Medium),
            ("service_tier\"", Mark::Tier),
            ("serviceTier\"", Mark::Tier),
            ("speed\"", Mark::Served),
        ],
        b't' => &[("tools\"", Mark::Tools)],
        b'u' => &[("urlContext\"", Mark::Named(SEARCH)), ("url_context\"", Mark::Named(SEARCH))],
        b'v' => &[
            ("vertexAiSearch\"", Mark::Named(SEARCH)),
            ("vertex_ai_search\"", Mark::Named(SEARCH)),
            ("vertexRagStore\"", Mark::Named(SEARCH)),
            ("vertex_rag_store\"", Mark::Named(SEARCH)),
            ("video_url\"", Mark::Medium),
            ("video/", Mark::Document),
            ("video\"", Mark::Enclosed),
        ],
        b'w' => &[("web_search", Mark::Typed(SEARCH)), ("web_fetch", Mark::Typed(SEARCH))],
        _ => &[],
    }
}

impl<'b> Quoted<'b> {
    /// Whether it is what a `type` says.
    fn is_type(self) -> bool {
        let before = self.before.trim_ascii_end().strip_suffix(b":");
        before.is_some_and(|before| before.trim_ascii_end().ends_with(b"\"type\""))
    }

    /// Whether it names a value that begins so.
    fn names(self, first: u8) -> bool {
        self.value().is_some_and(|value| value.first() == Some(&first))
    }

    /// Whether it names what has bytes in it: in a schema it is only spoken of.
    fn encodes(self) -> bool {
        let has_data = |value| texts(value).any(|text| text.starts_with(b"data\""));
        self.names(b'"') || (self.names(b'{') && self.value().is_some_and(has_data))
    }

    /// From the value of the member on that it names; `None` where it names none.
    fn value(self) -> Option<&'b [u8]> {
        let end = memchr(b'"', self.rest)?;
        let value = self.rest.get(end + 1..)?.trim_ascii_start().strip_prefix(b":")?;
        Some(value.trim_ascii_start())
    }
}

/// The texts of the value that `json` begins with, each from behind its quote on: that of a string, or all within an
/// object or a list.
fn texts(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut left, mut depth) = (json, 0u32);
    std::iter::from_fn(move || {
        loop {
            let (byte, rest) = left.split_first()?;
            left = rest;
            match byte {
                b'{' | b'[' if depth == DEEPEST => return None,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1).filter(|depth| *depth > 0)?,
                b'"' => {
                    let text = left;
                    left = behind(text);
                    if depth == 0 {
                        left = &[];
                    }
                    return Some(text);
                }
                _ if depth == 0 => return None,
                _ => {}
            }
        }
    })
}

/// What follows the end of a text.
fn behind(text: &[u8]) -> &[u8] {
    let mut left = text;
    while let Some(at) = memchr2(b'"', b'\\', left) {
        let is_end = left.get(at) == Some(&b'"');
        left = left.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return left;
        }
    }
    &[]
}

/// Whether a text leads elsewhere: `https://…`, `s3://…`, in any case; not `data:…`.
fn is_link(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let scheme = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let rest = text.get(scheme..).unwrap_or_default();
    scheme > 0 && (rest.starts_with(b":/") || rest.starts_with(b":\\/"))
}

/// The body with letters that are written as `\u0065` written out: as names, both are the same.
pub(super) fn plain(body: &[u8]) -> Cow<'_, [u8]> {
    // An escaped backslash before it takes part in no other escape: from the text's own first backslash on.
    let has_letter = |start: &usize| body.get(*start..).is_some_and(|rest| json::mentions(rest, b"\\u00"));
    let Some(start) = memchr(b'\\', body).filter(has_letter) else { return Cow::Borrowed(body) };
    let mut written = Vec::with_capacity(body.len());
    let (head, mut left) = body.split_at_checked(start).unwrap_or((body, &[]));
    written.extend_from_slice(head);
    while let Some(at) = memchr(b'\\', left) {
        let (text, escape) = left.split_at_checked(at).unwrap_or((left, &[]));
        written.extend_from_slice(text);
        let letter = escape.strip_prefix(b"\\u00").and_then(|hex| hex.get(..2)).and_then(|hex| {
            let letter = u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
            (matches!(letter, b' '..=b'~') && letter != b'"' && letter != b'\\').then_some(letter)
        });
        let length = if letter.is_some() { 6 } else { 2.min(escape.len()) };
        match letter {
            Some(letter) => written.push(letter),
            None => written.extend_from_slice(escape.get(..length).unwrap_or_default()),
        }
        left = escape.get(length..).unwrap_or_default();
    }
    written.extend_from_slice(left);
    Cow::Owned(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_looked_for_by_its_own_first_letter() {
        let all = |letter: u8| words(letter).iter().map(move |(word, _)| (letter, word));
        let found: Vec<_> = (0..=u8::MAX).flat_map(all).collect();
        assert_eq!(found.len(), 70);
        assert!(found.iter().all(|(letter, word)| word.as_bytes()[0] == *letter), "{found:?}");
        assert!(found.iter().all(|(_, word)| may_matter(word.as_bytes())), "{found:?}");
        assert!(
            ["role\"", "user\"", "messages\"", "t", "", "Tools\"", "\u{e9}"]
                .iter()
                .all(|text| !may_matter(text.as_bytes()))
        );
    }
}

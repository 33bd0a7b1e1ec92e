//! What is said: text within its limits, and what it counts as.

use crate::json::{Object, Raw};

use super::Fault;

/// The longest text that is said, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// The most pieces of one stream; longer texts come in larger pieces.
const MOST_PIECES: usize = 1000;
/// The most answers to one request.
const MOST_CHOICES: u64 = 8;

/// One choice of an answer.
pub(super) struct Reply {
    pub(super) reasoning: String,
    pub(super) said: Said,
    pub(super) finish: &'static str,
}

/// What a choice consists of.
pub(super) enum Said {
    Text(String),
    Call {
        name: String,
        /// JSON.
        arguments: String,
    },
}

/// Where a text has to end.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) max_tokens: Option<u64>,
    pub(super) stop: Vec<String>,
}

impl Limits {
    /// `stop` is a string or a list of them.
    pub(super) fn new(max_tokens: Option<u64>, stop: Option<&Raw<'_>>) -> Result<Limits, Fault> {
        let stop = match stop {
            None => Vec::new(),
            Some(one) if !one.is_array() => vec![one.read()?],
            Some(list) => list.read()?,
        };
        Ok(Limits { max_tokens, stop })
    }

    /// Cuts `text` where it must end, and says why it ended.
    pub(super) fn apply(&self, mut text: String, spent: u64) -> (String, &'static str) {
        let stops = self.stop.iter().filter(|stop| !stop.is_empty());
        if let Some(at) = stops.filter_map(|stop| text.find(stop.as_str())).min() {
            text.truncate(at);
        }
        let tokens = self.max_tokens.map_or(u64::MAX, |max| max.saturating_sub(spent));
        let bytes = usize::try_from(tokens.saturating_mul(4)).unwrap_or(usize::MAX).min(LONGEST_TEXT);
        if text.len() <= bytes {
            return (text, "stop");
        }
        text.truncate(text.floor_char_boundary(bytes));
        (text, "length")
    }
}

impl Reply {
    /// Tokens of everything in it.
    pub(super) fn tokens(&self) -> u64 {
        let said = match &self.said {
            Said::Text(text) => tokens(text.len()),
            Said::Call { name, arguments } => tokens(name.len() + arguments.len()),
        };
        said + tokens(self.reasoning.len())
    }
}

/// An estimate from bytes; nothing is zero tokens.
pub(super) fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// How many answers a request asks for.
pub(super) fn choices(n: Option<u64>) -> Result<u64, Fault> {
    match n.unwrap_or(1) {
        n @ 1..=MOST_CHOICES => Ok(n),
        n => Err(Fault::new(format!("n is {n}; the sandbox gives 1 to {MOST_CHOICES} answers."))),
    }
}

/// The text in words, each with the space after it. Together they are the text.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let together = words.len().div_ceil(MOST_PIECES).max(1);
    let mut pieces = Vec::with_capacity(words.len().div_ceil(together));
    let mut rest = text;
    for group in words.chunks(together) {
        let length = group.iter().map(|word| word.len()).sum();
        // Always at a word's end, so the split exists.
        if let Some((piece, after)) = rest.split_at_checked(length) {
            pieces.push(piece);
            rest = after;
        }
    }
    pieces
}

/// Writes OpenAI's `usage` for all choices of one answer.
pub(super) fn write_usage(object: &mut Object<'_>, prompt: u64, replies: &[Reply]) {
    let completion: u64 = replies.iter().map(Reply::tokens).sum();
    let reasoning: u64 = replies.iter().map(|reply| tokens(reply.reasoning.len())).sum();
    object.object("usage", |usage| {
        usage.number("prompt_tokens", prompt).number("completion_tokens", completion);
        usage.number("total_tokens", prompt + completion);
        usage.object("prompt_tokens_details", |details| {
            details.number("cached_tokens", 0);
        });
        usage.object("completion_tokens_details", |details| {
            details.number("reasoning_tokens", reasoning);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_make_up_the_text(text in any::<String>()) {
            prop_assert_eq!(pieces(&text).concat(), text);
        }

        #[test]
        fn a_limit_holds_and_cuts_between_characters(text in any::<String>(), max_tokens in 0u64..20) {
            let limits = Limits { max_tokens: Some(max_tokens), stop: Vec::new() };
            let (said, finish) = limits.apply(text.clone(), 0);
            prop_assert!(tokens(said.len()) <= max_tokens && text.starts_with(&said));
            prop_assert_eq!(finish == "length", said != text);
        }
    }

    #[test]
    fn a_long_text_comes_in_a_bounded_number_of_pieces() {
        let text = "a ".repeat(30_000);
        let pieces = pieces(&text);
        assert!(pieces.len() <= MOST_PIECES && pieces.concat() == text);
    }

    #[test]
    fn the_first_stop_sequence_ends_the_text() {
        let limits = Limits { max_tokens: None, stop: vec!["three".into(), "two".into(), String::new()] };
        assert_eq!(limits.apply("one two three".into(), 0), ("one ".into(), "stop"));
    }
}

//! Joins a stream that broke off with another that goes on from there.
//!
//! The caller's writer stays the same; what the second stream says is put behind what was said before. A model asked to
//! continue often repeats the last words, or begins anew: as far as that can be seen, it is left out.

use crate::chat::{BlockKind, Event, Sink};
use crate::failure::Failure;
use crate::json::Text;

use super::{Closing, StreamWriter};

/// What a stream has said, kept while it may have to be continued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The text of the first choice.
    pub text: String,
    /// It thought, at least.
    thought: bool,
    /// Its last block, and what that holds; `None` once it is ended.
    block: Option<(u32, BlockKind)>,
    /// The number of the next block.
    next: u32,
    /// Something came that cannot be continued: a tool call, media, a second choice, too much text.
    spoiled: bool,
}

/// More text is not kept: it would have to be sent again.
const MOST_TEXT: usize = 256 << 10;
/// A repetition is looked for in so much of the end of what was said, in bytes.
const LOOKED_BACK: usize = 4 << 10;
/// A shorter repetition may be chance, unless it is only space.
const SHORTEST_REPEAT: usize = 8;

impl Said {
    /// Takes in one event of the stream.
    pub fn note(&mut self, event: &Event<'_>) {
        match event {
            _ if self.spoiled => self.text = String::new(),
            Event::TextDelta { choice: 0, text, .. } => {
                self.text.push_str(&text.decode());
                self.spoiled |= self.text.len() > MOST_TEXT;
            }
            Event::BlockStart { choice: 0, block, kind } => {
                self.block = Some((*block, *kind));
                self.next = block.saturating_add(1);
                self.spoiled |= *kind == BlockKind::Refusal;
            }
            Event::BlockEnd { choice: 0, block } => self.block = self.block.filter(|(open, _)| open != block),
            Event::ReasoningDelta { choice: 0, .. } => self.thought = true,
            Event::Start { .. } | Event::Usage(_) | Event::Failed(_) | Event::BlockSignature { choice: 0, .. } => {}
            _ => self.spoiled = true,
        }
    }

    /// Whether another stream could go on from here.
    #[must_use]
    pub fn can_continue(&self) -> bool {
        !self.spoiled && (self.thought || !self.text.is_empty())
    }
}

/// What to do with the beginning of a continuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// More of it is needed to tell.
    Wait,
    /// So many of its first bytes repeat what was said.
    Skip(usize),
}

/// Finds what the beginning of a continuation repeats of what was said before: its last words, or all of it, perhaps
/// behind space or an ellipsis. As long as all of the beginning was said before, it is waited for more.
///
/// `whole` says that nothing more of the continuation comes.
///
/// ```
/// use latchkey::wire::seam::{Joint, join};
/// assert_eq!(join("The quick brown fox", "brown fox jumps over it", false), Joint::Skip(9));
/// assert_eq!(join("The quick brown fox", "... brown fox jumps", false), Joint::Skip(13));
/// assert_eq!(join("The quick brown fox", " jumps", false), Joint::Skip(0));
/// assert_eq!(join("The quick brown fox", "The quick brown fox jumps", false), Joint::Skip(19));
/// assert_eq!(join("The quick brown fox", "The qu", false), Joint::Wait);
/// ```
#[must_use]
pub fn join(said: &str, begun: &str, whole: bool) -> Joint {
    let words = words(begun);
    let may_repeat_on = [begun, words].iter().any(|start| said.starts_with(start) || end_of(said).contains(start));
    if may_repeat_on && !whole {
        return Joint::Wait;
    }
    let led_by = begun.len() - words.len();
    if said.len() >= SHORTEST_REPEAT && words.starts_with(said) {
        return Joint::Skip(led_by + said.len());
    }
    match overlap(said, begun) {
        0 => match overlap(said, words) {
            repeated if repeated >= SHORTEST_REPEAT => Joint::Skip(led_by + repeated),
            _ => Joint::Skip(0),
        },
        repeated => Joint::Skip(repeated),
    }
}

/// A beginning without the space or ellipsis that leads it.
fn words(begun: &str) -> &str {
    begun.trim_start_matches(|character: char| character.is_whitespace() || matches!(character, '.' | '…'))
}

/// How many bytes at the beginning of `begun` are the end of `said`, where that is no chance.
fn overlap(said: &str, begun: &str) -> usize {
    let said = end_of(said);
    let ends =
        begun.char_indices().map(|(at, character)| at + character.len_utf8()).take_while(|end| *end <= said.len());
    let repeats = |end: &usize| {
        let start = begun.get(..*end).unwrap_or_default();
        said.ends_with(start) && (*end >= SHORTEST_REPEAT || start.trim().is_empty())
    };
    ends.filter(repeats).last().unwrap_or(0)
}

/// The end of a text, where repetitions are looked for.
fn end_of(said: &str) -> &str {
    let from = said.len().saturating_sub(LOOKED_BACK);
    (from..said.len()).find_map(|at| said.get(at..)).unwrap_or_default()
}

/// Writes a continuation behind what the writer has written.
pub struct Seam {
    writer: Box<dyn StreamWriter>,
    said: Said,
    /// The beginning of the continuation, until the joint is found.
    begun: Option<String>,
    /// The blocks of the continuation by its own numbers; `None` for those that are left out.
    blocks: Vec<Option<u32>>,
}

impl Seam {
    /// Goes on with `writer`, which has written `said`.
    #[must_use]
    pub fn new(mut writer: Box<dyn StreamWriter>, mut said: Said) -> Seam {
        if let Some((block, _)) = said.block.filter(|(_, kind)| *kind != BlockKind::Text) {
            // What was being thought is not thought to its end.
            writer.event(Event::BlockEnd { choice: 0, block });
            said.block = None;
        }
        let begun = (!said.text.is_empty()).then(String::new);
        Seam { writer, said, begun, blocks: Vec::new() }
    }

    /// What was said before.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said.text
    }

    /// Takes in a piece of the beginning.
    fn begin(&mut self, piece: &str) {
        let Some(begun) = &mut self.begun else { return };
        let repeated = words(begun).len();
        begun.push_str(piece);
        // What repeats so much does so from the answer's first word; then only what is new is compared.
        let rest = self.said.text.get(repeated..).filter(|_| repeated > LOOKED_BACK);
        if !rest.is_some_and(|rest| rest.starts_with(piece)) {
            self.settle(false);
        }
    }

    /// Gives the writer what of the beginning is new.
    fn settle(&mut self, whole: bool) {
        let Some(begun) = &self.begun else { return };
        let Joint::Skip(repeated) = join(&self.said.text, begun, whole) else { return };
        let fresh = begun.get(repeated..).unwrap_or_default().to_owned();
        self.begun = None;
        self.text(&Text::escape_owned(fresh));
    }

    fn text(&mut self, text: &Text<'_>) {
        if text.is_empty() {
            return;
        }
        let block = match self.said.block {
            Some((block, _)) => block,
            None => {
                let block = self.said.next;
                self.said.block = Some((block, BlockKind::Text));
                self.said.next = block.saturating_add(1);
                self.writer.event(Event::BlockStart { choice: 0, block, kind: BlockKind::Text });
                block
            }
        };
        self.writer.event(Event::TextDelta { choice: 0, block, text: text.borrowed() });
    }

    /// The text is complete: what follows is a call or the end.
    fn end_text(&mut self) {
        self.settle(true);
        if let Some((block, _)) = self.said.block.take() {
            self.writer.event(Event::BlockEnd { choice: 0, block });
        }
    }

    /// The caller's number of a block of the continuation.
    fn mapped(&self, block: u32) -> Option<u32> {
        usize::try_from(block).ok().and_then(|at| self.blocks.get(at)).copied().flatten()
    }

    fn map(&mut self, block: u32, to: Option<u32>) {
        let Some(at) = usize::try_from(block).ok().filter(|at| *at < 4096) else { return };
        if self.blocks.len() <= at {
            self.blocks.resize(at + 1, None);
        }
        if let Some(place) = self.blocks.get_mut(at) {
            *place = to;
        }
    }
}

impl Sink for Seam {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::TextDelta { choice: 0, text, .. } if self.begun.is_some() => self.begin(&text.decode()),
            Event::TextDelta { choice: 0, text, .. } => self.text(&text),
            Event::ToolCallStart { choice: 0, block, id, name } => {
                self.end_text();
                let to = self.said.next;
                self.said.next = to.saturating_add(1);
                self.map(block, Some(to));
                self.writer.event(Event::ToolCallStart { choice: 0, block: to, id, name });
            }
            Event::ToolCallDelta { choice: 0, block, arguments } => {
                if let Some(block) = self.mapped(block) {
                    self.writer.event(Event::ToolCallDelta { choice: 0, block, arguments });
                }
            }
            Event::BlockEnd { choice: 0, block } => {
                if let Some(block) = self.mapped(block) {
                    self.writer.event(Event::BlockEnd { choice: 0, block });
                }
            }
            Event::End { choice: 0, reason } => {
                self.end_text();
                self.writer.event(Event::End { choice: 0, reason });
            }
            event @ (Event::Usage(_) | Event::Failed(_)) => self.writer.event(event),
            // The answer has begun already, under the first stream's name; what the second thinks is not part of it.
            _ => {}
        }
    }
}

impl StreamWriter for Seam {
    fn take(&mut self, out: &mut Vec<u8>) {
        self.writer.take(out);
    }

    fn close(&mut self, closing: &Closing) {
        self.end_text();
        self.writer.close(closing);
    }

    fn fail(&mut self, failure: &Failure, closing: &Closing) {
        self.settle(true);
        self.writer.fail(failure, closing);
    }

    fn failure(&self) -> Option<Failure> {
        self.writer.failure()
    }

    fn keep_alive(&mut self) {
        self.writer.keep_alive();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repeated_words_are_left_out_and_chance_is_not() {
        let said = "Mercury, Venus, Earth, Mars";
        for (begun, fresh) in [
            (", Jupiter, Saturn", ", Jupiter, Saturn"),
            ("Earth, Mars, Jupiter", ", Jupiter"),
            ("\n\nEarth, Mars, Jupiter", ", Jupiter"),
            ("…Earth, Mars, Jupiter", ", Jupiter"),
            ("Mercury, Venus, Earth, Mars, Jupiter", ", Jupiter"),
            ("Mercury and Venus again", "Mercury and Venus again"),
            ("s are next", "s are next"),
            ("", ""),
        ] {
            let Joint::Skip(skipped) = join(said, begun, true) else { panic!("whole, and still waiting") };
            assert_eq!(&begun[skipped..], fresh);
        }
        assert_eq!(join("日本語のテキスト", "のテキストです", true), Joint::Skip("のテキスト".len()));
        assert_eq!(join("Mars, ", " Jupiter", false), Joint::Skip(1), "space is not doubled");
    }

    #[test]
    fn what_repeats_nothing_is_not_held_back() {
        let said = "Mercury, Venus, Earth, Mars";
        assert_eq!(join(said, ", V", false), Joint::Wait);
        assert_eq!(join(said, ", J", false), Joint::Skip(0));
    }

    #[test]
    fn a_long_repetition_is_found_however_it_comes() {
        let said: String = (0..200).map(|number| format!("sentence number {number}. ")).collect();
        let again = &said[said.len() - 1_500..];
        let continuation = format!("{again}And the rest.");
        for end in 1..=again.len() {
            assert_eq!(join(&said, &continuation[..end], false), Joint::Wait);
        }
        assert_eq!(join(&said, &continuation, false), Joint::Skip(again.len()));
    }

    /// The whole of what a caller reads, by the hub's own fold.
    #[derive(Default)]
    struct Folded(std::rc::Rc<std::cell::RefCell<crate::chat::Fold>>);

    impl Sink for Folded {
        fn event(&mut self, event: Event<'_>) {
            self.0.borrow_mut().event(event);
        }
    }

    impl StreamWriter for Folded {
        fn take(&mut self, _: &mut Vec<u8>) {}
        fn close(&mut self, _: &Closing) {}
        fn fail(&mut self, _: &Failure, _: &Closing) {}
        fn keep_alive(&mut self) {}
    }

    #[test]
    fn calls_of_a_continuation_stand_behind_what_was_said() {
        use crate::chat::{EndKind, EndReason, Fold, Part, Usage};
        let text = Text::from_escaped;
        let folded = std::rc::Rc::new(std::cell::RefCell::new(Fold::new()));
        let mut said = Said::default();
        let mut writer: Box<dyn StreamWriter> = Box::new(Folded(folded.clone()));
        for event in [
            Event::Start { id: text("1"), model: text("m"), created: None },
            Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Reasoning },
            Event::ReasoningDelta { choice: 0, block: 0, text: text("Hm.") },
            Event::BlockEnd { choice: 0, block: 0 },
            Event::BlockStart { choice: 0, block: 1, kind: BlockKind::Text },
            Event::TextDelta { choice: 0, block: 1, text: text("I will look at ") },
        ] {
            said.note(&event);
            writer.event(event);
        }
        assert!(said.can_continue());
        let mut seam = Seam::new(writer, said);
        let call = |block, id| Event::ToolCallStart { choice: 0, block, id: text(id), name: text("look") };
        let arguments = |block, json| Event::ToolCallDelta { choice: 0, block, arguments: text(json) };
        for event in [
            Event::Start { id: text("2"), model: text("n"), created: None },
            Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text },
            Event::TextDelta { choice: 0, block: 0, text: text("look at both.") },
            Event::BlockEnd { choice: 0, block: 0 },
            call(1, "a"),
            call(2, "b"),
            arguments(2, "{\\\"b\\\":2}"),
            arguments(1, "{\\\"a\\\":1}"),
            Event::BlockEnd { choice: 0, block: 2 },
            Event::BlockEnd { choice: 0, block: 1 },
            Event::Usage(Usage { input_fresh: 5, ..Usage::default() }),
            Event::End { choice: 0, reason: EndReason::plain(EndKind::ToolCalls) },
        ] {
            seam.event(event);
        }
        drop(seam);
        let answer = folded.take().finish().expect("an answer");
        let told: Vec<String> = answer.choices[0]
            .parts
            .iter()
            .map(|part| match part {
                Part::Reasoning { text, .. } | Part::Text { text, .. } => text.decode().into_owned(),
                Part::ToolCall { id, arguments, .. } => format!("{} {}", id.decode(), arguments.quoted().decode()),
                part => format!("{part:?}"),
            })
            .collect();
        assert_eq!(told, ["Hm.", "I will look at both.", "a {\"a\":1}", "b {\"b\":2}"]);
        assert_eq!((answer.id.escaped(), answer.choices[0].end.kind), ("1", EndKind::ToolCalls));
        assert_eq!(answer.usage.map(|usage| usage.input_fresh), Some(5));
    }

    proptest! {
        #[test]
        fn an_overlap_of_any_length_joins_to_the_whole(text in "[a-z]{40,120}", cut in 20usize..40, back in 8usize..20) {
            let (said, begun) = (&text[..cut], &text[cut - back..]);
            let Joint::Skip(skipped) = join(said, begun, true) else { panic!("whole, and still waiting") };
            // Random letters repeat themselves now and then; what is skipped is always a repetition.
            prop_assert!(skipped >= back && said.ends_with(&begun[..skipped.min(begun.len())]));
        }

        #[test]
        fn no_input_panics(said in ".{0,80}", begun in ".{0,80}", whole: bool) {
            if let Joint::Skip(skipped) = join(&said, &begun, whole) {
                prop_assert!(begun.is_char_boundary(skipped));
            }
        }
    }
}

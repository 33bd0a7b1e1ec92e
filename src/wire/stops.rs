//! Sequences that end an answer, for models that take none: the answer is cut here, and what the model goes on to say is
//! read and billed, but not told.
//!
//! Claude Code lets a model judge each command in its auto mode, whose answer it ends at `</block>`, and runs none where
//! that is refused: <https://github.com/BerriAI/litellm/issues/33075>, <https://github.com/CherryHQ/cherry-studio/pull/17680>.

use crate::chat::{Answer, BlockKind, EndKind, EndReason, Event, Part, Request, Sink};
use crate::failure::Failure;
use crate::json::{Object, Raw, Text};

use super::sse::Frame;
use super::{Adjusted, Change, Decoded, Format, StreamDecoder, Target};

/// How many are looked for, and how long each may be; more are refused as before. Each piece of an answer is gone through
/// for every one.
const MOST: usize = 16;
const LONGEST: usize = 256;

/// What ends an answer before its model does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops(Vec<String>);

impl Stops {
    /// Takes from `request` what its target would refuse.
    pub fn take(request: &mut Request<'_>, format: Format, target: &Target<'_>, adjusted: &mut Adjusted) -> Stops {
        let refused = match format {
            Format::OpenAiResponses => true,
            Format::OpenAiChat => target.quirks.refuses("stop", target.facts),
            _ => false,
        };
        let is_short = |stop: &Text<'_>| stop.escaped().len() <= LONGEST;
        if !refused || request.sampling.stop.len() > MOST || !request.sampling.stop.iter().all(is_short) {
            return Stops::default();
        }
        let stops = std::mem::take(&mut request.sampling.stop);
        let stops: Vec<String> = stops.iter().map(|stop| stop.decode().into_owned()).collect();
        let stops = Stops(stops.into_iter().filter(|stop| !stop.is_empty()).collect());
        if !stops.is_empty() {
            adjusted.note("stop", Change::Changed);
        }
        stops
    }

    /// Whether nothing does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the first of them begins in `text`, and which it is.
    fn find(&self, text: &str) -> Option<(usize, &str)> {
        let found = self.0.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str())));
        found.min_by_key(|(start, stop)| (*start, stop.len()))
    }

    /// From where on `text` may be the beginning of one.
    fn may_begin(&self, text: &str) -> usize {
        let begins = |at: &usize| text.get(*at..).is_some_and(|rest| self.0.iter().any(|stop| stop.starts_with(rest)));
        let longest = self.0.iter().map(String::len).max().unwrap_or(0);
        (text.len().saturating_sub(longest)..text.len()).find(begins).unwrap_or(text.len())
    }

    /// Ends a whole answer at the first of them.
    pub fn cut(&self, answer: &mut Answer<'_>) {
        for choice in answer.choices.iter_mut().filter(|_| !self.is_empty()) {
            let mut before = 0;
            let found = choice.parts.iter().enumerate().find_map(|(at, part)| match part {
                Part::Text { text, .. } => {
                    let text = text.decode();
                    let found = self.find(&text);
                    before += found.map_or(text.len(), |(start, stop)| start + stop.len());
                    found.and_then(|(start, stop)| Some((at, Text::escape(text.get(..start)?).into_owned(), stop)))
                }
                _ => None,
            });
            if let Some((at, said, stop)) = found {
                choice.logprobs = choice.logprobs.as_ref().and_then(|logprobs| until(logprobs, before));
                choice.parts.truncate(at + 1);
                if let Some(Part::Text { text, .. }) = choice.parts.last_mut() {
                    *text = said;
                }
                choice.end = stopped(stop);
            }
        }
    }
}

/// What `logprobs` say of the tokens before the one that ends at `end` of the text: a stream has told no more by then.
fn until(logprobs: &Raw<'_>, end: usize) -> Option<Raw<'static>> {
    let logprobs = logprobs.borrowed();
    let tokens = logprobs.member("content")?;
    let tokens: Vec<Raw<'_>> = tokens.read_borrowed().ok()?;
    let mut said = 0;
    let is_before = |token: &&Raw<'_>| {
        said += token.borrowed().member("token").and_then(Raw::into_text).map_or(0, |word| word.decode().len());
        said < end
    };
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    object.array("content", |array| {
        for token in tokens.iter().take_while(is_before) {
            array.raw(token);
        }
    });
    object.null("refusal");
    object.close();
    Some(Raw::written(out))
}

/// As Messages calls it, which alone tells it apart.
fn stopped(stop: &str) -> EndReason<'static> {
    let raw = Some(Text::from_escaped("stop_sequence"));
    EndReason { kind: EndKind::Stop, raw, stop: Some(Text::escape_owned(stop.to_owned())) }
}

/// Ends a stream at the first of them.
pub struct Cut {
    decoder: Box<dyn StreamDecoder>,
    state: State,
}

#[derive(Default)]
struct State {
    stops: Stops,
    /// Choices that have ended here, and what ended them.
    over: Vec<(u32, String)>,
    /// By choice and block, the end of a text that may be the beginning of a stop.
    held: Vec<((u32, u32), String)>,
    /// By choice and block, what was begun before any stop and has not ended.
    open: Vec<(u32, u32)>,
}

impl Cut {
    /// Reads what `decoder` does, up to the first of `stops`.
    #[must_use]
    pub fn new(decoder: Box<dyn StreamDecoder>, stops: Stops) -> Cut {
        Cut { decoder, state: State { stops, ..State::default() } }
    }
}

impl StreamDecoder for Cut {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        let state = &mut self.state;
        self.decoder.push(frame, &mut |event: Event<'_>| state.take(event, sink))
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let state = &mut self.state;
        self.decoder.finish(&mut |event: Event<'_>| state.take(event, sink))
    }

    fn ended(&self) -> bool {
        self.decoder.ended()
    }

    fn holds_back(&self) -> bool {
        self.decoder.holds_back()
    }
}

impl State {
    fn take(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        let over = choice_of(&event).and_then(|choice| self.over.iter().find(|(known, _)| *known == choice));
        let is_over = over.is_some();
        match event {
            Event::End { choice, reason } => {
                let reason = over.map_or(reason, |(_, stop)| stopped(stop));
                sink.event(Event::End { choice, reason });
            }
            // A call made before the stop is told whole: half of it is of no use.
            Event::ToolCallDelta { choice, block, .. } | Event::BlockSignature { choice, block, .. }
                if is_over && self.open.contains(&(choice, block)) =>
            {
                sink.event(event);
            }
            // Writers keep what was said behind an open block until that ends.
            Event::BlockEnd { choice, block } if self.open.contains(&(choice, block)) => {
                self.open.retain(|of| *of != (choice, block));
                if let Some(at) = self.held.iter().position(|(of, _)| *of == (choice, block)) {
                    say(choice, block, self.held.swap_remove(at).1, sink);
                }
                sink.event(event);
            }
            _ if is_over => {}
            Event::BlockStart { choice, block, kind } => {
                self.open.push((choice, block));
                if kind == BlockKind::Text {
                    self.held.push(((choice, block), String::new()));
                }
                sink.event(event);
            }
            Event::ToolCallStart { choice, block, .. } => {
                self.open.push((choice, block));
                sink.event(event);
            }
            Event::TextDelta { choice, block, text } => self.text(choice, block, &text, sink),
            event => sink.event(event),
        }
    }

    fn text(&mut self, choice: u32, block: u32, piece: &Text<'_>, sink: &mut dyn Sink) {
        let Some((_, held)) = self.held.iter_mut().find(|(of, _)| *of == (choice, block)) else { return };
        held.push_str(&piece.decode());
        let found = self.stops.find(held);
        let end = found.map_or_else(|| self.stops.may_begin(held), |(start, _)| start);
        let rest = held.split_off(end);
        say(choice, block, std::mem::replace(held, rest), sink);
        if let Some((_, stop)) = found {
            sink.event(Event::BlockEnd { choice, block });
            self.over.push((choice, stop.to_owned()));
            self.open.retain(|of| *of != (choice, block));
        }
    }
}

fn choice_of(event: &Event<'_>) -> Option<u32> {
    match event {
        Event::Start { .. } | Event::Usage(_) | Event::Failed(_) => None,
        Event::BlockStart { choice, .. }
        | Event::ToolCallStart { choice, .. }
        | Event::TextDelta { choice, .. }
        | Event::ReasoningDelta { choice, .. }
        | Event::RefusalDelta { choice, .. }
        | Event::ToolCallDelta { choice, .. }
        | Event::BlockSignature { choice, .. }
        | Event::BlockCitation { choice, .. }
        | Event::MediaDelta { choice, .. }
        | Event::BlockEnd { choice, .. }
        | Event::LogprobsDelta { choice, .. }
        | Event::End { choice, .. } => Some(*choice),
    }
}

fn say(choice: u32, block: u32, text: String, sink: &mut dyn Sink) {
    if !text.is_empty() {
        sink.event(Event::TextDelta { choice, block, text: Text::escape_owned(text) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Choice, Fold};

    #[test]
    fn whole_and_streamed_answers_tell_of_the_same_tokens() {
        let tokens = ["no", " ü", "</", "b", ">x", "y"];
        let logprobs = |tokens: &[&str]| {
            let list: Vec<_> =
                tokens.iter().map(|token| serde_json::json!({"token": token, "logprob": -0.5})).collect();
            Raw::of(&serde_json::json!({"content": list, "refusal": null}))
        };
        let stops = Stops(vec!["</b>".to_owned()]);

        let mut state = State { stops: stops.clone(), ..State::default() };
        let mut fold = Fold::new();
        state.take(Event::BlockStart { choice: 0, block: 0, kind: BlockKind::Text }, &mut fold);
        for token in tokens {
            state.take(Event::TextDelta { choice: 0, block: 0, text: Text::escape(token) }, &mut fold);
            state.take(Event::LogprobsDelta { choice: 0, logprobs: logprobs(&[token]) }, &mut fold);
        }
        state.take(Event::End { choice: 0, reason: EndReason::plain(EndKind::Stop) }, &mut fold);
        let streamed = fold.finish().expect("an answer");

        let text = Text::escape_owned(tokens.concat());
        let part = Part::Text { text, citations: Vec::new(), signature: None, cache: None };
        let end = EndReason::plain(EndKind::Stop);
        let choice = Choice { index: 0, parts: vec![part], media: Vec::new(), logprobs: Some(logprobs(&tokens)), end };
        let mut whole = Answer { choices: vec![choice], ..streamed.clone() };
        stops.cut(&mut whole);
        let told = whole.choices[0].logprobs.as_ref().map(|told| told.compact().into_owned());
        assert_eq!(told.as_deref(), Some(logprobs(&tokens[..4]).get()));
        assert_eq!(whole, streamed);
    }
}

//! Reads a stream: chunks in, events out.

use crate::chat::{BlockKind, EndReason, Event, Sink, Usage};
use crate::failure::Failure;
use crate::json::{Raw, Text, readable};
use crate::provider::Quirks;
use crate::sorted;
use crate::wire::{Decoded, StreamDecoder, sse::Frame};

use super::blocks::Blocks;
use super::finish;
use super::read::TEXT_SIGNATURE_ID;
use super::types::{Choice, Completion, Message, ReasoningDetail};
use super::{error, sources, usage};

/// More alternatives than anyone asks for; what passes it is no answer.
const MOST_CHOICES: usize = 256;

/// Decodes a stream of `chat.completion.chunk`.
///
/// A choice's end is held back until the stream's: some send it twice, with more in between
/// (`openrouter.web-search-stream.905f79f16b`), and usage follows it.
#[derive(Debug)]
pub struct Decoder {
    quirks: Quirks,
    started: bool,
    /// Names what has no name of its own: minted tool-call ids.
    answer_id: String,
    service_tier: Option<String>,
    choices: Vec<Progress>,
    state: State,
    seen: Seen,
}

/// What the last frame held, for those who forward it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// A `usage` object, wherever it stood.
    pub usage: bool,
    /// At least one choice.
    pub choices: bool,
    /// A tool call that a client following OpenAI's rules would put in the wrong place.
    pub irregular_call: bool,
    /// A reason to end, for some choice.
    pub finish: bool,
    /// One that its choice had not given before.
    pub new_finish: bool,
    /// Some choice ends with calls of tools and does not say so.
    pub hides_calls: bool,
    /// One that is no word of OpenAI's.
    pub odd_finish: bool,
    /// Content in the form of an array.
    pub content_array: bool,
    /// Reasoning of any kind.
    pub reasoning: bool,
    /// Reasoning that is only called `reasoning`.
    pub unusual_reasoning: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// `[DONE]` came.
    Done,
    /// An error came.
    Failed,
}

/// How far one choice has come.
#[derive(Debug)]
struct Progress {
    index: u32,
    blocks: Blocks,
    finish: Option<Text<'static>>,
    native_finish: Option<Text<'static>>,
    stop: Option<Text<'static>>,
    /// In the last frame that held it, it ended with calls of tools and did not say so.
    hides_calls: bool,
}

impl Decoder {
    /// A decoder for one stream.
    #[must_use]
    pub fn new(quirks: &Quirks) -> Decoder {
        Decoder {
            quirks: *quirks,
            started: false,
            answer_id: String::new(),
            service_tier: None,
            choices: Vec::new(),
            state: State::Reading,
            seen: Seen::default(),
        }
    }

    /// What the last frame held.
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Choices that have given a reason to end.
    pub(super) fn finished(&self) -> impl Iterator<Item = u32> {
        self.choices.iter().filter(|choice| choice.finish.is_some()).map(|choice| choice.index)
    }

    /// Whether this choice of the last frame ends with calls of tools and does not say so.
    pub(super) fn hides_calls(&self, index: u32) -> bool {
        self.choices.iter().any(|choice| choice.index == index && choice.hides_calls)
    }

    /// Whether the upstream reported an error.
    pub(super) fn failed(&self) -> bool {
        self.state == State::Failed
    }

    /// Takes one chunk, or a whole completion: its messages are deltas that hold everything.
    pub(super) fn take(&mut self, completion: Completion<'_>, sink: &mut dyn Sink) -> Decoded {
        self.seen = Seen::default();
        if let Some(failure) = error::in_answer(&completion) {
            self.state = State::Failed;
            sink.event(Event::Failed(failure));
            return Decoded::Taken;
        }
        self.start(&completion, sink);
        let tier = completion.service_tier.as_ref().map(Text::escaped).filter(|tier| !tier.is_empty());
        if tier.is_some_and(|tier| self.service_tier.as_deref() != Some(tier)) {
            self.service_tier = tier.map(str::to_owned);
        }
        let sources = sources::Sources { citations: completion.citations, results: completion.search_results };
        let mut within = None;
        for mut choice in completion.choices.into_iter().flatten() {
            self.seen.choices = true;
            within = choice.usage.take().or(within);
            if let Err(refused) = self.choice(choice, &sources, sink) {
                return refused;
            }
        }
        let nested = completion.x_groq.and_then(|nested| nested.usage);
        if let Some(counted) = completion.usage.or(nested).or(within) {
            self.usage(&counted, sink);
        }
        Decoded::Taken
    }

    /// The first chunk that names the answer or holds a choice starts it: one vendor's first chunk does neither
    /// (`azure.chat-stream.880fb31cf5`).
    fn start(&mut self, completion: &Completion<'_>, sink: &mut dyn Sink) {
        let id = completion.id.as_ref().filter(|id| !id.is_empty());
        let has_choices = completion.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        if self.started || (id.is_none() && !has_choices) {
            return;
        }
        self.started = true;
        self.answer_id = id.map(|id| id.escaped().to_owned()).unwrap_or_default();
        sink.event(Event::Start {
            id: id.map_or(Text::EMPTY, Text::borrowed),
            model: completion.model.as_ref().map_or(Text::EMPTY, Text::borrowed),
            created: completion.created.filter(|created| *created > 0).and_then(|created| i64::try_from(created).ok()),
        });
    }

    fn choice(
        &mut self,
        choice: Choice<'_>,
        sources: &sources::Sources<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), Decoded> {
        let index = u32::try_from(choice.index.unwrap_or(0)).unwrap_or(u32::MAX);
        let at = match self.choices.iter().position(|known| known.index == index) {
            Some(at) => at,
            None if self.choices.len() < MOST_CHOICES => {
                let blocks = Blocks::new(index);
                let (finish, native_finish, stop) = (None, None, None);
                self.choices.push(Progress { index, blocks, finish, native_finish, stop, hides_calls: false });
                self.choices.len() - 1
            }
            None => return Err(Decoded::Corrupt(format!("more than {MOST_CHOICES} choices"))),
        };
        let Some(progress) = self.choices.get_mut(at) else { return Ok(()) };
        progress.hides_calls = false;
        let blocks = &mut progress.blocks;
        // Beside a delta, a message repeats what was said so far (perplexity.web-search-stream.bee0c3f418).
        if let Some(message) = choice.delta.or(choice.message) {
            self.seen.look(&message);
            take_message(message, blocks, &self.answer_id, sink)?;
            self.seen.irregular_call |= blocks.take_irregular();
        } else if let Some(text) = choice.text {
            blocks.text(BlockKind::Text, text, sink);
        }
        if let Some(logprobs) = choice.logprobs {
            sink.event(Event::LogprobsDelta { choice: index, logprobs });
        }
        self.seen.odd_finish |= choice
            .finish_reason
            .as_ref()
            .is_some_and(|word| finish::replacement(&word.decode(), false, true).is_some());
        if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
            self.seen.finish = true;
            self.seen.new_finish |= progress.finish.as_ref() != Some(&word);
            let replaced = finish::replacement(&word.decode(), true, self.quirks.stop_beside_calls);
            progress.hides_calls = blocks.calls_tools() && replaced.is_some();
            self.seen.hides_calls |= progress.hides_calls;
            if progress.finish.is_none() {
                sources.cite(blocks, sink);
            }
            progress.finish = Some(word.into_owned());
        }
        if let Some(native) = choice.native_finish_reason.filter(|native| !native.is_empty()) {
            progress.native_finish = Some(native.into_owned());
        }
        let stop = choice.stop_reason.or(choice.matched_stop);
        if let Some(stop) = stop.filter(|stop| finish::is_stop(stop.escaped())) {
            progress.stop = Some(stop.into_owned());
        }
        Ok(())
    }

    fn usage(&mut self, counted: &Raw<'_>, sink: &mut dyn Sink) {
        let Some(mut read) = usage::read(counted, &self.quirks) else { return };
        self.seen.usage = true;
        read.service_tier = read.service_tier.or_else(|| self.service_tier.clone());
        self.start_anyway(sink);
        sink.event(Event::Usage(Usage { estimated: false, ..read }));
    }

    fn start_anyway(&mut self, sink: &mut dyn Sink) {
        if !self.started {
            self.started = true;
            sink.event(Event::Start { id: Text::EMPTY, model: Text::EMPTY, created: None });
        }
    }

    /// Gives the ends that were held back.
    pub(super) fn end(&mut self, sink: &mut dyn Sink) {
        self.state = State::Done;
        self.start_anyway(sink);
        sorted::sort_by_key(&mut self.choices, |choice| choice.index);
        for progress in &mut self.choices {
            progress.blocks.end(&self.answer_id, sink);
            let (finish, native) = (progress.finish.take(), progress.native_finish.take());
            let reason = finish::reason(finish, native, progress.blocks.calls_tools());
            let reason = EndReason { stop: progress.stop.take(), ..reason };
            sink.event(Event::End { choice: progress.index, reason });
        }
    }
}

impl Seen {
    fn look(&mut self, message: &Message<'_>) {
        let has = |text: &Option<Text<'_>>| text.as_ref().is_some_and(|text| !text.is_empty());
        let usual = has(&message.reasoning_content);
        let detailed = message.reasoning_details.as_ref().is_some_and(|details| !details.is_empty());
        self.content_array |= message.content.as_ref().is_some_and(Raw::is_array);
        self.reasoning |= usual || detailed || has(&message.reasoning);
        self.unusual_reasoning |= !usual && has(&message.reasoning);
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, frame: &Frame<'_>, sink: &mut dyn Sink) -> Decoded {
        self.seen = Seen::default();
        let data = frame.data.trim_ascii();
        if self.state != State::Reading || data.is_empty() {
            return Decoded::Unknown;
        }
        if data == b"[DONE]" {
            self.end(sink);
            return Decoded::Taken;
        }
        match crate::json::from_slice::<Completion<'_>>(data) {
            Ok(completion) => self.take(completion, sink),
            // Whatever it holds, an `error` event is one.
            Err(_) if frame.event == b"error" => {
                self.state = State::Failed;
                sink.event(Event::Failed(error::of_event(data)));
                Decoded::Taken
            }
            Err(unread) => Decoded::Corrupt(unread.to_string()),
        }
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        match self.state {
            State::Done | State::Failed => Ok(()),
            State::Reading => {
                let all_ended = self.choices.iter().all(|choice| choice.finish.is_some());
                if !self.quirks.ends_without_done || self.choices.is_empty() || !all_ended {
                    return Err(Failure::truncated("no [DONE]"));
                }
                self.end(sink);
                Ok(())
            }
        }
    }

    fn ended(&self) -> bool {
        self.state == State::Done
    }
}

/// What one message or delta holds, in the order in which a model makes it.
fn take_message(
    message: Message<'_>,
    blocks: &mut Blocks,
    answer_id: &str,
    sink: &mut dyn Sink,
) -> Result<(), Decoded> {
    let said = [&message.reasoning_content, &message.reasoning];
    let said = said.into_iter().flatten().find(|text| !text.is_empty());
    let of_another_part = |detail: &&ReasoningDetail<'_>| {
        let id = detail.id.as_ref().filter(|id| !id.is_empty());
        id.is_some_and(|id| id.escaped() == TEXT_SIGNATURE_ID)
            || id.is_some() && message.tool_calls.iter().flatten().any(|call| call.id.as_ref() == id)
    };
    let details = message.reasoning_details.as_deref().unwrap_or_default();
    blocks.reasoning(said, details.iter().filter(|detail| !of_another_part(detail)), sink);
    if let Some(content) = &message.content {
        take_content(content, blocks, sink);
    }
    if let Some(refusal) = message.refusal.filter(|refusal| !refusal.is_empty()) {
        blocks.text(BlockKind::Refusal, refusal, sink);
    }
    for annotation in message.annotations.into_iter().flatten() {
        if let Some(source) = annotation.url_citation {
            blocks.citation(sources::of_annotation(source), sink);
        }
    }
    if let Some(call) = &message.function_call {
        blocks.legacy_call(call, answer_id, sink)?;
    }
    for call in message.tool_calls.iter().flatten() {
        blocks.tool_call(call, answer_id, sink)?;
    }
    for detail in details.iter().filter(of_another_part) {
        blocks.detail_signature(detail, sink);
    }
    if let Some(signature) = message.extra_content.and_then(|extra| extra.google?.thought_signature) {
        blocks.message_signature(signature, sink);
    }
    blocks.media(message.audio, message.images, sink);
    Ok(())
}

/// Content is a string, or an array of parts: `mistral.thinking-stream.8760605718`.
fn take_content(content: &Raw<'_>, blocks: &mut Blocks, sink: &mut dyn Sink) {
    if let Some(text) = content.text() {
        blocks.text(BlockKind::Text, text, sink);
        return;
    }
    each_part(content, |thinking, text| {
        blocks.text(if thinking { BlockKind::Reasoning } else { BlockKind::Text }, text, sink);
    });
}

/// Gives every text of an array of parts, and whether it was thought rather than said.
pub(super) fn each_part(content: &Raw<'_>, mut each: impl FnMut(bool, Text<'_>)) {
    #[derive(Default)]
    struct Part<'a> {
        text: Option<Text<'a>>,
        /// A string, or parts again.
        thinking: Option<Raw<'a>>,
    }
    readable! { Part<'a> { text: super::types::text, thinking } }
    let parts: Vec<Part<'_>> = content.read_borrowed().unwrap_or_default();
    for part in parts {
        if let Some(text) = part.text {
            each(false, text);
        }
        let Some(thinking) = part.thinking else { continue };
        if let Some(text) = thinking.text() {
            each(true, text);
        }
        let thoughts: Vec<Part<'_>> = thinking.read_borrowed().unwrap_or_default();
        for text in thoughts.into_iter().filter_map(|thought| thought.text) {
            each(true, text);
        }
    }
}

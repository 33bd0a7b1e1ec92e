//! Puts the pieces of tool calls together, whatever a vendor numbers them by.

use crate::chat::{Event, Sink};
use crate::json::{Raw, Text};
use crate::wire::Decoded;

use super::types::{Function, ToolCall};

/// More calls than a model makes in one answer.
const MOST_CALLS: usize = 1024;

/// The calls of one choice, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Tools {
    calls: Vec<Call>,
    /// The call that the last piece went to.
    current: usize,
    irregular: bool,
}

#[derive(Debug)]
struct Call {
    /// The number the upstream gives it.
    index: Option<u64>,
    /// As the upstream gives it; empty where it gives none.
    id: Text<'static>,
    /// Once it has begun, that is, once its name is known.
    block: Option<u32>,
    /// Arguments that came before the name.
    early: Text<'static>,
    has_arguments: bool,
    /// The arguments so far end like an object: what comes with a name is another call.
    looks_complete: bool,
}

/// A piece of a call as it came.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    index: Option<u64>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    arguments: Option<Text<'a>>,
    /// The arguments are not spelled as OpenAI spells them.
    odd_arguments: bool,
    /// The format before tools has one call, without number and id.
    legacy: bool,
}

impl<'a> Piece<'a> {
    pub(super) fn of(call: &'a ToolCall<'_>) -> Piece<'a> {
        let custom = call.custom.as_ref();
        let name = call.function.as_ref().and_then(|function| function.name.as_ref());
        let name = name.or(custom.and_then(|custom| custom.name.as_ref()));
        let input = custom.and_then(|custom| custom.input.as_ref()).map(Text::borrowed);
        Piece {
            index: call.index,
            id: call.id.as_ref().filter(|id| !id.is_empty()).map(Text::borrowed),
            name: name.filter(|name| !name.is_empty()).map(Text::borrowed),
            arguments: call.function.as_ref().and_then(arguments).or(input),
            odd_arguments: call.function.as_ref().is_some_and(odd),
            legacy: false,
        }
    }

    pub(super) fn of_legacy(function: &'a Function<'_>) -> Piece<'a> {
        Piece {
            index: Some(0),
            id: None,
            name: function.name.as_ref().filter(|name| !name.is_empty()).map(Text::borrowed),
            arguments: arguments(function),
            odd_arguments: false,
            legacy: true,
        }
    }
}

/// As the content of a JSON string. The text `null` is an empty object (`groq.tools.84db824c4b`); an object written as
/// such is its text.
pub(super) fn arguments<'a>(function: &'a Function<'_>) -> Option<Text<'a>> {
    let raw: &Raw<'_> = function.arguments.as_ref()?;
    let text = match raw.text() {
        Some(text) if text.escaped() == "null" => Text::from_escaped("{}"),
        Some(text) => text,
        None if raw.is_object() => Text::escape(raw.get()),
        None => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Whether a client would not find JSON text in `arguments`.
pub(super) fn odd(function: &Function<'_>) -> bool {
    let written = function.arguments.as_ref().filter(|raw| !raw.is_null());
    written.is_some_and(|raw| raw.text().is_none_or(|text| text.escaped() == "null"))
}

impl Tools {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn first_block(&self) -> Option<u32> {
        self.calls.first()?.block
    }

    pub(super) fn current_block(&self) -> Option<u32> {
        self.calls.get(self.current)?.block
    }

    pub(super) fn block_of(&self, id: &Text<'_>) -> Option<u32> {
        self.calls.iter().find(|call| !id.is_empty() && call.id == *id)?.block
    }

    pub(super) fn take_irregular(&mut self) -> bool {
        std::mem::take(&mut self.irregular)
    }

    /// Takes a piece: begins a call or gives more of one.
    pub(super) fn take(
        &mut self,
        piece: &Piece<'_>,
        choice: u32,
        next: &mut u32,
        answer_id: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Decoded> {
        let at = match self.find(piece) {
            Some(at) => at,
            // An empty placeholder is no call: snowflake.chat.ced91b5b5a.
            None if piece.id.is_none() && piece.name.is_none() && piece.arguments.is_none() => return Ok(()),
            None if self.calls.len() >= MOST_CALLS => {
                return Err(Decoded::Corrupt(format!("more than {MOST_CALLS} tool calls")));
            }
            None => {
                self.calls.push(Call {
                    index: piece.index,
                    id: piece.id.clone().map(Text::into_owned).unwrap_or_default(),
                    block: None,
                    early: Text::EMPTY,
                    has_arguments: false,
                    looks_complete: false,
                });
                // A client of OpenAI's puts pieces together by dense numbers and wants an id with the first.
                self.irregular |= !piece.legacy && piece.id.is_none();
                self.calls.len() - 1
            }
        };
        self.irregular |= !piece.legacy && (piece.odd_arguments || piece.index != u64::try_from(at).ok());
        self.current = at;
        // Clients append what comes again: dashscope.tools-stream.407b6df3fc would have its id doubled.
        let begun = self.calls.get(at).is_some_and(|call| call.block.is_some());
        self.irregular |= begun && (piece.id.is_some() || piece.name.is_some());
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if let Some(name) = piece.name.as_ref().filter(|_| call.block.is_none()) {
            call.begin(name.borrowed(), at, choice, next, answer_id, sink);
        }
        if let Some(arguments) = &piece.arguments {
            call.more(arguments, choice, sink);
        }
        Ok(())
    }

    /// Ends every call; one without arguments gets `{}`, one without a name begins without it.
    pub(super) fn end(&mut self, choice: u32, next: &mut u32, answer_id: &str, sink: &mut dyn Sink) {
        for (at, call) in self.calls.iter_mut().enumerate() {
            if call.block.is_none() {
                call.begin(Text::EMPTY, at, choice, next, answer_id, sink);
            }
            let Some(block) = call.block else { continue };
            if !call.has_arguments {
                let arguments = Text::from_escaped("{}");
                sink.event(Event::ToolCallDelta { choice, block, arguments });
            }
            sink.event(Event::BlockEnd { choice, block });
        }
    }

    /// Which call a piece belongs to; `None` where it begins one.
    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        let by_id = || piece.id.as_ref().and_then(|id| self.calls.iter().rposition(|call| call.id == *id));
        let at = match piece.index {
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index))?,
            None => return by_id().or_else(|| self.last(piece)),
        };
        let call = self.calls.get(at)?;
        // Some number every whole call 0.
        let other_id = piece.id.as_ref().is_some_and(|id| !call.id.is_empty() && call.id != *id);
        let again = piece.id.is_none() && call.id.is_empty() && call.looks_complete && piece.arguments.is_some();
        if piece.name.is_some() && call.block.is_some() && (other_id || again) { by_id() } else { Some(at) }
    }

    /// A piece without number, id and name goes on with the call before it.
    fn last(&self, piece: &Piece<'_>) -> Option<usize> {
        let continues = piece.id.is_none() && piece.name.is_none();
        continues.then(|| self.calls.len().checked_sub(1)).flatten()
    }
}

impl Call {
    fn begin(&mut self, name: Text<'_>, at: usize, choice: u32, next: &mut u32, answer_id: &str, sink: &mut dyn Sink) {
        let block = *next;
        *next = next.saturating_add(1);
        self.block = Some(block);
        let id = match self.id.is_empty() {
            true => mint(answer_id, choice, at),
            false => self.id.borrowed(),
        };
        sink.event(Event::ToolCallStart { choice, block, id, name });
        let early = std::mem::take(&mut self.early);
        if !early.is_empty() {
            sink.event(Event::ToolCallDelta { choice, block, arguments: early });
        }
    }

    fn more(&mut self, arguments: &Text<'_>, choice: u32, sink: &mut dyn Sink) {
        self.has_arguments = true;
        self.looks_complete = arguments.escaped().trim_end().ends_with('}');
        match self.block {
            Some(block) => sink.event(Event::ToolCallDelta { choice, block, arguments: arguments.borrowed() }),
            None => self.early.push(arguments),
        }
    }
}

/// An id for a call that has none, the same every time the same answer is read, and another in every answer.
pub(super) fn mint(answer_id: &str, choice: u32, at: usize) -> Text<'static> {
    let hash = super::ids::fnv(answer_id.bytes().chain(choice.to_le_bytes()).chain(at.to_le_bytes()));
    Text::from_escaped(format!("call_{hash:016x}"))
}

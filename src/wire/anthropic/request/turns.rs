//! The conversation, put into the order that this protocol demands.
//!
//! Turns alternate and begin with the user's; results of tool calls stand first in the turn right behind the calls,
//! one for each call; instructions stand apart. A caller's history may break each of these rules, most often because
//! it was cut. What then keeps the conversation going is done, and listed as `messages=changed`:
//! - a call without a result gets one that says so;
//! - a result whose call is gone is told as words of the user;
//! - instructions in mid-conversation move to the others at the front, unless the model takes them where they stand;
//! - a conversation that begins with the model gets an opening, and one of instructions alone gets its last as prompt.

use super::{names, signer};
use crate::chat::{CacheMark, Message, Part, Request, Role, Signature};
use crate::failure::Failure;
use crate::json::Text;
use crate::provider::ReasoningControl;
use crate::sorted::{self, SortedMap};
use crate::wire::{Adjusted, Change, Target};

pub(in crate::wire) const NO_RESULT: &str = "No result was given for this call.";
const LOST_CALL: &str = "Result of an earlier tool call:";
const OPENING: &str = "(The conversation begins.)";
const SILENCE: &str = "(no text)";

/// The conversation in order.
#[derive(Debug, Default)]
pub(in crate::wire) struct Conversation<'r> {
    /// Instructions.
    pub system: Vec<Block<'r>>,
    /// Turns; no two neighbours have the same speaker.
    pub turns: Vec<Turn<'r>>,
}

/// What one side says.
#[derive(Debug)]
pub(in crate::wire) struct Turn<'r> {
    pub speaker: Speaker,
    pub blocks: Vec<Block<'r>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Speaker {
    User,
    Assistant,
    /// Instructions in mid-conversation.
    System,
}

/// A piece of a turn.
#[derive(Debug)]
pub(in crate::wire) enum Block<'r> {
    /// As the caller has it.
    Part { part: &'r Part<'r>, place: Place },
    /// A call, under an id that this protocol takes.
    Call { part: &'r Part<'r>, id: String },
    /// What a call returned.
    Result { id: String, parts: &'r [Part<'r>], is_error: bool, cache: Option<CacheMark>, place: Place },
    /// Stands for a result that is not there.
    NoResult { id: String },
    /// Words of ours.
    Words(&'static str),
}

/// Where something stands in the caller's request.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct Place {
    pub message: usize,
    pub part: usize,
}

impl Place {
    /// `messages.2.content.0`
    pub fn path(self) -> String {
        format!("messages.{}.content.{}", self.message, self.part)
    }
}

impl Conversation<'_> {
    /// Whether it ends with an assistant turn, which the model is to continue.
    pub fn is_prefilled(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.speaker == Speaker::Assistant)
    }

    /// The tools that are called in it, each once, as they are written.
    pub fn called(&self, longest: usize) -> Vec<String> {
        let blocks = self.turns.iter().flat_map(|turn| &turn.blocks);
        let mut names: Vec<String> = Vec::new();
        for block in blocks {
            if let Block::Call { part: Part::ToolCall { name, .. }, .. } = block {
                let name = names::clean_to(&name.decode(), longest).into_owned();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Whether the last assistant turn calls tools and did not begin with a thought.
    pub fn has_unthought_call(&self) -> bool {
        let last = self.turns.iter().rev().find(|turn| turn.speaker == Speaker::Assistant);
        last.is_some_and(|turn| {
            let begins_with_thought =
                matches!(turn.blocks.first(), Some(Block::Part { part: Part::Reasoning { .. }, .. }));
            !begins_with_thought && turn.blocks.iter().any(|block| matches!(block, Block::Call { .. }))
        })
    }
}

/// Orders the caller's messages.
///
/// # Errors
/// `BadRequest` where there is nothing to say, or where the model refuses to continue its own message.
pub(in crate::wire) fn order<'r>(
    request: &'r Request<'r>,
    target: &Target<'_>,
    longest_id: usize,
    adjusted: &mut Adjusted,
) -> Result<Conversation<'r>, Failure> {
    let mut orderer = Orderer {
        request,
        target,
        longest_id,
        adjusted,
        conversation: Conversation::default(),
        calls: Vec::new(),
        places: Vec::new(),
        used: SortedMap::new(),
    };
    for (at, message) in request.messages.iter().enumerate() {
        orderer.message(at, message);
    }
    orderer.settle();
    orderer.open();
    let Orderer { conversation, .. } = orderer;
    if conversation.turns.is_empty() {
        return Err(Failure::bad_request("messages", "There has to be a message that says something."));
    }
    if target.facts.refuses_prefill && conversation.is_prefilled() {
        let message =
            "This model does not continue an assistant message: the last one has to be the user's or a tool's.";
        return Err(Failure::bad_request("messages", message));
    }
    Ok(conversation)
}

struct Orderer<'r, 'c> {
    request: &'r Request<'r>,
    target: &'c Target<'c>,
    /// How long the ids of calls may be.
    longest_id: usize,
    adjusted: &'c mut Adjusted,
    conversation: Conversation<'r>,
    /// The calls of the last assistant turn that wait for results.
    calls: Vec<Call<'r>>,
    /// Where they stand, by their ids and, within one id, in their order; known from the first result on.
    places: Vec<usize>,
    /// Ids of calls, which have to be unique, and how many were made of each.
    used: SortedMap<String, u32>,
}

struct Call<'r> {
    /// As the caller spells it.
    id: &'r Text<'r>,
    /// As it is written.
    written: String,
    answered: bool,
}

impl<'r> Orderer<'r, '_> {
    fn message(&mut self, at: usize, message: &'r Message<'r>) {
        if message.name.is_some() {
            self.adjusted.note("name", Change::Dropped);
        }
        match message.role {
            Role::System | Role::Developer => self.instructions(at, message),
            Role::Assistant => self.assistant(at, message),
            Role::User | Role::Tool => self.user(at, message),
        }
    }

    fn instructions(&mut self, at: usize, message: &'r Message<'r>) {
        let blocks = spoken(at, message);
        if blocks.is_empty() {
            return;
        }
        let may_stand_here = self.target.facts.system_anywhere && self.is_before_model(at);
        match self.conversation.turns.last_mut() {
            None => self.conversation.system.extend(blocks),
            Some(turn) if turn.speaker == Speaker::System => turn.blocks.extend(blocks),
            // The only place where they may stand: behind the user, before the model.
            Some(turn) if turn.speaker == Speaker::User && may_stand_here => {
                self.settle();
                self.conversation.turns.push(Turn { speaker: Speaker::System, blocks });
            }
            Some(_) => {
                self.conversation.system.extend(blocks);
                self.changed();
            }
        }
    }

    /// Whether nobody but the model speaks next.
    fn is_before_model(&self, at: usize) -> bool {
        let mut rest = self.request.messages.iter().skip(at + 1).map(|message| message.role);
        !matches!(rest.find(|role| !matches!(role, Role::System | Role::Developer)), Some(Role::User | Role::Tool))
    }

    fn assistant(&mut self, at: usize, message: &'r Message<'r>) {
        if message.parts.iter().any(|part| self.is_foreign(part)) {
            self.adjusted.note("reasoning_details", Change::Dropped);
        }
        let mut blocks = Vec::with_capacity(message.parts.len());
        for block in spoken(at, message) {
            match block {
                Block::Part { part: Part::Reasoning { signature, .. }, .. } if !self.can_go_back(signature) => {}
                Block::Part { part: part @ Part::ToolCall { id, .. }, .. } => {
                    let written = self.unique(names::clean_to(&id.decode(), self.longest_id).into_owned());
                    blocks.push((id, Block::Call { part, id: written }));
                }
                block => blocks.push((&Text::EMPTY, block)),
            }
        }
        if blocks.is_empty() {
            return;
        }
        // Thoughts go first, where the turn does not begin with one already.
        if !blocks.first().is_some_and(|(_, block)| is_thought(block)) {
            sorted::sort_by_key(&mut blocks, |(_, block)| !is_thought(block));
        }
        if !self.conversation.is_prefilled() {
            self.settle();
        }
        let turn = self.turn(Speaker::Assistant);
        let mut calls = Vec::new();
        for (id, block) in blocks {
            if let Block::Call { id: written, .. } = &block {
                calls.push(Call { id, written: written.clone(), answered: false });
            }
            turn.blocks.push(block);
        }
        self.calls.extend(calls);
    }

    /// Whether a thought can be sent back: only signed ones can, and only to a model that thinks.
    fn can_go_back(&self, signature: &Option<Signature<'_>>) -> bool {
        let thinks = self.target.facts.reasoning != ReasoningControl::None;
        thinks && signature.as_ref().is_some_and(|signature| signer::is_readable(signature, self.target.model))
    }

    /// Whether another model wants something back with it.
    fn is_foreign(&self, part: &Part<'_>) -> bool {
        match part {
            Part::Text { signature, .. } | Part::Reasoning { signature, .. } | Part::ToolCall { signature, .. } => {
                signature.as_ref().is_some_and(|signature| !signer::is_readable(signature, self.target.model))
            }
            _ => false,
        }
    }

    fn user(&mut self, at: usize, message: &'r Message<'r>) {
        self.turn(Speaker::User);
        for block in spoken(at, message) {
            match block {
                Block::Part { part: Part::Reasoning { .. }, .. } => {}
                Block::Part { part: Part::ToolResult { call_id, parts, is_error, cache }, place } => {
                    self.result(call_id, parts, *is_error, *cache, place);
                }
                block => self.turn(Speaker::User).blocks.push(block),
            }
        }
    }

    fn result(
        &mut self,
        call_id: &Text<'_>,
        parts: &'r [Part<'r>],
        is_error: bool,
        cache: Option<CacheMark>,
        place: Place,
    ) {
        if let Some(call) = self.waiting(call_id) {
            call.answered = true;
            let result = Block::Result { id: call.written.clone(), parts, is_error, cache, place };
            let turn = self.turn(Speaker::User);
            let at = turn.blocks.partition_point(|block| matches!(block, Block::Result { .. }));
            turn.blocks.insert(at, result);
            return;
        }
        self.changed();
        let turn = self.turn(Speaker::User);
        turn.blocks.push(Block::Words(LOST_CALL));
        turn.blocks.extend(parts.iter().filter(|part| !is_blank(part)).map(|part| Block::Part { part, place }));
    }

    /// The first call of this id that waits for its result. Callers may answer very many, in any order.
    fn waiting(&mut self, id: &Text<'_>) -> Option<&mut Call<'r>> {
        let Orderer { calls, places, .. } = self;
        if places.len() < calls.len() {
            *places = (0..calls.len()).collect();
            sorted::sort_by_key(places, |place| calls.get(*place).map(|call| call.id.escaped()));
        }
        // Of those with one id, the answered ones stand first.
        let is_before = |call: &Call<'_>| (call.id.escaped(), !call.answered) < (id.escaped(), true);
        let at = places.partition_point(|place| calls.get(*place).is_some_and(is_before));
        calls.get_mut(*places.get(at)?).filter(|call| !call.answered && call.id == id)
    }

    /// Closes the turn that is open: calls get the results they lack, and nobody says nothing.
    fn settle(&mut self) {
        self.places.clear();
        let missing: Vec<Block<'r>> = std::mem::take(&mut self.calls)
            .into_iter()
            .filter(|call| !call.answered)
            .map(|call| Block::NoResult { id: call.written })
            .collect();
        if !missing.is_empty() {
            self.changed();
            let turn = self.turn(Speaker::User);
            let at = turn.blocks.partition_point(|block| matches!(block, Block::Result { .. }));
            turn.blocks.splice(at..at, missing);
        }
        if let Some(turn) = self.conversation.turns.last_mut()
            && turn.blocks.is_empty()
        {
            turn.blocks.push(Block::Words(SILENCE));
            self.changed();
        }
    }

    /// Sees to it that the user speaks first.
    fn open(&mut self) {
        match self.conversation.turns.first().map(|turn| turn.speaker) {
            Some(Speaker::User) => {}
            Some(_) => {
                let opening = Turn { speaker: Speaker::User, blocks: vec![Block::Words(OPENING)] };
                self.conversation.turns.insert(0, opening);
                self.changed();
            }
            None => {
                let Some(last) = self.conversation.system.pop() else { return };
                self.conversation.turns.push(Turn { speaker: Speaker::User, blocks: vec![last] });
                self.changed();
            }
        }
    }

    /// The open turn of `speaker`, begun where another one spoke last.
    fn turn(&mut self, speaker: Speaker) -> &mut Turn<'r> {
        let turns = &mut self.conversation.turns;
        let at = match turns.last() {
            Some(turn) if turn.speaker == speaker => turns.len() - 1,
            _ => {
                turns.push(Turn { speaker, blocks: Vec::new() });
                turns.len() - 1
            }
        };
        #[allow(clippy::indexing_slicing, reason = "the index was found or pushed right above")]
        &mut turns[at]
    }

    fn unique(&mut self, id: String) -> String {
        let mut unique = id.clone();
        while self.used.contains_key(&unique) {
            // A caller may call all of them the same: what was tried once is not tried again.
            let times = self.used.get_or_default_of(&id);
            *times += 1;
            unique = format!("{id}_{times}");
        }
        self.used.insert(unique.clone(), 1);
        unique
    }

    fn changed(&mut self) {
        self.adjusted.note("messages", Change::Changed);
    }
}

/// The parts of a message that say something.
fn spoken<'r>(at: usize, message: &'r Message<'r>) -> Vec<Block<'r>> {
    let parts = message.parts.iter().enumerate();
    parts
        .filter(|(_, part)| !is_blank(part))
        .map(|(index, part)| Block::Part { part, place: Place { message: at, part: index } })
        .collect()
}

/// Text of nothing but white space is refused.
pub(in crate::wire) fn is_blank(part: &Part<'_>) -> bool {
    matches!(part, Part::Text { text, .. } | Part::Refusal { text } if names::is_blank(text))
}

fn is_thought(block: &Block<'_>) -> bool {
    matches!(block, Block::Part { part: Part::Reasoning { .. }, .. })
}

//! The ordering laws of `chat::Event`, checked event by event.

use std::collections::{BTreeMap, BTreeSet};

use latchkey::chat::{BlockKind, Event, Sink};

/// Watches a stream of events and notes every law that is broken.
#[derive(Default)]
pub struct Laws {
    started: bool,
    failed: bool,
    choices: BTreeMap<u32, Choice>,
    ids: BTreeSet<String>,
    /// Laws of order.
    pub broken: Vec<String>,
    /// Calls without a name, or with an id that is no id: laws that only a sane upstream lets a decoder keep.
    pub misnamed: Vec<String>,
}

#[derive(Default)]
struct Choice {
    blocks: Vec<Block>,
    ended: bool,
}

struct Block {
    kind: Option<BlockKind>,
    open: bool,
    arguments: usize,
}

impl Laws {
    /// Whether everything that began has ended, as it must once a stream has finished well.
    pub fn check_complete(&mut self) {
        if !self.started {
            self.broken.push("a finished stream never started".to_owned());
        }
        let unended = self.choices.iter().filter(|(_, choice)| !choice.ended).map(|(index, _)| *index);
        let unended: Vec<u32> = unended.collect();
        if !unended.is_empty() {
            self.broken.push(format!("choices {unended:?} have no end"));
        }
    }

    fn note(&mut self, law: impl Into<String>) {
        self.broken.push(law.into());
    }

    fn start_block(&mut self, index: u32, number: u32, kind: Option<BlockKind>) {
        let choice = self.choices.entry(index).or_default();
        if choice.ended {
            self.broken.push(format!("block {number} of choice {index} starts after the end"));
        } else if choice.blocks.len() != number as usize {
            self.broken.push(format!("block {number} of choice {index} comes as number {}", choice.blocks.len()));
        }
        choice.blocks.push(Block { kind, open: true, arguments: 0 });
    }

    fn within(&mut self, index: u32, number: u32, what: &str, kind: Option<Option<BlockKind>>) -> Option<&mut Block> {
        let block = self.choices.get_mut(&index).and_then(|choice| choice.blocks.get_mut(number as usize));
        let law = match &block {
            None => Some("never started"),
            Some(block) if !block.open => Some("has ended"),
            Some(block) if kind.is_some_and(|kind| kind != block.kind) => Some("is of another kind"),
            Some(_) => None,
        };
        if let Some(law) = law {
            self.broken.push(format!("{what} for block {number} of choice {index}, which {law}"));
            return None;
        }
        block
    }
}

impl Sink for Laws {
    fn event(&mut self, event: Event<'_>) {
        if self.failed {
            self.note(format!("{event:?} after a failure"));
        }
        if !self.started && !matches!(event, Event::Start { .. } | Event::Failed(_)) {
            self.note(format!("{event:?} before the start"));
        }
        match event {
            Event::Start { .. } => {
                if self.started {
                    self.note("a second start");
                }
                self.started = true;
            }
            Event::BlockStart { choice, block, kind } => self.start_block(choice, block, Some(kind)),
            Event::ToolCallStart { choice, block, id, name } => {
                if id.is_empty() || !self.ids.insert(id.decode().into_owned()) {
                    self.misnamed.push(format!("the tool call id {id:?} is empty or taken"));
                }
                if name.is_empty() {
                    self.misnamed.push("a tool call without a name".to_owned());
                }
                self.start_block(choice, block, None);
            }
            Event::TextDelta { choice, block, .. } => {
                self.within(choice, block, "text", Some(Some(BlockKind::Text)));
            }
            Event::ReasoningDelta { choice, block, .. } => {
                self.within(choice, block, "reasoning", Some(Some(BlockKind::Reasoning)));
            }
            Event::RefusalDelta { choice, block, .. } => {
                self.within(choice, block, "a refusal", Some(Some(BlockKind::Refusal)));
            }
            Event::ToolCallDelta { choice, block, arguments } => {
                let length = arguments.escaped().len();
                if let Some(call) = self.within(choice, block, "arguments", Some(None)) {
                    call.arguments += length;
                }
            }
            Event::BlockSignature { choice, block, .. } => {
                self.within(choice, block, "a signature", None);
            }
            Event::BlockCitation { choice, block, .. } => {
                self.within(choice, block, "a citation", Some(Some(BlockKind::Text)));
            }
            Event::BlockEnd { choice, block } => {
                let mut without_arguments = false;
                if let Some(ending) = self.within(choice, block, "an end", None) {
                    ending.open = false;
                    without_arguments = ending.kind.is_none() && ending.arguments == 0;
                }
                if without_arguments {
                    self.note(format!(
                        "the call in block {block} of choice {choice} has no arguments, not even `{{}}`"
                    ));
                }
            }
            Event::End { choice: index, .. } => {
                let choice = self.choices.entry(index).or_default();
                let open = choice.blocks.iter().any(|block| block.open);
                if std::mem::replace(&mut choice.ended, true) || open {
                    self.broken.push(format!("choice {index} ends twice or with open blocks"));
                }
            }
            Event::MediaDelta { choice, .. } | Event::LogprobsDelta { choice, .. } => {
                if self.choices.entry(choice).or_default().ended {
                    self.note(format!("more of choice {choice} after its end"));
                }
            }
            Event::Usage(_) => {}
            Event::Failed(_) => self.failed = true,
        }
    }
}

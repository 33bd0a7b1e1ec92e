//! Writes the turns of a conversation: two speakers in alternation, the first of them the user.

use crate::failure::Failure;
use crate::json::{Object, Text};

/// Said for the user where the model speaks first, or nobody does: the protocol wants the user to.
pub(super) const OPENING: &str = "(The conversation begins.)";

/// Who speaks, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Model,
}

/// `contents` while they are being written. What one speaker says in a row becomes one turn.
pub(super) struct Turns<'w> {
    out: &'w mut Vec<u8>,
    speaker: Option<Speaker>,
}

impl<'w> Turns<'w> {
    /// Writes `[`.
    pub fn open(out: &'w mut Vec<u8>) -> Turns<'w> {
        out.push(b'[');
        Turns { out, speaker: None }
    }

    /// Who spoke last.
    pub fn speaker(&self) -> Option<Speaker> {
        self.speaker
    }

    /// Writes one part.
    pub fn part(&mut self, speaker: Speaker, members: impl FnOnce(&mut Object<'_>)) {
        let written = self.try_part(speaker, |object| {
            members(object);
            Ok(())
        });
        debug_assert!(written.is_ok());
    }

    /// Writes one part that may turn out to be impossible.
    ///
    /// # Errors
    /// Those of `members`; what was written is then of no use.
    pub fn try_part(
        &mut self,
        speaker: Speaker,
        members: impl FnOnce(&mut Object<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.turn(speaker);
        let mut object = Object::open(self.out);
        members(&mut object)?;
        object.close();
        Ok(())
    }

    /// Writes parts that are JSON already, with commas between them.
    pub fn written(&mut self, speaker: Speaker, parts: &[u8]) {
        if !parts.is_empty() {
            self.turn(speaker);
            self.out.extend_from_slice(parts);
        }
    }

    /// Writes what closes the last turn and `]`.
    pub fn close(self) {
        if self.speaker.is_some() {
            self.out.extend_from_slice(b"]}");
        }
        self.out.push(b']');
    }

    /// Makes room for a part of `speaker`.
    fn turn(&mut self, speaker: Speaker) {
        if self.speaker == Some(speaker) {
            self.out.push(b',');
            return;
        }
        if self.speaker.is_none() && speaker == Speaker::Model {
            self.begin(Speaker::User);
            let mut object = Object::open(self.out);
            object.text("text", &Text::from_escaped(OPENING));
            object.close();
        }
        self.begin(speaker);
    }

    fn begin(&mut self, speaker: Speaker) {
        if self.speaker.is_some() {
            self.out.extend_from_slice(b"]},");
        }
        self.out.extend_from_slice(match speaker {
            Speaker::User => br#"{"role":"user","parts":["#,
            Speaker::Model => br#"{"role":"model","parts":["#,
        });
        self.speaker = Some(speaker);
    }
}

//! Signatures behind the ids of calls: the one field of this protocol that clients send back as it came, and in which
//! its own models sign nothing.
//!
//! `call_1.bGF0Y2hrZXkx…`: the id that the model gave, then, behind a dot each, what was signed since the call before:
//! thoughts, words, and the call itself. Turns without calls carry none; no model wants them back there.

use crate::chat::{Part, Signature};
use crate::json::{self, Text};
use crate::wire::carried::{self, Carrier, MARK, Owner};

/// What has been signed since the last call.
#[derive(Debug, Default)]
pub(super) struct Trailer(String);

impl Trailer {
    /// Adds what `owner` signs; [`Owner::Here`] is a thought that is not shown.
    pub(super) fn push(&mut self, signature: &Signature<'_>, owner: &Owner, carrier: &Carrier) {
        self.0.push('.');
        self.0.push_str(carrier.sealed(signature, owner).escaped());
    }

    /// The id of the call that carries it; what is signed from now on goes with the next one.
    pub(super) fn on<'t>(&mut self, id: &'t Text<'_>) -> Text<'t> {
        let trailer = std::mem::take(&mut self.0);
        if trailer.is_empty() { id.borrowed() } else { Text::from_escaped(format!("{}{trailer}", id.escaped())) }
    }
}

/// Where a trailer begins in an id.
pub(super) fn start(id: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + json::find(id.as_bytes().get(from..)?, MARK.as_bytes())?;
        if let Some((before, b".")) = id.as_bytes().get(..at)?.split_at_checked(at.checked_sub(1)?) {
            return Some(before.len());
        }
        from = at + 1;
    }
}

/// An id without its trailer.
pub(super) fn without(id: Text<'_>) -> Text<'_> {
    match start(id.escaped()).and_then(|at| id.escaped().get(..at)) {
        Some(plain) => Text::from_escaped(plain.to_owned()),
        None => id,
    }
}

/// Takes the trailers off the ids in `calls`, and gives what they carry to what it belongs to in the same turn.
pub(super) fn settle<'a>(said: &mut Vec<Part<'a>>, calls: &mut [Part<'a>]) {
    for call in calls {
        let Part::ToolCall { id, signature: own, .. } = call else { continue };
        let Some(at) = start(id.escaped()) else { continue };
        let trailer = id.escaped().get(at..).unwrap_or_default().to_owned();
        *id = without(std::mem::take(id));
        for piece in trailer.split('.').filter(|piece| !piece.is_empty()) {
            let carried = Text::from_escaped(piece.to_owned());
            let Some((signature, owner)) = carried::unwrap(carried, "", crate::chat::SignatureRole::Signs) else {
                continue;
            };
            match owner {
                Owner::Call(_) => *own = Some(signature),
                Owner::Here => said.push(Part::Reasoning { text: Text::EMPTY, signature: Some(signature) }),
                Owner::Thought | Owner::Text => give(signature, &owner, said),
            }
        }
    }
}

/// To the first of its kind that has none yet.
fn give<'a>(given: Signature<'a>, owner: &Owner, said: &mut [Part<'a>]) {
    let place = said.iter_mut().find_map(|part| match (part, owner) {
        (Part::Reasoning { signature: signature @ None, .. }, Owner::Thought)
        | (Part::Text { signature: signature @ None, .. }, Owner::Text) => Some(signature),
        _ => None,
    });
    if let Some(place) = place {
        *place = Some(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Arguments, SignatureRole};
    use crate::json::Raw;

    fn signature(data: &'static str) -> Signature<'static> {
        let format = Text::from_escaped("anthropic-claude-v1");
        Signature { format, data: Text::from_escaped(data), id: None, role: SignatureRole::Signs }
    }

    #[test]
    fn what_an_id_carries_comes_back_to_where_it_belongs() {
        let (carrier, id) = (carried::carrier(), Text::from_escaped("call.1"));
        let mut trailer = Trailer::default();
        for (data, owner) in [
            ("dGhvdWdodA==", Owner::Thought),
            ("aGlkZGVu", Owner::Here),
            ("dGV4dA==", Owner::Text),
            ("Y2FsbA==", Owner::Call("call.1".to_owned())),
        ] {
            trailer.push(&signature(data), &owner, &carrier);
        }
        let carrying = trailer.on(&id).into_owned();
        assert!(trailer.on(&id).is("call.1"), "the next call carries nothing");
        assert!(without(carrying.clone()).is("call.1"));
        let text = |plain: &'static str| Text::from_escaped(plain);
        let mut said = vec![
            Part::Reasoning { text: text("hm"), signature: None },
            Part::Text { text: text("I look."), cache: None, citations: Vec::new(), signature: None },
        ];
        let arguments = Arguments::Object(Raw::EMPTY_OBJECT);
        let mut calls = vec![Part::ToolCall { id: carrying, name: text("f"), arguments, signature: None }];
        settle(&mut said, &mut calls);
        said.append(&mut calls);
        let found: Vec<_> = said
            .iter()
            .map(|part| match part {
                Part::Reasoning { signature, .. } | Part::Text { signature, .. } => signature,
                Part::ToolCall { id, signature, .. } if id.is("call.1") => signature,
                part => panic!("{part:?}"),
            })
            .map(|sealed| carrier.open(sealed.as_ref().expect("a signature")).expect("its own"))
            .collect();
        assert_eq!(found, ["dGhvdWdodA==", "dGV4dA==", "aGlkZGVu", "Y2FsbA=="].map(signature));
    }
}

//! How much a caller wants the model to think, and what it thought before.

use crate::chat::{Effort, Part, Reasoning, Signature, SignatureRole};
use crate::failure::Failure;
use crate::json::{Cursor, Text};

use crate::wire::carried;
use crate::wire::place::Place;

/// Where the signature of a message's own text travels: an encrypted detail with this id.
pub(in super::super) const TEXT_SIGNATURE_ID: &str = "content";

/// OpenRouter's `reasoning`; `None` for `null`.
pub(super) fn read_wish(place: &Place<'_>, cursor: &mut Cursor<'_>) -> Result<Option<Reasoning>, Failure> {
    if !place.opens(cursor)? {
        return Ok(None);
    }
    let mut wish = Reasoning::default();
    cursor.members(|key, cursor| {
        let place = place.member(&key);
        match &*key {
            "effort" => wish.effort = read_effort(&place, cursor)??,
            "max_tokens" => wish.max_tokens = place.count(cursor)?,
            "exclude" => wish.exclude = place.boolean(cursor)?.unwrap_or(false),
            "enabled" => wish.enabled = place.boolean(cursor)?,
            _ => drop(cursor.value()?),
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Some(wish))
}

/// A level of effort; `None` for `null`. The inner failure is an unknown word.
pub(super) fn read_effort(
    place: &Place<'_>,
    cursor: &mut Cursor<'_>,
) -> Result<Result<Option<Effort>, Failure>, Failure> {
    let Some(word) = place.text(cursor)? else { return Ok(Ok(None)) };
    let word = word.decode();
    let supported = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' and 'max'";
    Ok(Effort::parse(&word).map(Some).ok_or_else(|| place.wrong_word(&word, supported)))
}

/// What an assistant's message brings back of its reasoning.
#[derive(Default)]
pub(super) struct Thoughts<'a> {
    /// `reasoning_content` or `reasoning`.
    pub plain: Option<Text<'a>>,
    details: Vec<Detail<'a>>,
}

#[derive(Default)]
struct Detail<'a> {
    text: Option<Text<'a>>,
    signature: Option<Text<'a>>,
    data: Option<Text<'a>>,
    id: Option<Text<'a>>,
    format: Option<Text<'a>>,
    index: Option<u64>,
}

impl<'a> Thoughts<'a> {
    /// Reads `reasoning_details`.
    pub(super) fn details(&mut self, place: &Place<'_>, cursor: &mut Cursor<'a>) -> Result<(), Failure> {
        if !place.array(cursor)? {
            return Ok(());
        }
        cursor.items(|index, cursor| {
            let place = place.item(index);
            let mut detail = Detail::default();
            if place.opens(cursor)? {
                cursor.members(|key, cursor| {
                    let place = place.member(&key);
                    match &*key {
                        "text" | "summary" => detail.text = place.text(cursor)?.or(detail.text.take()),
                        "signature" => detail.signature = place.text(cursor)?,
                        "data" => detail.data = place.text(cursor)?,
                        "id" => detail.id = place.text(cursor)?,
                        "format" => detail.format = place.text(cursor)?,
                        "index" => detail.index = place.count(cursor)?,
                        _ => drop(cursor.value()?),
                    }
                    Ok::<(), Failure>(())
                })?;
            }
            self.details.push(detail);
            Ok::<(), Failure>(())
        })
    }

    /// Puts the thoughts before what was said, and signatures of calls and of text where they belong.
    pub(super) fn put_into(self, parts: &mut Vec<Part<'a>>) {
        let mut thoughts = Building { parts: Vec::new(), index: None };
        for detail in self.details {
            if !detail.belongs_to(parts) {
                thoughts.take(detail);
            } else if let Some(signature) = detail.into_signature() {
                attach(signature, parts);
            }
        }
        if let Some(plain) = self.plain.filter(|text| !text.is_empty()) {
            thoughts.plain(plain);
        }
        parts.splice(0..0, thoughts.parts);
    }
}

impl<'a> Detail<'a> {
    /// Whether it holds the signature of a call or of the text, not reasoning.
    fn belongs_to(&self, parts: &[Part<'a>]) -> bool {
        let Some(id) = self.id.as_ref().filter(|id| !id.is_empty()) else { return false };
        id.escaped() == TEXT_SIGNATURE_ID
            || parts.iter().any(|part| matches!(part, Part::ToolCall { id: call, .. } if call == id))
    }

    fn into_signature(self) -> Option<Signature<'a>> {
        let (data, role) = match (self.signature, self.data) {
            (Some(signature), _) if !signature.is_empty() => (signature, SignatureRole::Signs),
            (_, Some(data)) if !data.is_empty() => (data, SignatureRole::Replaces),
            _ => return None,
        };
        Some(carried::bound(data, self.format.unwrap_or_default(), self.id, role))
    }
}

/// Gives a call, or the last text, its signature.
fn attach<'a>(signature: Signature<'a>, parts: &mut Vec<Part<'a>>) {
    let of = signature.id.clone();
    let given = Signature { id: None, role: SignatureRole::Signs, ..signature };
    let slot = parts.iter_mut().rev().find_map(|part| match part {
        Part::ToolCall { id, signature, .. } if Some(&*id) == of.as_ref() => Some(signature),
        Part::Text { signature, .. } if of.as_ref().is_some_and(|of| of.escaped() == TEXT_SIGNATURE_ID) => {
            Some(signature)
        }
        _ => None,
    });
    match slot {
        Some(slot) => *slot = Some(given),
        None => {
            parts.push(Part::Text { text: Text::EMPTY, cache: None, citations: Vec::new(), signature: Some(given) })
        }
    }
}

/// Reasoning parts while they are put together. A stream's details come back in pieces, as they went out.
struct Building<'a> {
    parts: Vec<Part<'a>>,
    /// The number of the detail that the last part came from.
    index: Option<u64>,
}

impl<'a> Building<'a> {
    fn take(&mut self, mut detail: Detail<'a>) {
        let same = self.index.zip(detail.index).is_none_or(|(before, now)| before == now);
        let index = detail.index;
        if let Some(more) = detail.text.take().filter(|text| !text.is_empty()) {
            match self.unsigned().filter(|_| same) {
                Some((text, _)) => text.push(&more),
                None => self.parts.push(Part::Reasoning { text: more, signature: None }),
            }
        }
        // Anthropic's encrypted thinking is a block of its own; others encrypt what they summarised before.
        let of_anthropic = detail.format.as_ref().is_some_and(|format| format.escaped().starts_with("anthropic"));
        if let Some(given) = detail.into_signature() {
            let own_block = given.role == SignatureRole::Replaces && of_anthropic;
            let fits = same || given.role == SignatureRole::Replaces;
            match self.unsigned().filter(|_| fits && !own_block) {
                Some((_, signature)) => *signature = Some(given),
                None => self.parts.push(Part::Reasoning { text: Text::EMPTY, signature: Some(given) }),
            }
        }
        self.index = index.or(self.index);
    }

    /// The plain text, where the details brought none of it.
    fn plain(&mut self, plain: Text<'a>) {
        if self.parts.iter().any(|part| matches!(part, Part::Reasoning { text, .. } if !text.is_empty())) {
            return;
        }
        match self.parts.first_mut() {
            Some(Part::Reasoning { text, .. }) => *text = plain,
            _ => self.parts.push(Part::Reasoning { text: plain, signature: None }),
        }
    }

    fn unsigned(&mut self) -> Option<(&mut Text<'a>, &mut Option<Signature<'a>>)> {
        match self.parts.last_mut() {
            Some(Part::Reasoning { text, signature }) if signature.is_none() => Some((text, signature)),
            _ => None,
        }
    }
}

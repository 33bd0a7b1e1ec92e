//! Signatures of another protocol's models, in a field that was made for those of a surface's own.
//!
//! A caller of a surface sends back what it got in such a field without looking into it. What the surface's own models
//! signed stands there as it came. Anything else is wrapped in base64 that begins with [`MARK`] and says who can read
//! it, what it is to its block, and where it belongs where the surface has no field at that place. So it comes back to
//! its maker whole, and is known for foreign everywhere else.
//!
//! What is wrapped is stamped: a MAC over all of it, and over the provider and model that made it, with a key that only
//! this gateway has. A stamp that does not hold before the target of a later turn, because the token was forged, changed,
//! wrapped by another gateway or made elsewhere, makes it worth nothing: it is left out and said to be.

use std::rc::Rc;

use base64::Engine as _;
use base64::alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose::NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Adjusted, Change};
use crate::chat::{Part, Request, Signature, SignatureRole};
use crate::json::Text;

/// How every wrapped signature begins: base64 of `latchkey1`, in either alphabet.
pub const MARK: &str = "bGF0Y2hrZXkx";
/// Who can read a wrapped signature until its stamp has been held against a target: no model.
const SEALED: &str = "latchkey-sealed";
/// Bytes of a stamp: half of what the MAC gives, which nobody guesses either.
const STAMP: usize = 16;

const REPLACES: u8 = 1;
/// The token was base64 itself and is wrapped as its bytes.
const AS_BYTES: u8 = 2;
const OF_CALL: u8 = 4;
const OF_TEXT: u8 = 8;
const HAS_ID: u8 = 16;
const OF_THOUGHT: u8 = 32;

/// SDKs that hold such fields as bytes may write them in the other alphabet, or without padding.
const LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What a signature belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The block whose field it stands in.
    Here,
    /// The tool call with this id.
    Call(String),
    /// The text before it.
    Text,
    /// The next shown thought of its turn.
    Thought,
}

/// What stamps are made and checked with: the newest key, and older ones that still hold. Its `Debug` is blank.
pub struct Keys(Vec<Hmac<Sha256>>);

impl Keys {
    /// From keys of this purpose alone, the newest first.
    #[must_use]
    pub fn new(keys: Vec<Hmac<Sha256>>) -> Keys {
        Keys(keys)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keys(…)")
    }
}

/// Wraps what one target signs, and opens what it has signed before. Without keys nothing that is wrapped opens again.
#[derive(Clone, Debug, Default)]
pub struct Carrier {
    keys: Option<Rc<Keys>>,
    /// `provider/model`.
    target: String,
}

impl Carrier {
    /// For what `target`, as `provider/model`, signs.
    #[must_use]
    pub fn new(keys: Option<Rc<Keys>>, target: &str) -> Carrier {
        Carrier { keys, target: target.to_owned() }
    }

    /// The field's content: the token itself where it is the surface's own, else wrapped.
    #[must_use]
    pub fn wrap<'s>(&self, signature: &'s Signature<'_>, native: &str, owner: &Owner) -> Text<'s> {
        if is_native(signature, native, owner) { signature.data.borrowed() } else { self.sealed(signature, owner) }
    }

    /// The token wrapped, whoever made it.
    #[must_use]
    pub fn sealed(&self, signature: &Signature<'_>, owner: &Owner) -> Text<'static> {
        let content = content(signature, owner);
        let stamp =
            self.keys.as_ref().and_then(|keys| keys.0.first()).map(|key| self.stamped(key, &content).finalize());
        let stamp = stamp.map(|stamp| stamp.into_bytes()).unwrap_or_default();
        let mut wrapped = Vec::with_capacity(content.len() + 32);
        wrapped.extend_from_slice(b"latchkey1");
        wrapped.extend(stamp.iter().take(STAMP));
        wrapped.extend_from_slice(&content);
        Text::from_escaped(STANDARD.encode(wrapped))
    }

    /// The token for a field that has the name of its format beside it: wrapped, so that it comes back to this target
    /// alone. As it is where there is no key, or nothing to wrap.
    #[must_use]
    pub fn bound<'s>(&self, signature: &'s Signature<'_>) -> Text<'s> {
        let keyed = self.keys.as_ref().is_some_and(|keys| !keys.0.is_empty());
        if keyed && !signature.data.is_empty() {
            self.sealed(signature, &Owner::Here)
        } else {
            signature.data.borrowed()
        }
    }

    /// What was wrapped for this very target here; `None` for anything else.
    #[must_use]
    pub fn open(&self, signature: &Signature<'_>) -> Option<Signature<'static>> {
        let wrapped = decode(&signature.data.decode())?;
        let (stamp, content) = split(&wrapped)?;
        let mut keys = self.keys.as_ref()?.0.iter();
        keys.find(|key| self.stamped(key, content).verify_truncated_left(stamp).is_ok())?;
        read(content).map(|(opened, _)| opened)
    }

    /// Opens what `request` brings back of the target's own, and notes what is not.
    pub fn open_all(&self, request: &mut Request<'_>, adjusted: &mut Adjusted) {
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            let (Part::Text { signature: Some(signature), .. }
            | Part::Reasoning { signature: Some(signature), .. }
            | Part::ToolCall { signature: Some(signature), .. }) = part
            else {
                continue;
            };
            if !is_sealed(signature) {
                continue;
            }
            match self.open(signature) {
                Some(opened) => *signature = opened,
                None => adjusted.note("reasoning_details", Change::Dropped),
            }
        }
    }

    fn stamped(&self, key: &Hmac<Sha256>, content: &[u8]) -> Hmac<Sha256> {
        let target = self.target.as_bytes();
        // With its length, so that no other target and content run together to the same bytes.
        let length = u64::try_from(target.len()).unwrap_or(u64::MAX).to_be_bytes();
        key.clone().chain_update(length).chain_update(target).chain_update(content)
    }
}

/// One for `p/m`, with a key that is only for tests.
#[cfg(test)]
pub(in crate::wire) fn carrier() -> Carrier {
    Carrier::new(Some(Rc::new(test_keys(&[1]))), "p/m")
}

/// Keys that are only for tests.
#[cfg(test)]
pub(in crate::wire) fn test_keys(bytes: &[u8]) -> Keys {
    Keys::new(bytes.iter().map(|byte| Hmac::new(&[*byte; 64].into())).collect())
}

/// Whether a field of a surface whose own models' format is `native` takes this as it is.
#[must_use]
pub fn is_native(signature: &Signature<'_>, native: &str, owner: &Owner) -> bool {
    *owner == Owner::Here && signature.format.escaped() == native
}

/// Whether it is wrapped still, so that no model can read it.
#[must_use]
pub fn is_sealed(signature: &Signature<'_>) -> bool {
    signature.format.escaped() == SEALED
}

/// Reads such a field. What is not wrapped is a token of the surface's own models; what is stays so until
/// [`Carrier::open`]. `None` where a wrapped one is broken.
#[must_use]
pub fn unwrap<'a>(data: Text<'a>, native: &'static str, role: SignatureRole) -> Option<(Signature<'a>, Owner)> {
    if !data.escaped().starts_with(MARK) {
        return Some((Signature { format: Text::from_escaped(native), data, id: None, role }, Owner::Here));
    }
    let wrapped = decode(&data.decode())?;
    let (_, content) = split(&wrapped)?;
    let (Signature { role, .. }, owner) = read(content)?;
    Some((Signature { format: Text::from_escaped(SEALED), data, id: None, role }, owner))
}

/// Reads a field that has the name of its format beside it: what is wrapped stays so until [`Carrier::open`], and
/// anything else was brought from elsewhere and is who's it says.
#[must_use]
pub fn bound<'a>(data: Text<'a>, format: Text<'a>, id: Option<Text<'a>>, role: SignatureRole) -> Signature<'a> {
    let format = if data.escaped().starts_with(MARK) { Text::from_escaped(SEALED) } else { format };
    Signature { format, data, id, role }
}

/// All that is stamped.
fn content(signature: &Signature<'_>, owner: &Owner) -> Vec<u8> {
    let data = signature.data.decode();
    let bytes = STANDARD.decode(data.as_bytes()).ok().filter(|bytes| STANDARD.encode(bytes) == *data);
    let mut flags = match owner {
        Owner::Here => 0,
        Owner::Call(_) => OF_CALL,
        Owner::Text => OF_TEXT,
        Owner::Thought => OF_THOUGHT,
    };
    let mut set = |flag: u8, on: bool| flags |= if on { flag } else { 0 };
    set(REPLACES, signature.role == SignatureRole::Replaces);
    set(AS_BYTES, bytes.is_some());
    set(HAS_ID, signature.id.is_some());
    let mut content = Vec::with_capacity(data.len() + 64);
    content.push(flags);
    push(&mut content, signature.format.decode().as_bytes());
    if let Some(id) = &signature.id {
        push(&mut content, id.decode().as_bytes());
    }
    if let Owner::Call(call) = owner {
        push(&mut content, call.as_bytes());
    }
    content.extend_from_slice(bytes.as_deref().unwrap_or(data.as_bytes()));
    content
}

fn read(content: &[u8]) -> Option<(Signature<'static>, Owner)> {
    let (&flags, mut rest) = content.split_first()?;
    let format = take(&mut rest)?;
    let id = if flags & HAS_ID == 0 { None } else { Some(take(&mut rest)?) };
    let owner = match flags & (OF_CALL | OF_TEXT | OF_THOUGHT) {
        0 => Owner::Here,
        OF_CALL => Owner::Call(take(&mut rest)?),
        OF_TEXT => Owner::Text,
        _ => Owner::Thought,
    };
    let data = if flags & AS_BYTES == 0 { String::from_utf8(rest.to_vec()).ok()? } else { STANDARD.encode(rest) };
    let signature = Signature {
        format: Text::escape_owned(format),
        data: Text::escape_owned(data),
        id: id.map(Text::escape_owned),
        role: if flags & REPLACES == 0 { SignatureRole::Signs } else { SignatureRole::Replaces },
    };
    Some((signature, owner))
}

/// The stamp, and what it is a stamp of.
fn split(wrapped: &[u8]) -> Option<(&[u8], &[u8])> {
    wrapped.get(MARK.len() / 4 * 3..)?.split_at_checked(STAMP)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let engines = [&STANDARD_ALPHABET, &URL_SAFE_ALPHABET].map(|alphabet| GeneralPurpose::new(alphabet, LENIENT));
    engines.iter().find_map(|engine| engine.decode(text).ok())
}

/// A piece with its length before it; what is longer than two bytes can say is cut, as nothing of ours is.
fn push(out: &mut Vec<u8>, piece: &[u8]) {
    let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(piece.get(..usize::from(length)).unwrap_or_default());
}

fn take(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (piece, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    String::from_utf8(piece.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NATIVE: &str = "anthropic-claude-v1";

    fn carrier(bytes: &[u8], target: &str) -> Carrier {
        Carrier::new(Some(Rc::new(test_keys(bytes))), target)
    }

    fn owner() -> impl Strategy<Value = Owner> {
        prop_oneof![Just(Owner::Here), Just(Owner::Text), Just(Owner::Thought), any::<String>().prop_map(Owner::Call)]
    }

    fn foreign() -> Signature<'static> {
        Signature {
            format: Text::from_escaped("google-gemini-v1"),
            data: Text::from_escaped("EqQB"),
            id: None,
            role: SignatureRole::Signs,
        }
    }

    proptest! {
        #[test]
        fn what_is_wrapped_comes_back_whole_to_its_maker_alone(
            format in "[a-z0-9-]{0,24}",
            data in any::<String>().prop_filter("no mark", |data| !data.starts_with(MARK)),
            bytes in any::<bool>(),
            id in any::<Option<String>>(),
            replaces in any::<bool>(),
            owner in owner(),
        ) {
            let maker = carrier(&[1], "p/m");
            let data = if bytes { STANDARD.encode(data.as_bytes()) } else { data };
            let role = if replaces { SignatureRole::Replaces } else { SignatureRole::Signs };
            let signature = Signature {
                format: Text::escape(&format),
                data: Text::escape(&data),
                id: id.as_deref().map(Text::escape),
                role,
            };
            let wrapped = maker.sealed(&signature, &owner);
            // Bytes written by an SDK in the other alphabet, without padding.
            let respelled = wrapped.escaped().replace('+', "-").replace('/', "_").replace('=', "");
            for spelling in [wrapped, Text::escape(&respelled).into_owned()] {
                let (sealed, read_owner) = unwrap(spelling, NATIVE, SignatureRole::Signs).expect("what was wrapped");
                prop_assert!(is_sealed(&sealed) && sealed.role == role && read_owner == owner);
                prop_assert_eq!(maker.open(&sealed), Some(signature.clone()));
                for other in [carrier(&[1], "p/n"), carrier(&[1], "q/m"), carrier(&[2], "p/m"), Carrier::default()] {
                    prop_assert_eq!(other.open(&sealed), None);
                }
            }
        }

        #[test]
        fn no_change_goes_unnoticed(at in 12usize..64, letter in "[A-Za-z0-9]") {
            let maker = carrier(&[1], "p/m");
            let mut wrapped = maker.sealed(&foreign(), &Owner::Here).escaped().to_owned();
            let at = at.min(wrapped.len() - 1);
            prop_assume!(wrapped[at..=at] != letter);
            wrapped.replace_range(at..=at, &letter);
            let read = unwrap(Text::escape(&wrapped), NATIVE, SignatureRole::Signs);
            // The last letters of base64 may say the same in several ways.
            let opened = read.and_then(|(sealed, _)| maker.open(&sealed));
            prop_assert!(opened.is_none_or(|opened| opened == foreign()));
        }

        #[test]
        fn nonsense_is_no_signature(tail in "[A-Za-z0-9+/=_-]{0,60}") {
            if let Some((read, _)) = unwrap(Text::from_escaped(format!("{MARK}{tail}")), NATIVE, SignatureRole::Signs) {
                prop_assert_eq!(carrier(&[1], "p/m").open(&read), None);
            }
        }
    }

    #[test]
    fn a_surfaces_own_token_stands_as_it_came() {
        let own = Signature { format: Text::from_escaped(NATIVE), ..foreign() };
        let carrier = carrier(&[1], "p/m");
        assert_eq!(carrier.wrap(&own, NATIVE, &Owner::Here).escaped(), "EqQB");
        assert!(carrier.wrap(&own, "google-gemini-v1", &Owner::Here).escaped().starts_with(MARK));
        assert!(carrier.wrap(&own, NATIVE, &Owner::Text).escaped().starts_with(MARK));
    }

    #[test]
    fn a_token_beside_its_format_is_bound_where_there_is_a_key() {
        let own = Signature { id: Some(Text::from_escaped("rs_1")), ..foreign() };
        let read = |data| bound(data, own.format.borrowed(), own.id.clone(), own.role);
        let wrapped = carrier(&[1], "p/m").bound(&own).into_owned();
        let sealed = read(wrapped);
        assert!(is_sealed(&sealed));
        assert_eq!(carrier(&[1], "p/m").open(&sealed).as_ref(), Some(&own));
        assert_eq!(carrier(&[1], "p/n").open(&sealed), None, "another model");
        assert_eq!(read(Carrier::default().bound(&own)), own, "nobody could open it");
        assert_eq!(read(own.data.clone()), own, "what was brought from elsewhere");
        let empty = Signature { data: Text::EMPTY, ..foreign() };
        assert!(carrier(&[1], "p/m").bound(&empty).is_empty());
    }

    #[test]
    fn what_an_older_key_stamped_still_opens() {
        let sealed = Text::escape_owned(carrier(&[1], "p/m").sealed(&foreign(), &Owner::Here).escaped().to_owned());
        let (sealed, _) = unwrap(sealed, NATIVE, SignatureRole::Signs).expect("what was wrapped");
        assert_eq!(carrier(&[2, 1], "p/m").open(&sealed), Some(foreign()));
    }

    #[test]
    fn what_another_target_made_is_left_sealed_and_said() {
        let sealed = carrier(&[1], "p/m").sealed(&foreign(), &Owner::Here);
        let (sealed, _) = unwrap(sealed, NATIVE, SignatureRole::Signs).expect("what was wrapped");
        let part = || Part::Reasoning { text: Text::from_escaped("hm"), signature: Some(sealed.clone()) };
        let message = || crate::chat::Message { role: crate::chat::Role::Assistant, name: None, parts: vec![part()] };
        let mut request = Request { messages: vec![message()], ..Request::default() };
        let mut adjusted = Adjusted::default();
        carrier(&[1], "q/m").open_all(&mut request, &mut adjusted);
        assert_eq!((&request.messages[0].parts[0], adjusted.header().as_str()), (&part(), "reasoning_details=dropped"));
        let mut adjusted = Adjusted::default();
        carrier(&[1], "p/m").open_all(&mut request, &mut adjusted);
        let Part::Reasoning { signature, .. } = &request.messages[0].parts[0] else { panic!("a thought") };
        assert_eq!((signature.as_ref(), adjusted.is_empty()), (Some(&foreign()), true));
    }
}

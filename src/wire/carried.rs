//! Signatures of another protocol's models, in a field that was made for those of a surface's own.
//!
//! A caller of a surface sends back what it got in such a field without looking into it. What the surface's own models
//! signed stands there as it came. Anything else is wrapped in base64 that begins with [`MARK`] and says who can read
//! it, what it is to its block, and where it belongs where the surface has no field at that place. So it comes back to
//! its maker whole, and is known for foreign everywhere else.
//!
//! Nothing here is a secret or a promise: what is wrapped is opaque to all but its maker, who checks it.

use base64::Engine as _;
use base64::alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose::NO_PAD};

use crate::chat::{Signature, SignatureRole};
use crate::json::Text;

/// How every wrapped signature begins: base64 of `latchkey1`, in either alphabet.
pub const MARK: &str = "bGF0Y2hrZXkx";

const REPLACES: u8 = 1;
/// The token was base64 itself and is wrapped as its bytes.
const AS_BYTES: u8 = 2;
const OF_CALL: u8 = 4;
const OF_TEXT: u8 = 8;
const HAS_ID: u8 = 16;

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
}

/// Whether a field of a surface whose own models' format is `native` takes this as it is.
#[must_use]
pub fn is_native(signature: &Signature<'_>, native: &str, owner: &Owner) -> bool {
    *owner == Owner::Here && signature.format.escaped() == native
}

/// The field's content: the token itself where it is the surface's own, else wrapped.
#[must_use]
pub fn wrap<'s>(signature: &'s Signature<'_>, native: &str, owner: &Owner) -> Text<'s> {
    if is_native(signature, native, owner) {
        return signature.data.borrowed();
    }
    let data = signature.data.decode();
    let bytes = STANDARD.decode(data.as_bytes()).ok().filter(|bytes| STANDARD.encode(bytes) == *data);
    let mut flags = 0;
    let mut set = |flag: u8, on: bool| flags |= if on { flag } else { 0 };
    set(REPLACES, signature.role == SignatureRole::Replaces);
    set(AS_BYTES, bytes.is_some());
    set(OF_CALL, matches!(owner, Owner::Call(_)));
    set(OF_TEXT, *owner == Owner::Text);
    set(HAS_ID, signature.id.is_some());
    let mut wrapped = Vec::with_capacity(data.len() + 64);
    wrapped.extend_from_slice(b"latchkey1");
    wrapped.push(flags);
    push(&mut wrapped, signature.format.decode().as_bytes());
    if let Some(id) = &signature.id {
        push(&mut wrapped, id.decode().as_bytes());
    }
    if let Owner::Call(call) = owner {
        push(&mut wrapped, call.as_bytes());
    }
    wrapped.extend_from_slice(bytes.as_deref().unwrap_or(data.as_bytes()));
    Text::from_escaped(STANDARD.encode(wrapped))
}

/// Reads such a field. What is not wrapped is a token of the surface's own models. `None` where a wrapped one is broken.
#[must_use]
pub fn unwrap<'a>(data: Text<'a>, native: &'static str, role: SignatureRole) -> Option<(Signature<'a>, Owner)> {
    if !data.escaped().starts_with(MARK) {
        return Some((Signature { format: Text::from_escaped(native), data, id: None, role }, Owner::Here));
    }
    let wrapped = decode(&data.decode())?;
    let mut rest = wrapped.get(MARK.len() / 4 * 3..)?;
    let (&flags, after) = rest.split_first()?;
    rest = after;
    let format = take(&mut rest)?;
    let id = if flags & HAS_ID == 0 { None } else { Some(take(&mut rest)?) };
    let owner = match flags & (OF_CALL | OF_TEXT) {
        0 => Owner::Here,
        OF_CALL => Owner::Call(take(&mut rest)?),
        _ => Owner::Text,
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

    fn owner() -> impl Strategy<Value = Owner> {
        prop_oneof![Just(Owner::Here), Just(Owner::Text), any::<String>().prop_map(Owner::Call)]
    }

    proptest! {
        #[test]
        fn what_is_wrapped_comes_back_whole(
            format in "[a-z0-9-]{0,24}",
            data in any::<String>().prop_filter("no mark", |data| !data.starts_with(MARK)),
            bytes in any::<bool>(),
            id in any::<Option<String>>(),
            replaces in any::<bool>(),
            owner in owner(),
        ) {
            let data = if bytes { STANDARD.encode(data.as_bytes()) } else { data };
            let role = if replaces { SignatureRole::Replaces } else { SignatureRole::Signs };
            let signature = Signature {
                format: Text::escape(&format),
                data: Text::escape(&data),
                id: id.as_deref().map(Text::escape),
                role,
            };
            let wrapped = wrap(&signature, NATIVE, &owner).into_owned();
            let (read, read_owner) = unwrap(wrapped.clone(), NATIVE, role).expect("what was wrapped");
            prop_assert_eq!((&read.format, read.data.decode(), read.role), (&signature.format, signature.data.decode(), role));
            prop_assert_eq!(&read_owner, &owner);
            if format != NATIVE {
                prop_assert_eq!(read.id.map(|id| id.decode().into_owned()), id);
                // Bytes written by an SDK in the other alphabet, without padding.
                let respelled = wrapped.escaped().replace('+', "-").replace('/', "_").replace('=', "");
                prop_assert_eq!(unwrap(Text::escape(&respelled), NATIVE, role).map(|(read, _)| read.data), Some(read.data));
            }
        }

        #[test]
        fn nonsense_is_no_signature(tail in "[A-Za-z0-9+/=_-]{0,60}") {
            let _ = unwrap(Text::from_escaped(format!("{MARK}{tail}")), NATIVE, SignatureRole::Signs);
        }
    }

    #[test]
    fn a_surfaces_own_token_stands_as_it_came() {
        let own = Signature {
            format: Text::from_escaped(NATIVE),
            data: Text::from_escaped("EqQB"),
            id: None,
            role: SignatureRole::Signs,
        };
        assert_eq!(wrap(&own, NATIVE, &Owner::Here).escaped(), "EqQB");
        assert!(wrap(&own, "google-gemini-v1", &Owner::Here).escaped().starts_with(MARK));
    }
}

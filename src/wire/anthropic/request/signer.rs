//! Who made a thought that comes back, and whether this model can read it.
//!
//! A thought is bound to the model that had it: another one answers it with a 400 or ignores it. Newer signatures name
//! their model in plain letters, as a string with its length before it inside of the base64
//! (`anthropic.server-tools.b5e35de721`); older ones name none and are taken by every model of this protocol.
//!
//! Source: <https://platform.claude.com/docs/en/models/fable-5-1/whats-new-fable-5-1>.

use base64::Engine as _;

use crate::chat::Signature;
use crate::json::{self, Text};
use crate::provider::is_same_model;
use crate::wire::anthropic::SIGNED;

/// How much of a signature is searched, in letters of base64: the name stands near its beginning.
const HEAD: usize = 1024;

/// Whether `model` can read what `signature` signs. Surfaces that cannot carry the signer's format leave it empty;
/// those know only signatures of this protocol.
pub(super) fn is_readable(signature: &Signature<'_>, model: &str) -> bool {
    let ours = signature.format.is_empty() || signature.format.escaped() == SIGNED;
    ours && maker(&signature.data).is_none_or(|maker| is_same_model(&maker, model))
}

/// The model that a signature names.
fn maker(data: &Text<'_>) -> Option<String> {
    let data = data.decode();
    let head = data.get(..HEAD).unwrap_or(&data);
    let bytes = base64::engine::general_purpose::STANDARD.decode(head).ok()?;
    let at = json::find(&bytes, b"claude-")?;
    let length = usize::from(*bytes.get(at.checked_sub(1)?)?);
    let name = bytes.get(at..at.checked_add(length)?)?;
    std::str::from_utf8(name).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::SignatureRole;

    fn signature(format: &'static str, bytes: &[u8]) -> Signature<'static> {
        let data = base64::engine::general_purpose::STANDARD.encode(bytes);
        Signature {
            format: Text::from_escaped(format),
            data: Text::escape_owned(data),
            id: None,
            role: SignatureRole::Signs,
        }
    }

    #[test]
    fn a_thought_goes_back_to_its_own_model_alone() {
        let named = signature(SIGNED, b"\x12\x90\x01\x32\x0fclaude-sonnet-58\x01");
        assert!(is_readable(&named, "anthropic.claude-sonnet-5"));
        assert!(!is_readable(&named, "claude-sonnet-5-5") && !is_readable(&named, "claude-opus-5"));
        let nameless = signature("", b"\x12\x90\x01");
        assert!(is_readable(&nameless, "claude-opus-5"));
        assert!(!is_readable(&signature("google-gemini-v1", b"\x12"), "claude-opus-5"));
        let cut_off = signature(SIGNED, b"\xffclaude-x");
        assert!(is_readable(&cut_off, "claude-opus-5"));
    }
}

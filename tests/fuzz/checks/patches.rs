//! Bodies that are changed where they stand.

use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::openai_chat::{patch_answer, patch_request, read_plain};
use latchkey::wire::{Adjusted, Closing, RequestPatch};

/// A request and an answer of Chat Completions.
///
/// # Panics
/// Where patching twice changes more than patching once, or an answer is none any more.
pub fn chat(body: &[u8]) {
    for quirks in [Quirks::NONE, Quirks::COMPATIBLE] {
        for stream in [false, true] {
            let facts = ModelFacts::default();
            let patch = RequestPatch {
                model: "m",
                stream,
                facts: &facts,
                default_max_tokens: Some(9),
                keys: None,
                target: "p/m",
            };
            if let Ok(patched) = patch_request(body, &patch, &quirks, &mut Adjusted::default()) {
                let again = patch_request(&patched.body, &patch, &quirks, &mut Adjusted::default());
                assert_eq!(again.expect("JSON stays JSON").body, patched.body, "patching twice changes nothing more");
            }
        }
        if read_plain(body, &quirks).is_ok() {
            let closing = Closing::default();
            for hide_reasoning in [false, true] {
                let patched = patch_answer(body, &closing, hide_reasoning);
                assert!(read_plain(&patched, &quirks).is_ok(), "an answer stays one");
            }
        }
    }
}

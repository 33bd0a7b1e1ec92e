#![no_main]

use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::{Adjusted, Format, InlinedMedia, RequestPatch, Surface, Target};
use libfuzzer_sys::fuzz_target;

const SURFACES: [Surface; 4] = [Surface::Anthropic, Surface::Gemini, Surface::Bedrock, Surface::Cohere];

// What any surface can read, every format writes or refuses, and what is patched is still read.
fuzz_target!(|body: &[u8]| {
    let (facts, inlined) = (ModelFacts::default(), InlinedMedia::new());
    let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let patch = RequestPatch { model: "m", stream: true, facts: &facts, default_max_tokens: Some(9) };
    for surface in SURFACES {
        let Ok(request) = surface.read_request(body) else { continue };
        for format in Format::ALL {
            if let Ok(outgoing) = format.write_request(&request, &target, &mut Adjusted::default()) {
                assert!(std::str::from_utf8(&outgoing.body).is_ok_and(|body| body.starts_with('{')), "a JSON object");
            }
        }
        let patched = surface.patch_request(body, &patch, &Quirks::NONE, &|_| None, &mut Adjusted::default());
        let patched = patched.expect("what is read can be patched");
        assert!(surface.read_request(&patched.outgoing.body).is_ok(), "a request stays one");
    }
});

//! What callers send.

use latchkey::failure::Kind;
use latchkey::json::{Raw, check_depth};
use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::carried::Carrier;
use latchkey::wire::openai_chat::read_request;
use latchkey::wire::{Adjusted, Format, InlinedMedia, RequestPatch, Surface, Target};

/// A request of Chat Completions, as every format writes it.
///
/// # Panics
/// Where what is written is no JSON.
pub fn chat(body: &[u8]) {
    // The gateway refuses deeper bodies before they are read.
    if check_depth(body, 100).is_err() {
        return;
    }
    let Ok(request) = read_request(body) else { return };
    let facts = ModelFacts::default();
    let inlined = InlinedMedia::new();
    for format in Format::ALL.iter().copied() {
        let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
        let _links = format.links_to_inline(&request, &target);
        if let Ok(outgoing) = format.write_request(&request, &target, &mut Adjusted::default()) {
            assert!(Raw::parse(std::str::from_utf8(&outgoing.body).expect("UTF-8")).is_ok(), "JSON");
        }
    }
}

/// What any surface can read, every format writes or refuses, and what is patched is still read.
///
/// # Panics
/// Where that does not hold.
pub fn surfaces(body: &[u8]) {
    // The gateway refuses deeper bodies before they are read.
    if check_depth(body, 100).is_err() {
        return;
    }
    let (facts, inlined) = (ModelFacts::default(), InlinedMedia::new());
    let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
    let patch = RequestPatch {
        model: "m",
        stream: true,
        facts: &facts,
        default_max_tokens: Some(9),
        keys: None,
        target: "p/m",
    };
    for surface in Surface::ALL {
        let Ok(mut request) = surface.read_request(body) else { continue };
        Carrier::default().open_all(&mut request, &mut Adjusted::default());
        for format in Format::ALL {
            let _links = format.links_to_inline(&request, &target);
            if let Ok(outgoing) = format.write_request(&request, &target, &mut Adjusted::default()) {
                let body = std::str::from_utf8(&outgoing.body).expect("UTF-8");
                assert!(Raw::parse(body).is_ok_and(|body| body.is_object()), "a JSON object");
            }
        }
        // What would be kept at the provider, or is a parameter that this one refuses, is refused here.
        let patched = surface.patch_request(body, &patch, &Quirks::NONE, &|_| None, &mut Adjusted::default());
        match patched {
            Ok(patched) => assert!(surface.read_request(&patched.outgoing.body).is_ok(), "a request stays one"),
            Err(failure) => assert_eq!(failure.kind, Kind::Unsupported, "{failure}"),
        }
    }
}

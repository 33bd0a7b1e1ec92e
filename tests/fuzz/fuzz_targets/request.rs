#![no_main]

use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::openai_chat::read_request;
use latchkey::wire::{Adjusted, Format, InlinedMedia, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    // The gateway refuses deeper bodies before they are read.
    if latchkey::json::check_depth(body, 100).is_err() {
        return;
    }
    let Ok(request) = read_request(body) else { return };
    let facts = ModelFacts::default();
    let inlined = InlinedMedia::new();
    for format in Format::ALL.iter().copied() {
        let target = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &inlined };
        let _links = format.links_to_inline(&request, &target);
        if let Ok(outgoing) = format.write_request(&request, &target, &mut Adjusted::default()) {
            assert!(latchkey::json::Raw::parse(std::str::from_utf8(&outgoing.body).expect("UTF-8")).is_ok(), "JSON");
        }
    }
});

//! Recorded requests of every surface, as they would be sent to every format: held against what it takes.

use latchkey::provider::{ModelFacts, Quirks};
use latchkey::wire::{Adjusted, Format, InlinedMedia, InlinedPart, Surface, Target};
use serde_json::{Value, json};

use super::corpus::corpus;
use super::schema;
use super::scope::{Scope, scope};

#[test]
fn what_is_written_of_recorded_requests_is_what_the_format_takes() {
    let (recordings, whole) = corpus();
    let facts = ModelFacts { max_output: Some(64_000), ..ModelFacts::default() };
    let (mut checked, mut wrong) = (0, Vec::new());
    for recording in recordings.iter().filter(|recording| recording.status < 400) {
        let (Scope::Chat { format, .. }, Some(mut body)) = (scope(recording), recording.request.clone()) else {
            continue;
        };
        let Some(surface) = Surface::ALL.into_iter().find(|surface| surface.format() == format) else { continue };
        if body.is_object() && body["model"].is_null() {
            body["model"] = json!("m");
        }
        let body = body.to_string();
        let Ok(request) = surface.read_request(body.as_bytes()) else { continue };
        for target in targets(format) {
            let nothing = InlinedMedia::new();
            let at = Target { model: "m", quirks: &Quirks::NONE, facts: &facts, inlined: &nothing };
            let mut inlined = InlinedMedia::new();
            for link in target.links_to_inline(&request, &at) {
                inlined.insert(link, InlinedPart { media_type: "image/jpeg".to_owned(), data: "/9j/".to_owned() });
            }
            let at = Target { inlined: &inlined, ..at };
            // What cannot be said is refused by name.
            let Ok(made) = target.write_request(&request, &at, &mut Adjusted::default()) else { continue };
            checked += 1;
            let made: Value = serde_json::from_slice(&made.body).expect("JSON");
            if let Err(why) = schema::holds(target, &made) {
                let why: String = why.chars().take(300).collect();
                wrong.push(format!("{} to {}: {why}", recording.id, target.as_str()));
            }
        }
    }
    println!("checked {checked} requests");
    assert!(!whole || checked > 1_000, "only {checked} requests were checked");
    assert!(wrong.is_empty(), "{} requests:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a model of Workers AI takes is in its row.
fn targets(format: Format) -> impl Iterator<Item = Format> {
    Format::ALL.iter().copied().filter(move |target| *target != format && *target != Format::WorkersAi)
}

//! The models of the README's examples are there to be called, and for longer than the catalogue can see.

use std::fs;
use std::path::Path;

use latchkey::provider::models::find;

/// Providers whose models the catalogue lists under their own names.
const PROVIDERS: [&str; 6] = ["anthropic", "cohere", "gemini", "groq", "mistral", "openai"];

#[test]
fn models_of_the_examples_are_listed_and_do_not_retire() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let (mut found, mut faults) = (0, Vec::new());
    let words = readme.split(|character: char| !(character.is_ascii_alphanumeric() || "/-._*:".contains(character)));
    for word in words {
        let Some((provider, model)) = word.split_once('/').filter(|(provider, _)| PROVIDERS.contains(provider)) else {
            continue;
        };
        let model = model.trim_end_matches(['.', ':']);
        if model.is_empty() || model.contains(['*', ':']) {
            continue;
        }
        found += 1;
        match find(provider, model).map(|entry| entry.retires()) {
            None => faults.push(format!("{word} is not listed")),
            Some(Some(day)) => faults.push(format!("{word} retires on {day}")),
            Some(None) => {}
        }
    }
    assert!(found > 50, "{found}");
    assert!(faults.is_empty(), "{faults:#?}");
}

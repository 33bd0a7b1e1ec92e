//! The README's table of what is lost where says what the code does.

#![allow(clippy::expect_used)]

use latchkey::wire::Format;
use latchkey::wire::losses::{Fate, LOSSES, fate};

/// The table as it must stand in the README.
fn table() -> String {
    let mut table = String::from("| parameter | no word for it in | a loss is | because |\n|---|---|---|---|\n");
    for row in LOSSES {
        let without: Vec<&str> = [
            (Format::OpenAiResponses, "Responses"),
            (Format::Anthropic, "Anthropic"),
            (Format::Gemini, "Gemini"),
            (Format::Bedrock, "Bedrock"),
            (Format::Cohere, "Cohere"),
            (Format::Ollama, "Ollama"),
            (Format::WorkersAi, "Workers AI"),
        ]
        .into_iter()
        .filter(|(format, _)| fate(*format, row.parameter) != Fate::Honoured)
        .map(|(_, name)| name)
        .collect();
        let fate = if row.harmful { "refused" } else { "listed" };
        table.push_str(&format!("| `{}` | {} | {fate} | {} |\n", row.parameter, without.join(", "), row.meaning));
    }
    table
}

#[test]
fn the_readme_says_what_is_lost_where() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    assert!(readme.contains(&table()), "README.md must hold this table:\n{}", table());
}

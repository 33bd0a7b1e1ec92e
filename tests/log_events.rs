//! The README says of every line that the log can hold what it means.

use std::fs;
use std::path::Path;

/// How the code writes the name of an event, up to its opening quote.
const MARKS: [&str; 5] = ["failed(\"", "lacked(\"", "say(\"", "string(\"event\", \"", "event: \""];

#[test]
fn every_event_of_the_log_is_in_the_readme_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut events: Vec<String> = Vec::new();
    for file in fs::read_dir(root.join("src/edge")).expect("the platform's code") {
        let code = fs::read_to_string(file.expect("a file").path()).expect("text");
        for mark in MARKS {
            events.extend(code.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    events.sort();
    events.dedup();
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let (_, table) = readme.split_once("| `event` | what happened | what to do |").expect("the table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let rows = table.lines().filter_map(|row| row.split('|').nth(1));
    let mut told: Vec<String> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect();
    told.sort();
    assert_eq!(told, events);
}

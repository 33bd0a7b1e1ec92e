//! Rules about the tree that no compiler checks.

// Tests may stop at what surprises them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use latchkey::provider::PROVIDERS;

/// Longest file, in lines.
const MAX_LINES: usize = 700;

/// Who may know whom: a module names only modules of its own level or above it in this list.
const LEVELS: [&[&str]; 6] = [
    &["units", "failure", "json", "secret", "sorted"],
    &["chat"],
    &["provider", "wire", "route", "keys", "config", "breaker", "budget", "limit", "observe", "sandbox", "http"],
    &["gateway"],
    &["admin"],
    &["edge"],
];

struct Source {
    /// Below `src`.
    path: PathBuf,
    /// Without comments and without tests, line by line.
    code: Vec<String>,
    lines: usize,
}

#[test]
fn only_the_edge_names_the_platform() {
    for source in sources().iter().filter(|source| !source.path.starts_with("edge")) {
        for (number, line) in source.code.iter().enumerate() {
            let named = ["worker::", "use worker", "js_sys", "web_sys", "wasm_bindgen"];
            let found = named.iter().find(|name| line.contains(*name));
            assert_eq!(found, None, "{}:{}", source.path.display(), number + 1);
        }
    }
}

#[test]
fn the_platform_is_a_dependency_of_one_target_only() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let package = line.split(['=', ' ']).next().unwrap_or_default();
        if ["worker", "js-sys", "web-sys", "wasm-bindgen", "wasm-bindgen-futures"].contains(&package) {
            assert_eq!(section, "[target.'cfg(target_arch = \"wasm32\")'.dependencies]", "{line}");
        }
    }
}

#[test]
fn readiness_asks_for_the_newest_migration() {
    let migrations = std::fs::read_dir(root().join("migrations")).expect("the migrations");
    let names = migrations.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    assert_eq!(names.max().as_deref(), Some(latchkey::admin::NEWEST_MIGRATION));
}

/// `wrangler d1 migrations apply --remote` sends a file as it is, and the far side cuts it into statements. It knows the body of
/// a trigger by `BEGIN` in capitals and takes the next `END` for the last, so that one with a `CASE` is "incomplete input"
/// (<https://github.com/cloudflare/workers-sdk/issues/4326>, 10998 and 14991). Functions take 32 arguments by
/// <https://developers.cloudflare.com/d1/platform/limits/>. None of this shows on the database of this machine.
#[test]
fn migrations_are_what_a_deployed_database_takes() {
    let mut triggers = 0;
    for entry in std::fs::read_dir(root().join("migrations")).expect("the migrations") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a migration");
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(!text.contains('\r'), "{name}");
        let sql: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let sql = sql.join("\n");
        for trigger in sql.split("CREATE TRIGGER").skip(1) {
            triggers += 1;
            let is_mark = |word: &&str| ["begin", "case", "end"].contains(&word.to_ascii_lowercase().as_str());
            let words = trigger.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let marks: Vec<&str> = words.filter(is_mark).take(2).collect();
            assert_eq!((marks, trigger.contains("\nEND;")), (vec!["BEGIN", "END"], true), "{name}:{trigger}");
        }
        assert!(most_arguments(&sql) <= 32, "{name}: a function with {} arguments", most_arguments(&sql));
    }
    assert!(triggers > 5, "the triggers were not found");
}

/// Without this flag a link of a caller's to a host of the gateway's own zone goes straight to its origin, past the zone's
/// firewall and Access (<https://developers.cloudflare.com/workers/configuration/compatibility-flags/#global-fetch-strictly-public>).
/// On this machine it does nothing.
#[test]
fn what_callers_link_to_is_fetched_as_from_outside() {
    let text = std::fs::read_to_string(root().join("wrangler.toml")).expect("the settings");
    let flags = text.lines().find(|line| line.starts_with("compatibility_flags")).expect("the flags");
    assert!(flags.contains("\"global_fetch_strictly_public\""), "{flags}");
}

/// Arguments of the longest call of a function: a name with a parenthesis right behind it.
fn most_arguments(sql: &str) -> usize {
    let (mut most, mut quoted, mut before, mut open) = (0, false, ' ', Vec::new());
    for character in sql.chars() {
        match character {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => open.push(before.is_ascii_alphanumeric().then_some(1)),
            ')' => most = most.max(open.pop().flatten().unwrap_or(0)),
            ',' => open.iter_mut().last().into_iter().flatten().for_each(|arguments| *arguments += 1),
            _ => {}
        }
        before = character;
    }
    most
}

#[test]
fn vendors_are_data() {
    let formats = ["anthropic", "bedrock", "cohere", "gemini", "ollama", "openai"];
    for source in sources() {
        let mut folders = source.path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let top = folders.next().unwrap_or_default();
        if ["provider", "sandbox"].contains(&top.as_str()) {
            continue;
        }
        for (number, line) in source.code.iter().enumerate() {
            for literal in line.split('"').skip(1).step_by(2) {
                let vendor = PROVIDERS.iter().find(|row| row.id == literal);
                let named_after_a_format = formats.contains(&literal) && ["wire", "config"].contains(&top.as_str());
                let at = format!("{}:{}", source.path.display(), number + 1);
                assert!(vendor.is_none() || named_after_a_format, "{at} names the vendor {literal}");
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for source in sources() {
        assert!(source.lines <= MAX_LINES, "{} has {} lines", source.path.display(), source.lines);
    }
}

#[test]
fn dependencies_point_one_way() {
    for source in sources() {
        let own = source.path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let own = own.unwrap_or_default();
        let own = own.trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        for (number, line) in source.code.iter().enumerate() {
            for named in line.split("crate::").skip(1) {
                let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(named.len());
                let named = &named[..end];
                let at = format!("{}:{}", source.path.display(), number + 1);
                if !named.is_empty() && named != own {
                    assert!(level(named) <= level(own), "{at}: `{own}` looks up to `{named}`");
                }
            }
        }
    }
}

fn level(module: &str) -> usize {
    LEVELS.iter().position(|modules| modules.contains(&module)).unwrap_or_else(|| panic!("`{module}` has no level"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    let mut only_for_tests = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                only_for_tests.extend(test_modules(&path, &text));
                let below = path.strip_prefix(root().join("src")).expect("below src").to_owned();
                found.push(Source { path: below, code: code(&text), lines: text.lines().count() });
            }
        }
    }
    let of_tests = |source: &Source| only_for_tests.iter().any(|module| source.path.starts_with(module));
    for source in &mut found {
        if only_for_tests.iter().any(|module| source.path == module.with_extension("rs")) {
            source.code.clear();
        }
    }
    found.retain(|source| !of_tests(source));
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// Modules declared in `text` under `#[cfg(test)]` that have files of their own, below `src` and without extension.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let below = path.strip_prefix(root().join("src")).expect("below src");
    let is_root = ["mod.rs", "lib.rs"].iter().any(|name| below.ends_with(name));
    let folder = if is_root { below.parent().expect("a folder").to_owned() } else { below.with_extension("") };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0].starts_with("#[cfg(test)]"));
    declared
        .filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| folder.join(name)))
        .collect()
}

/// What of `text` is neither comment nor test.
fn code(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = line.starts_with("#[cfg(test)]") && lines.peek().is_some_and(|next| next.ends_with('{'));
        if opens_tests {
            break;
        }
        let comment = line.find("//").filter(|at| !line[..*at].ends_with(':'));
        code.push(comment.map_or(line, |at| &line[..at]).to_owned());
    }
    code
}

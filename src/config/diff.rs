//! What a new document changes.

use super::place::Fault;
use super::read::parse;
use crate::json::tree::Node;
use crate::sorted;

/// More than this many differences are not listed.
const MAX_DIFFERENCES: usize = 1_000;

/// One value that two documents have differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, such as `models.openai/gpt-4o.context`.
    pub path: String,
    /// The old value as JSON; `None` where there was none.
    pub before: Option<String>,
    /// The new value as JSON; `None` where there is none any more.
    pub after: Option<String>,
}

/// The differences between two documents, in the order of their paths. Lists differ as a whole or not at all.
///
/// # Errors
/// Where one of them is not JSON, or too large or too deep to be read.
pub fn diff(old: &[u8], new: &[u8]) -> Result<Vec<Difference>, Fault> {
    let mut differences = Vec::new();
    compare("", Some(&parse(old)?), Some(&parse(new)?), &mut differences);
    Ok(differences)
}

fn compare(path: &str, old: Option<&Node>, new: Option<&Node>, differences: &mut Vec<Difference>) {
    if old == new || differences.len() >= MAX_DIFFERENCES {
        return;
    }
    if let (Some(Node::Object(old)), Some(Node::Object(new))) = (old, new) {
        let mut keys: Vec<&String> = old.0.iter().chain(&new.0).map(|(key, _)| key).collect();
        sorted::sort(&mut keys);
        keys.dedup();
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&path, old.get(key), new.get(key), differences);
        }
        return;
    }
    let show = |node: Option<&Node>| node.map(|node| node.to_raw().get().to_owned());
    differences.push(Difference { path: path.to_owned(), before: show(old), after: show(new) });
}

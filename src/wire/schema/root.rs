//! Roots that must be objects.

use super::resolve::merge;
use super::tree::{Members, Node};

/// `node` as a plain object schema, and whether alternatives were lost on the way: what any of them has may be there,
/// what all of them require must be.
pub(super) fn object(node: Node) -> (Node, bool) {
    let Node::Object(mut members) = node else { return (empty(), true) };
    let Some(Node::Array(variants)) = members.remove("anyOf") else {
        let is_object = match members.get("type") {
            Some(Node::String(kind)) => kind == "object",
            Some(Node::Array(kinds)) => kinds.iter().any(|kind| kind.text() == Some("object")),
            // No type is any value: an object without properties.
            _ => false,
        };
        members.remove("nullable");
        members.set("type", Node::string("object"));
        return if is_object { (Node::Object(members), false) } else { (empty(), true) };
    };
    let mut merged = Members::default();
    let mut required: Option<Vec<Node>> = None;
    for variant in variants {
        let Node::Object(mut variant) = variant else { continue };
        if variant.text("type") != Some("object") {
            continue;
        }
        let own = match variant.remove("required") {
            Some(Node::Array(names)) => names,
            _ => Vec::new(),
        };
        required = Some(match required {
            None => own,
            Some(known) => known.into_iter().filter(|name| own.contains(name)).collect(),
        });
        merge(&mut merged, variant);
    }
    merge(&mut members, merged);
    members.remove("nullable");
    members.set("type", Node::string("object"));
    if let Some(names) = required.filter(|names| !names.is_empty()) {
        members.set("required", Node::Array(names));
    }
    (Node::Object(members), true)
}

fn empty() -> Node {
    Node::Object(Members(vec![("type".to_owned(), Node::string("object"))]))
}

//! Roots that must be objects.

use super::resolve::{Cut, Resolver, merge};
use crate::json::tree::{Members, Node};

/// `root` as a plain object schema in the words that it is written in, and whether alternatives were lost on the way;
/// nothing where it describes something else.
pub(super) fn folded(root: &Node) -> Option<(Node, bool)> {
    let mut resolver = Resolver::new(root);
    let mut members = resolver.flatten(root).ok()?.into_owned();
    let mut variants = Vec::new();
    for key in ["anyOf", "oneOf"] {
        let Some(Node::Array(listed)) = members.remove(key) else { continue };
        for variant in &listed {
            resolver.leave(0);
            let Ok(variant) = resolver.flatten(variant) else { continue };
            let mut variant = variant.into_owned();
            if resolver.charge(&variant, 1) == Err(Cut) {
                return None;
            }
            // What says no type narrows the object that the root describes.
            if !variant.has("type") {
                variant.set("type", Node::string("object"));
            }
            variants.push(Node::Object(variant));
        }
        if !variants.iter().any(|variant| variant.members().is_some_and(is_object)) {
            return None;
        }
    }
    if !members.has("type") {
        members.set("type", Node::string("object"));
    }
    if !is_object(&members) {
        return None;
    }
    if !variants.is_empty() {
        members.push("anyOf", Node::Array(variants));
    }
    Some(object(Node::Object(members)))
}

fn is_object(members: &Members) -> bool {
    match members.get("type") {
        Some(Node::String(kind)) => kind == "object",
        Some(Node::Array(kinds)) => kinds.iter().any(|kind| kind.text() == Some("object")),
        _ => false,
    }
}

/// `node` as a plain object schema, and whether alternatives were lost on the way: what any of them has may be there,
/// what all of them require must be.
pub(super) fn object(node: Node) -> (Node, bool) {
    let Node::Object(mut members) = node else { return (empty(), true) };
    let Some(Node::Array(variants)) = members.remove("anyOf") else {
        // No type is any value: an object without properties.
        let is_object = is_object(&members);
        members.remove("nullable");
        members.set("type", Node::string("object"));
        return if is_object { (Node::Object(members), false) } else { (empty(), true) };
    };
    let mut merged = Members::default();
    let mut required: Option<Vec<Node>> = None;
    for variant in variants {
        let Node::Object(mut variant) = variant else { continue };
        if !is_object(&variant) {
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
    if let Some(names) = required.filter(|names| !names.is_empty()) {
        merged.set("required", Node::Array(names));
    }
    merge(&mut members, merged);
    members.remove("nullable");
    members.set("type", Node::string("object"));
    (Node::Object(members), true)
}

fn empty() -> Node {
    Node::Object(Members(vec![("type".to_owned(), Node::string("object"))]))
}

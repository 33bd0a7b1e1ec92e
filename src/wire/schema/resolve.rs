//! `$ref` and `allOf`: what a schema really says, in one object.

use crate::json::tree::{Members, Node};
use crate::sorted;
use std::borrow::Cow;

/// References that lead to references, and `allOf` within `allOf`.
const MAX_HOPS: usize = 16;
/// Bytes that may be copied while one schema unfolds: references can multiply it without end.
const MAX_COPIED: usize = 8 << 20;

/// Follows references within one document.
pub(super) struct Resolver<'s> {
    root: &'s Node,
    /// The references that the present node lies within, outermost first.
    within: Vec<String>,
    /// How many of them the node that is being flattened lay within already.
    outside: usize,
    /// The references that are being followed at this moment.
    following: Vec<String>,
    copied: usize,
}

/// A reference that leads back to itself, or nowhere, or too far.
#[derive(Debug, PartialEq)]
pub(super) struct Cut;

impl<'s> Resolver<'s> {
    pub fn new(root: &'s Node) -> Resolver<'s> {
        Resolver { root, within: Vec::new(), outside: 0, following: Vec::new(), copied: 0 }
    }

    /// How deep within references the walk is, for [`Resolver::leave`].
    pub fn depth(&self) -> usize {
        self.within.len()
    }

    /// The walk is done with a node that was entered at `depth`.
    pub fn leave(&mut self, depth: usize) {
        self.within.truncate(depth);
    }

    /// Notes that `members` are about to be copied `times`.
    pub fn charge(&mut self, members: &Members, times: usize) -> Result<(), Cut> {
        self.copied = self.copied.saturating_add(members.weight().saturating_add(32).saturating_mul(times));
        if self.copied > MAX_COPIED { Err(Cut) } else { Ok(()) }
    }

    /// The members of `node` with references followed and `allOf` merged. What stands beside a `$ref` counts before
    /// what it points to. The walk is within the reference from then on.
    pub fn flatten<'n>(&mut self, node: &'n Node) -> Result<Cow<'n, Members>, Cut> {
        self.outside = self.within.len();
        self.following.clear();
        self.flatten_hop(node, 0)
    }

    fn flatten_hop<'n>(&mut self, node: &'n Node, hops: usize) -> Result<Cow<'n, Members>, Cut> {
        // `true` allows anything, and so does what is no schema at all.
        let Node::Object(members) = node else { return Ok(Cow::Owned(Members::default())) };
        let reference = members.text("$ref");
        let parts = members.array("allOf").unwrap_or_default();
        if reference.is_none() && parts.is_empty() {
            return Ok(Cow::Borrowed(members));
        }
        if hops == MAX_HOPS {
            return Err(Cut);
        }
        self.charge(members, 1)?;
        let mut flat = Members(members.0.iter().filter(|(key, _)| key != "$ref" && key != "allOf").cloned().collect());
        if let Some(reference) = reference {
            merge(&mut flat, self.follow(reference, hops)?);
        }
        for part in parts {
            merge(&mut flat, self.flatten_hop(part, hops + 1)?.into_owned());
        }
        Ok(Cow::Owned(flat))
    }

    /// What a reference points to; nothing where this node has it already, by way of another part.
    fn follow(&mut self, reference: &str, hops: usize) -> Result<Members, Cut> {
        let outside = self.within.iter().take(self.outside);
        if outside.chain(&self.following).any(|known| known == reference) {
            return Err(Cut);
        }
        if self.within.iter().any(|known| known == reference) {
            return Ok(Members::default());
        }
        let target = self.find(reference).ok_or(Cut)?;
        self.within.push(reference.to_owned());
        self.following.push(reference.to_owned());
        let members = self.flatten_hop(target, hops + 1)?.into_owned();
        self.following.pop();
        Ok(members)
    }

    /// What a JSON pointer into this document (`#/$defs/Name`) points to.
    fn find(&self, reference: &str) -> Option<&'s Node> {
        let pointer = reference.strip_prefix('#')?;
        let mut node = self.root;
        for step in pointer.split('/').skip(1) {
            let step = unescaped(step).replace("~1", "/").replace("~0", "~");
            node = match node {
                Node::Object(members) => members.get(&step)?,
                Node::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        (pointer.is_empty() || pointer.starts_with('/')).then_some(node)
    }
}

/// A step of a reference without its percent signs: generators name what is generic `Page%3CItem%3E`.
fn unescaped(step: &str) -> String {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| step.to_owned())
}

/// Adds what `more` says to `flat`: properties and required names together, of anything else what came first.
pub(super) fn merge(flat: &mut Members, more: Members) {
    for (key, node) in more.0 {
        match (flat.get_mut(&key), node) {
            (None, node) => flat.push(&key, node),
            (Some(Node::Object(known)), Node::Object(more)) if key == "properties" => {
                let mut names: Vec<&str> = known.0.iter().map(|(name, _)| name.as_str()).collect();
                sorted::sort(&mut names);
                let new: Vec<_> =
                    more.0.into_iter().filter(|(name, _)| names.binary_search(&name.as_str()).is_err()).collect();
                known.0.extend(new);
            }
            (Some(Node::Array(known)), Node::Array(more)) if key == "required" => {
                let mut names: Vec<&str> = known.iter().filter_map(Node::text).collect();
                sorted::sort(&mut names);
                let new =
                    more.into_iter().filter(|name| name.text().is_some_and(|name| names.binary_search(&name).is_err()));
                let new: Vec<_> = new.collect();
                known.extend(new);
            }
            (Some(_), _) => {}
        }
    }
}

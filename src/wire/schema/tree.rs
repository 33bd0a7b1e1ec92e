//! JSON Schema as a tree that keeps the order of its members: models write properties in the order in which they are
//! declared, and a prompt cache wants the same bytes for the same schema.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::json::{Array, Object, Raw, Text};

/// One JSON value. Nests no deeper than our reader goes: 128.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Node>),
    Object(Members),
}

/// The members of an object, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members(pub Vec<(String, Node)>);

impl Members {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, node)| node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(known, _)| known == key).map(|(_, node)| node)
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Adds a member that is not there yet.
    pub fn push(&mut self, key: &str, node: Node) {
        self.0.push((key.to_owned(), node));
    }

    /// Replaces a member, or adds it.
    pub fn set(&mut self, key: &str, node: Node) {
        match self.get_mut(key) {
            Some(known) => *known = node,
            None => self.push(key, node),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::text)
    }

    /// About how many bytes a copy takes.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|(key, node)| key.len() + node.weight()).sum()
    }

    pub fn array(&self, key: &str) -> Option<&[Node]> {
        match self.get(key) {
            Some(Node::Array(items)) => Some(items),
            _ => None,
        }
    }

    pub fn object(&self, key: &str) -> Option<&Members> {
        self.get(key).and_then(Node::members)
    }
}

impl Node {
    pub fn string(text: impl Into<String>) -> Node {
        Node::String(text.into())
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn members(&self) -> Option<&Members> {
        match self {
            Node::Object(members) => Some(members),
            _ => None,
        }
    }

    fn weight(&self) -> usize {
        32 + match self {
            Node::Null | Node::Bool(_) | Node::Number(_) => 0,
            Node::String(text) => text.len(),
            Node::Array(items) => items.iter().map(Node::weight).sum(),
            Node::Object(members) => members.weight(),
        }
    }

    /// As JSON.
    pub fn to_raw(&self) -> Raw<'static> {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).ok().and_then(|json| Raw::parse_owned(json).ok()).unwrap_or(Raw::EMPTY_OBJECT)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Node::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Node::String(text) => Text::escape(text).write(out),
            Node::Array(items) => {
                let mut array = Array::open(out);
                for item in items {
                    item.write(array.item());
                }
                array.close();
            }
            Node::Object(members) => {
                let mut object = Object::open(out);
                for (key, node) in &members.0 {
                    node.write(object.key(Text::escape(key).escaped()));
                }
                object.close();
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::string(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Node::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut members = Members::default();
        while let Some((key, node)) = entries.next_entry::<String, Node>()? {
            members.0.push((key, node));
        }
        Ok(Node::Object(members))
    }
}

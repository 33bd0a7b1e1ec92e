//! JSON as a tree that keeps what was written: the order of members, repeated ones, and the text of numbers.
//!
//! For what is looked at from several sides or rewritten as a whole. Of a schema, models write properties in the order in
//! which they are declared, and a prompt cache wants the same bytes for the same schema; in the operator's document, money
//! must not pass through a float.

use super::{Array, Error, FromJson, Kind, Object, Raw, Reader, Text};

/// One JSON value. Nests no deeper than our reader goes: 128.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    String(String),
    Array(Vec<Node>),
    Object(Members),
}

/// The members of an object, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(pub Vec<(String, Node)>);

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
            Node::Null | Node::Bool(_) => 0,
            Node::Number(text) | Node::String(text) => text.len(),
            Node::Array(items) => items.iter().map(Node::weight).sum(),
            Node::Object(members) => members.weight(),
        }
    }

    /// As JSON.
    pub fn to_raw(&self) -> Raw<'static> {
        let mut out = Vec::new();
        self.write(&mut out);
        Raw::written(out)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Node::Number(written) => out.extend_from_slice(written.as_bytes()),
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

impl<'a> FromJson<'a> for Node {
    fn from_json(reader: &mut Reader<'a>) -> Result<Node, Error> {
        Ok(match reader.kind()? {
            Kind::Object => {
                let mut members = Members::default();
                reader.members(&mut |key, reader| {
                    members.0.push((key.into_owned(), Node::from_json(reader)?));
                    Ok(())
                })?;
                Node::Object(members)
            }
            Kind::Array => Node::Array(Vec::from_json(reader)?),
            Kind::String => Node::String(String::from_json(reader)?),
            Kind::Number => Node::Number(reader.value()?.get().to_owned()),
            Kind::Boolean => Node::Bool(bool::from_json(reader)?),
            Kind::Null => reader.value().map(|_| Node::Null)?,
        })
    }
}

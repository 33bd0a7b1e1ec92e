//! The document as it was written: order, repeated keys and the text of numbers kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One JSON value of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    /// As written: money must not pass through a float.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order in which they stand there, repeated ones too.
    Members(Vec<(String, Node)>),
}

impl Node {
    /// Reads a whole document, whose depth the caller has checked: this recurses.
    pub(super) fn parse(json: &[u8]) -> Result<Node, crate::json::Error> {
        Node::of(crate::json::from_slice::<&RawValue>(json)?)
    }

    fn of(raw: &RawValue) -> Result<Node, crate::json::Error> {
        let json = raw.get();
        Ok(match json.bytes().next() {
            Some(b'{') => {
                let members = crate::json::from_str::<Members<'_>>(json)?.0;
                let members = members.into_iter().map(|(key, value)| Ok((key, Node::of(value)?)));
                Node::Members(members.collect::<Result<_, crate::json::Error>>()?)
            }
            Some(b'[') => {
                let items = crate::json::from_str::<Vec<&RawValue>>(json)?;
                Node::List(items.into_iter().map(Node::of).collect::<Result<_, crate::json::Error>>()?)
            }
            Some(b'"') => Node::Text(crate::json::from_str(json)?),
            Some(b't') => Node::Boolean(true),
            Some(b'f') => Node::Boolean(false),
            Some(b'n') => Node::Null,
            _ => Node::Number(json.to_owned()),
        })
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Boolean(_) => "a boolean",
            Node::Number(_) => "a number",
            Node::Text(_) => "a string",
            Node::List(_) => "an array",
            Node::Members(_) => "an object",
        }
    }
}

/// As JSON on one line.
impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = |index| if index == 0 { "" } else { "," };
        match self {
            Node::Null => formatter.write_str("null"),
            Node::Boolean(value) => write!(formatter, "{value}"),
            Node::Number(number) => formatter.write_str(number),
            Node::Text(text) => write_text(formatter, text),
            Node::List(items) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{item}", separator(index))?;
                }
                formatter.write_str("]")
            }
            Node::Members(members) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    formatter.write_str(separator(index))?;
                    write_text(formatter, key)?;
                    write!(formatter, ":{value}")?;
                }
                formatter.write_str("}")
            }
        }
    }
}

fn write_text(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// The members of an object; a map type of serde's would lose repeated keys.
struct Members<'d>(Vec<(String, &'d RawValue)>);

impl<'de: 'd, 'd> Deserialize<'de> for Members<'d> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'d>, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

//! Keywords of a schema that has one type.

use super::Dialect;
use crate::json::tree::{Members, Node};
use crate::sorted::SortedMap;

/// Longer values are no hint to a model.
const MAX_HINT: usize = 200;

/// The types of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    Null,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Null => "null",
        }
    }

    /// Reads a type in any case, and the names that other languages have for it.
    fn read(name: &str) -> Option<Kind> {
        Some(match name.to_ascii_lowercase().as_str() {
            "object" | "dict" | "map" => Kind::Object,
            "array" | "list" | "tuple" => Kind::Array,
            "string" | "str" => Kind::String,
            "integer" | "int" => Kind::Integer,
            "number" | "float" | "double" => Kind::Number,
            "boolean" | "bool" => Kind::Boolean,
            "null" | "none" => Kind::Null,
            _ => return None,
        })
    }

    fn of(value: &Node) -> Kind {
        match value {
            Node::Null => Kind::Null,
            Node::Bool(_) => Kind::Boolean,
            Node::Number(number) if number.contains(['.', 'e', 'E']) => Kind::Number,
            Node::Number(_) => Kind::Integer,
            Node::String(_) => Kind::String,
            Node::Array(_) => Kind::Array,
            Node::Object(_) => Kind::Object,
        }
    }

    /// Whether `value` is of this type.
    fn takes(self, value: &Node) -> bool {
        let kind = Kind::of(value);
        kind == self || (self == Kind::Number && kind == Kind::Integer)
    }
}

/// The types that a schema names, or that follow from its values and keywords; none where it takes anything.
pub(super) fn kinds(members: &Members) -> Vec<Kind> {
    let named: Vec<&str> = match members.get("type") {
        Some(Node::String(name)) => vec![name],
        Some(Node::Array(names)) => names.iter().filter_map(Node::text).take(16).collect(),
        _ => Vec::new(),
    };
    let mut kinds: Vec<Kind> = Vec::new();
    let mut add = |kind: Kind| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    named.into_iter().filter_map(Kind::read).for_each(&mut add);
    if kinds.is_empty() {
        values(members).map(Kind::of).for_each(|kind| {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        });
        // Whole numbers among others are numbers.
        if kinds.contains(&Kind::Number) {
            kinds.retain(|kind| *kind != Kind::Integer);
        }
    }
    if kinds.is_empty() {
        kinds.extend(implied(members));
    }
    kinds
}

/// Whether the schema names or implies no type at all.
pub(super) fn is_untyped(members: &Members) -> bool {
    kinds(members).is_empty()
}

fn implied(members: &Members) -> Option<Kind> {
    let has = |keys: &[&str]| keys.iter().any(|key| members.has(key));
    if has(&["properties", "additionalProperties", "patternProperties", "required"]) {
        Some(Kind::Object)
    } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
        Some(Kind::Array)
    } else if has(&["minLength", "maxLength", "pattern"]) {
        Some(Kind::String)
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        Some(Kind::Number)
    } else {
        None
    }
}

/// Whether `null` is a value of the schema.
pub(super) fn is_nullable(members: &Members, kinds: &[Kind]) -> bool {
    matches!(members.get("nullable"), Some(Node::Bool(true)))
        || (kinds.contains(&Kind::Null) && (!has_values(members) || values(members).any(|value| *value == Node::Null)))
}

fn has_values(members: &Members) -> bool {
    members.has("enum") || members.has("const")
}

fn values(members: &Members) -> impl Iterator<Item = &Node> {
    members.array("enum").unwrap_or_default().iter().chain(members.get("const"))
}

/// What a model should know and the dialect has no word for.
#[derive(Debug, Default)]
pub(super) struct Hints(Vec<String>);

impl Hints {
    fn add(&mut self, hint: String) {
        if hint.len() <= MAX_HINT {
            self.0.push(hint);
        }
    }

    /// The description with the hints behind it.
    pub fn describe(&self, description: Option<&str>) -> Option<String> {
        let hints = self.0.join("; ");
        match (description.filter(|text| !text.is_empty()), hints.is_empty()) {
            (description, true) => description.map(str::to_owned),
            (None, false) => Some(format!("({hints})")),
            (Some(description), false) => Some(format!("{description} ({hints})")),
        }
    }
}

/// Keeps `format` where the dialect knows it.
pub(super) fn format(members: &Members, dialect: &Dialect, out: &mut Members, hints: &mut Hints) {
    let Some(format) = members.text("format") else { return };
    if dialect.formats.contains(&format) {
        out.push("format", Node::string(format));
    } else if format != "enum" {
        hints.add(format!("format: {format}"));
    }
}

/// Writes the values that are left to choose from; says whether a choice was lost.
pub(super) fn enumeration(
    members: &Members,
    kind: Kind,
    dialect: &Dialect,
    out: &mut Members,
    hints: &mut Hints,
) -> bool {
    if !has_values(members) {
        return false;
    }
    let listed = match members.get("const") {
        Some(only) => std::slice::from_ref(only),
        None => members.array("enum").unwrap_or_default(),
    };
    let mut values: Vec<Node> = listed.iter().filter(|value| kind.takes(value)).cloned().collect();
    let mut lost = false;
    let choice = match kind {
        Kind::String => true,
        Kind::Integer | Kind::Number => dialect.numeric_enums,
        Kind::Boolean | Kind::Object | Kind::Array | Kind::Null => false,
    };
    if choice && dialect.typed {
        // An empty word is refused: "enum[0]: cannot be empty".
        let before = values.len();
        values.retain(|value| value.text() != Some(""));
        if values.len() < before {
            lost = true;
            hints.add("may be empty".to_owned());
        }
    }
    if choice && !values.is_empty() {
        out.push("enum", Node::Array(values));
    } else if !values.is_empty() && (kind != Kind::Boolean || values.len() == 1) {
        lost |= kind != Kind::Boolean;
        let list: Vec<String> = values.iter().map(|value| value.to_raw().get().to_owned()).collect();
        hints.add(format!("one of: {}", list.join(", ")));
    }
    lost
}

/// Copies keywords whose values are numbers or text.
pub(super) fn copy(members: &Members, keys: &[&str], out: &mut Members) {
    for key in keys {
        let value = members.get(key).filter(|value| match value {
            Node::Number(number) => *key != "pattern" && number.parse::<u64>().is_ok(),
            Node::String(_) => *key == "pattern",
            _ => false,
        });
        if let Some(value) = value {
            out.push(key, value.clone());
        }
    }
}

/// Writes the bounds of a number. An open bound becomes a closed one: exactly for whole numbers, else with a hint.
pub(super) fn range(members: &Members, kind: Kind, out: &mut Members, hints: &mut Hints) {
    for (closed, open, step, words) in
        [("minimum", "exclusiveMinimum", 1, "greater than"), ("maximum", "exclusiveMaximum", -1, "less than")]
    {
        let bound = members.get(closed).filter(|bound| matches!(bound, Node::Number(_)));
        match (bound, members.get(open)) {
            (_, Some(Node::Number(number))) => {
                let whole = number.parse::<i64>().ok().filter(|_| kind == Kind::Integer);
                let whole = whole.and_then(|whole| whole.checked_add(step));
                if whole.is_none() {
                    hints.add(format!("{words} {number}"));
                }
                out.push(closed, Node::Number(whole.map_or_else(|| number.clone(), |whole| whole.to_string())));
            }
            // Draft 4 says beside the bound that it is open.
            (Some(bound), Some(Node::Bool(true))) => {
                hints.add(format!("{words} {}", bound.to_raw().get()));
                out.push(closed, bound.clone());
            }
            (Some(bound), _) => out.push(closed, bound.clone()),
            (None, _) => {}
        }
    }
    if let Some(Node::Number(step)) = members.get("multipleOf") {
        hints.add(format!("a multiple of {step}"));
    }
}

/// The required names among the properties that are there, once each.
pub(super) fn required(members: &Members, properties: &Members) -> Vec<Node> {
    let mut is_named = SortedMap::of(properties.0.iter().map(|(name, _)| (name.as_str(), false)).collect());
    let names = members.array("required").unwrap_or_default().iter().filter_map(Node::text);
    let is_new = |name: &&str| is_named.get_mut(*name).is_some_and(|named| !std::mem::replace(named, true));
    names.filter(is_new).map(Node::string).collect()
}

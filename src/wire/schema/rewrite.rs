//! Writes a schema anew in the words of a dialect.

use super::Dialect;
use super::keywords::{self, Hints, Kind};
use super::resolve::{Cut, Resolver, merge};
use crate::json::tree::{Members, Node};

/// Deeper schemas end in plain objects.
const MAX_DEPTH: usize = 24;
/// A schema that unfolds to more nodes than this ends in plain objects: no model reads that much.
const MAX_NODES: usize = 2_000;

/// Keywords that say what shape a value has. What stands beside alternatives without them is no base for them.
const SHAPES: &[&str] = &["type", "properties", "items", "prefixItems", "enum", "const", "$ref", "anyOf", "oneOf"];

/// Rewrites one document.
pub(super) struct Rewriter<'s> {
    resolver: Resolver<'s>,
    dialect: &'s Dialect,
    nodes: usize,
    /// See [`super::Sanitised::lossy`].
    pub lossy: bool,
}

impl<'s> Rewriter<'s> {
    pub fn new(resolver: Resolver<'s>, dialect: &'s Dialect) -> Rewriter<'s> {
        Rewriter { resolver, dialect, nodes: 0, lossy: false }
    }

    /// One schema, with everything below it.
    pub fn schema(&mut self, node: &Node, depth: usize) -> Node {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return self.cut(node);
        }
        let entered = self.resolver.depth();
        let written = match self.resolver.flatten(node) {
            Ok(members) => self.shape(&members, depth).unwrap_or_else(|Cut| self.cut(node)),
            Err(Cut) => self.cut(node),
        };
        self.resolver.leave(entered);
        written
    }

    /// What stands for a cycle, or for what cannot be found: some object.
    fn cut(&mut self, node: &Node) -> Node {
        self.lossy = true;
        let mut members = Members::default();
        members.push("type", Node::string("object"));
        if let Some(description) = node.members().and_then(|members| members.text("description")) {
            members.push("description", Node::string(description));
        }
        Node::Object(members)
    }

    fn shape(&mut self, members: &Members, depth: usize) -> Result<Node, Cut> {
        if let Some(variants) = alternatives(members) {
            return self.union(members, variants, depth);
        }
        let kinds = keywords::kinds(members);
        let nullable = keywords::is_nullable(members, &kinds);
        let kinds: Vec<Kind> = kinds.into_iter().filter(|kind| *kind != Kind::Null).collect();
        Ok(match kinds.as_slice() {
            [] if nullable && !keywords::is_untyped(members) => null(members),
            [] => self.any(members, nullable),
            [kind] => self.plain(members, *kind, nullable, depth)?,
            kinds => {
                self.resolver.charge(members, kinds.len())?;
                let mut variants: Vec<Node> = kinds.iter().map(|kind| variant(members, *kind)).collect();
                variants.extend(nullable.then(|| Node::Object(null_schema())));
                self.union(&described(members.text("description")), &variants, depth)?
            }
        })
    }

    /// Alternatives. Each takes over what stands beside them; one alternative alone is no choice.
    fn union(&mut self, members: &Members, variants: &[Node], depth: usize) -> Result<Node, Cut> {
        let mut base = members.clone();
        for key in ["anyOf", "oneOf", "description", "title", "nullable"] {
            base.remove(key);
        }
        let is_base = base.0.iter().any(|(key, _)| SHAPES.contains(&key.as_str()) || key == "required");
        self.resolver.charge(&base, if is_base { variants.len() + 1 } else { 1 })?;
        let mut nullable = matches!(members.get("nullable"), Some(Node::Bool(true)));
        let mut written: Vec<Members> = Vec::new();
        for variant in variants.iter().take(MAX_NODES) {
            let variant = match (is_base, self.resolver.flatten(variant)) {
                (true, Ok(own)) => {
                    let mut own = own.into_owned();
                    merge(&mut own, base.clone());
                    self.schema(&Node::Object(own), depth + 1)
                }
                _ => self.schema(variant, depth + 1),
            };
            let Node::Object(mut variant) = variant else { continue };
            nullable |= take_null(&mut variant);
            let is_null = variant.text("type") == Some("null");
            nullable |= is_null;
            match variant.remove("anyOf") {
                // Alternatives of alternatives are alternatives.
                Some(Node::Array(inner)) => written.extend(inner.into_iter().filter_map(|node| match node {
                    Node::Object(mut members) => {
                        nullable |= take_null(&mut members) || members.text("type") == Some("null");
                        (members.text("type") != Some("null")).then_some(members)
                    }
                    _ => None,
                })),
                _ if is_null => {}
                _ => written.push(variant),
            }
        }
        Ok(self.choice(written, members.text("description"), nullable))
    }

    fn choice(&mut self, variants: Vec<Members>, description: Option<&str>, nullable: bool) -> Node {
        let mut variants = distinct(variants);
        // Beside alternatives the narrow dialects take nothing, so the first one speaks for all.
        if let ([first, _, ..], Some(description), true) = (variants.as_mut_slice(), description, self.dialect.typed)
            && !first.has("description")
        {
            describe(first, description);
            variants = distinct(variants);
        }
        if variants.is_empty() {
            let described = described(description);
            return if nullable { null(&described) } else { self.any(&described, false) };
        }
        if let ([only], Some(description)) = (variants.as_mut_slice(), description) {
            let own = only.remove("description");
            let text = match own.as_ref().and_then(Node::text).filter(|own| *own != description) {
                Some(own) => format!("{description} {own}"),
                None => description.to_owned(),
            };
            describe(only, &text);
        }
        if variants.len() == 1 {
            let mut only = variants.swap_remove(0);
            if nullable {
                self.make_nullable(&mut only);
            }
            return Node::Object(only);
        }
        if nullable && self.dialect.nullable_keyword {
            variants.iter_mut().for_each(|variant| self.make_nullable(variant));
        } else if nullable {
            variants.push(null_schema());
        }
        let mut members = Members::default();
        if let Some(description) = description.filter(|_| !self.dialect.typed) {
            members.push("description", Node::string(description));
        }
        members.push("anyOf", Node::Array(variants.into_iter().map(Node::Object).collect()));
        Node::Object(members)
    }

    fn make_nullable(&self, members: &mut Members) {
        if self.dialect.nullable_keyword {
            members.set("nullable", Node::Bool(true));
        } else if members.has("enum") {
            // Only strings and numbers may be enumerated, so `null` stands beside the enumeration.
            let description = members.remove("description");
            let values = std::mem::take(members);
            members.0.extend(description.map(|text| ("description".to_owned(), text)));
            members.push("anyOf", Node::Array(vec![Node::Object(values), Node::Object(null_schema())]));
        } else if let Some(Node::String(kind)) = members.get("type").cloned() {
            members.set("type", Node::Array(vec![Node::String(kind), Node::string("null")]));
        }
    }

    /// Any value. Where every node must have a type, text can stand for all of them.
    fn any(&mut self, members: &Members, nullable: bool) -> Node {
        let mut any = Members::default();
        if self.dialect.typed {
            self.lossy = true;
            any.push("type", Node::string("string"));
        }
        if let Some(description) = members.text("description") {
            any.push("description", Node::string(description));
        }
        if nullable && self.dialect.typed {
            self.make_nullable(&mut any);
        }
        Node::Object(any)
    }

    fn plain(&mut self, members: &Members, kind: Kind, nullable: bool, depth: usize) -> Result<Node, Cut> {
        let mut out = Members::default();
        let mut hints = Hints::default();
        out.push("type", Node::string(kind.name()));
        keywords::format(members, self.dialect, &mut out, &mut hints);
        self.lossy |= keywords::enumeration(members, kind, self.dialect, &mut out, &mut hints);
        match kind {
            Kind::Object => self.object(members, &mut out, depth),
            Kind::Array => self.array(members, &mut out, depth)?,
            Kind::String if self.dialect.lengths => {
                keywords::copy(members, &["minLength", "maxLength", "pattern"], &mut out);
            }
            Kind::Integer | Kind::Number => keywords::range(members, kind, &mut out, &mut hints),
            Kind::String | Kind::Boolean | Kind::Null => {}
        }
        if let Some(description) = hints.describe(members.text("description")) {
            describe(&mut out, &description);
        }
        if nullable {
            self.make_nullable(&mut out);
        }
        Ok(Node::Object(out))
    }

    fn object(&mut self, members: &Members, out: &mut Members, depth: usize) {
        let declared = members.object("properties").filter(|properties| !properties.0.is_empty());
        if let Some(declared) = declared {
            let mut properties = Members::default();
            for (name, property) in &declared.0 {
                properties.push(name, self.schema(property, depth + 1));
            }
            let required = keywords::required(members, &properties);
            let names = properties.0.iter().map(|(name, _)| Node::string(name.clone())).collect();
            out.push("properties", Node::Object(properties));
            if !required.is_empty() {
                out.push("required", Node::Array(required));
            }
            if self.dialect.property_ordering {
                out.push("propertyOrdering", Node::Array(names));
            }
        }
        let rest = members.get("additionalProperties").filter(|rest| matches!(rest, Node::Object(_)));
        let patterns = || members.object("patternProperties").and_then(|patterns| patterns.0.first());
        match rest.or_else(|| patterns().map(|(_, rest)| rest)) {
            Some(rest) if self.dialect.maps => {
                let rest = self.schema(rest, depth + 1);
                out.push("additionalProperties", rest);
            }
            Some(_) => self.lossy = true,
            // An object of anything: the narrow dialects want to know its properties.
            None => self.lossy |= self.dialect.typed && declared.is_none() && depth > 0,
        }
        if self.dialect.lengths {
            keywords::copy(members, &["minProperties", "maxProperties"], out);
        }
    }

    fn array(&mut self, members: &Members, out: &mut Members, depth: usize) -> Result<(), Cut> {
        let (prefix, rest) = match (members.array("prefixItems"), members.get("items")) {
            (Some(prefix), rest) => (prefix, rest),
            (None, Some(Node::Array(prefix))) => (prefix.as_slice(), members.get("additionalItems")),
            (None, rest) => (&[][..], rest),
        };
        let rest = rest.filter(|rest| !matches!(rest, Node::Bool(false)));
        let prefix_written: Vec<Node> = prefix.iter().map(|item| self.schema(item, depth + 1)).collect();
        if prefix.is_empty() {
            if let Some(rest) = rest {
                let items = self.schema(rest, depth + 1);
                out.push("items", items);
            } else if self.dialect.typed {
                let items = self.any(&Members::default(), false);
                out.push("items", items);
            }
        } else if self.dialect.tuples {
            out.push("prefixItems", Node::Array(prefix_written));
            if let Some(rest) = rest {
                let items = self.schema(rest, depth + 1);
                out.push("items", items);
            }
        } else {
            // An array of what any place may hold, as long as the tuple.
            self.lossy = true;
            let items = self.union(&Members::default(), &prefix_written, depth + 1)?;
            out.push("items", items);
            let length = Node::Number(prefix.len().to_string());
            out.push("minItems", members.get("minItems").cloned().unwrap_or_else(|| length.clone()));
            if rest.is_none() {
                out.push("maxItems", length);
            }
            return Ok(());
        }
        keywords::copy(members, &["minItems", "maxItems"], out);
        Ok(())
    }
}

/// The alternatives of a schema; `None` where they are none, or only say which properties must be there.
fn alternatives(members: &Members) -> Option<&[Node]> {
    let variants = members.array("anyOf").or_else(|| members.array("oneOf")).filter(|list| !list.is_empty())?;
    let has_shape = |node: &Node| {
        node.members().is_some_and(|variant| variant.has("allOf") || SHAPES.iter().any(|key| variant.has(key)))
    };
    let stands_alone = members.has("type") || members.has("properties");
    (!stands_alone || variants.iter().any(has_shape)).then_some(variants)
}

fn distinct(variants: Vec<Members>) -> Vec<Members> {
    let mut distinct: Vec<Members> = Vec::with_capacity(variants.len());
    for variant in variants {
        if !distinct.contains(&variant) {
            distinct.push(variant);
        }
    }
    distinct
}

/// `members` for one of its types.
fn variant(members: &Members, kind: Kind) -> Node {
    let mut variant = members.clone();
    for key in ["description", "title", "nullable"] {
        variant.remove(key);
    }
    variant.set("type", Node::string(kind.name()));
    Node::Object(variant)
}

fn described(description: Option<&str>) -> Members {
    Members(description.map(|text| ("description".to_owned(), Node::string(text))).into_iter().collect())
}

/// Puts the description right behind the type.
fn describe(members: &mut Members, description: &str) {
    members.remove("description");
    let at = usize::from(members.has("type")).min(members.0.len());
    members.0.insert(at, ("description".to_owned(), Node::string(description)));
}

/// Takes out that a written schema allows `null`, and says whether it did.
fn take_null(members: &mut Members) -> bool {
    if members.remove("nullable") == Some(Node::Bool(true)) {
        return true;
    }
    let Some(Node::Array(kinds)) = members.get("type") else { return false };
    let kind = kinds.iter().find(|kind| kind.text() != Some("null")).cloned();
    let Some(kind) = kind else { return false };
    members.set("type", kind);
    true
}

fn null(members: &Members) -> Node {
    let mut null = null_schema();
    if let Some(description) = members.text("description") {
        null.push("description", Node::string(description));
    }
    Node::Object(null)
}

fn null_schema() -> Members {
    Members(vec![("type".to_owned(), Node::string("null"))])
}

//! JSON Schema, cut down to what a provider takes.
//!
//! Providers answer a keyword they do not know with a 400 that fails the whole call, so what is sent is built from a
//! list of what is known to be taken, never by striking out what is known to be refused. `$ref` is replaced by what it
//! points to, cycles end in a plain object, `allOf` is merged, `const` and type lists are spelled in the dialect's own
//! way. What a dialect has no word for, and the model can still read, moves into the description.
//!
//! The work is bounded: by depth, by the number of nodes, and by the parser's own limit on nesting.

mod keywords;
mod openapi;
mod resolve;
mod rewrite;
mod root;

pub use openapi::from_openapi;

use crate::json::Raw;
use crate::json::tree::Node;
use resolve::Resolver;
use rewrite::Rewriter;

/// Longer schemas are refused, in bytes: no provider takes them.
const MAX_SCHEMA: usize = 1 << 20;

/// What a provider understands of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Whether `null` is said by `nullable: true`; otherwise by the type `null`.
    pub nullable_keyword: bool,
    /// Whether every node must have a type and every array its items.
    pub typed: bool,
    /// Whether numbers may be enumerated; otherwise only strings.
    pub numeric_enums: bool,
    /// Whether `prefixItems` is known.
    pub tuples: bool,
    /// Whether `additionalProperties` may hold a schema.
    pub maps: bool,
    /// Whether `minLength`, `maxLength`, `pattern`, `minProperties` and `maxProperties` are known.
    pub lengths: bool,
    /// Whether to say the order of properties, for models that would sort them.
    pub property_ordering: bool,
    /// Values of `format` that are known, for any type.
    pub formats: &'static [&'static str],
}

impl Dialect {
    /// The subset of OpenAPI 3.0 that `Schema` of the Gemini API is: anything else is an unknown field, and a 400.
    ///
    /// Source: <https://ai.google.dev/api/caching#Schema>; `gemini.error.b8f8421a37`.
    pub const GEMINI: Dialect = Dialect {
        nullable_keyword: true,
        typed: true,
        numeric_enums: false,
        tuples: false,
        maps: false,
        lengths: true,
        property_ordering: false,
        formats: &["date-time", "float", "double", "int32", "int64"],
    };

    /// What the Gemini API documents for its fields that take JSON Schema (`parametersJsonSchema`,
    /// `responseJsonSchema`).
    ///
    /// Source: <https://ai.google.dev/api/generate-content#generationconfig>; `gemini.structured.8131d11b47`.
    pub const GEMINI_JSON: Dialect = Dialect {
        nullable_keyword: false,
        typed: false,
        numeric_enums: true,
        tuples: true,
        maps: true,
        lengths: false,
        property_ordering: false,
        formats: &["date-time", "date", "time"],
    };
}

/// A schema in a dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Sanitised {
    /// The schema; the same input always gives the same bytes.
    pub schema: Raw<'static>,
    /// Whether a value that the schema refuses would now be taken, or the other way round, because the dialect has no
    /// word for something that others can say: maps, tuples, numbers to choose from, values of any type.
    pub lossy: bool,
}

/// Puts `schema` into `dialect`.
///
/// # Errors
/// With a sentence for the caller where it cannot be read: it nests too deeply, or is too long.
pub fn sanitise(schema: &Raw<'_>, dialect: &Dialect) -> Result<Sanitised, String> {
    let (node, lossy) = rewritten(schema, dialect)?;
    Ok(Sanitised { schema: node.to_raw(), lossy })
}

/// The same for the parameters of a function, which are an object: alternatives at the root become one object with the
/// properties of all. `None` where the function takes none.
///
/// # Errors
/// As [`sanitise`].
pub fn sanitise_parameters(schema: &Raw<'_>, dialect: &Dialect) -> Result<Option<Sanitised>, String> {
    let (node, lossy) = rewritten(schema, dialect)?;
    let (node, merged) = root::object(node);
    let Some(members) =
        node.members().filter(|members| members.has("properties") || members.has("additionalProperties"))
    else {
        return Ok(None);
    };
    let schema = Node::Object(members.clone()).to_raw();
    Ok(Some(Sanitised { schema, lossy: lossy || merged }))
}

/// `schema` as providers want the parameters of a function who take all of JSON Schema but for this: its root is an
/// object, and says so itself. References and alternatives at the root become one object, as in [`sanitise_parameters`];
/// the second value is whether alternatives were lost. `None` where it describes something else.
///
/// # Errors
/// As [`sanitise`].
pub fn fold_root(schema: &Raw<'_>) -> Result<Option<(Raw<'static>, bool)>, String> {
    let root = read(schema)?;
    Ok(root::folded(&root).map(|(node, lossy)| (node.to_raw(), lossy)))
}

fn read(schema: &Raw<'_>) -> Result<Node, String> {
    if schema.get().len() > MAX_SCHEMA {
        return Err(format!("a schema may have at most {MAX_SCHEMA} bytes"));
    }
    schema.read().map_err(|error| error.to_string())
}

fn rewritten(schema: &Raw<'_>, dialect: &Dialect) -> Result<(Node, bool), String> {
    let root = read(schema)?;
    let mut rewriter = Rewriter::new(Resolver::new(&root), dialect);
    let node = rewriter.schema(&root, 0);
    Ok((node, rewriter.lossy))
}

#[cfg(test)]
mod tests;

//! JSON as spans: what need not change is never unescaped, re-parsed or built into a tree.
//!
//! [`Text`] is the inside of a JSON string, still escaped; [`Raw`] is any JSON value. Both borrow from the body they
//! were read from and are copied from one format into another byte for byte. [`Object`] and [`Array`] write JSON
//! straight into the output buffer. [`Cursor`] walks a body once where faults must be named by their place, and [`Edits`]
//! changes one where it stands. [`from_slice`] and [`from_str`] read what is [`FromJson`], which `readable!` and `words!` make
//! of structs and enumerations; [`to_string`] writes what serde can serialize.
//!
//! What is read is plain structs with optional fields: nothing is buffered to be looked at twice, so spans stay spans.

mod compact;
mod cursor;
mod depth;
mod edit;
mod error;
mod find;
mod members;
pub mod number;
mod raw;
pub mod read;
mod reader;
mod serialize;
mod text;
pub(crate) mod tree;
mod write;

pub(crate) use compact::compact;
pub use cursor::{Cursor, Each, Kind, Member, SyntaxError};
pub use depth::{TooDeep, check_depth};
pub use edit::Edits;
pub use error::Error;
pub use find::{find, mentions, quotes};
pub use members::Members;
pub use number::{Number, read_float};
pub use raw::Raw;
pub use read::{FromJson, FromJsonOwned, FromKey, from_slice, from_str};
pub(crate) use read::{readable, words};
pub use reader::{Reader, Take};
pub use serialize::{serialize_span, to_string, write};
pub use text::Text;
pub use write::{Array, Object};

//! Gateway keys: how they are made, recognised without a look-up, and what they may do.
//!
//! A key is `lk-`, 32 random bytes and a tag over them that only this gateway can make. The tag is checked first, so
//! an invented key costs some hashes and never reaches storage; a key whose grant is at hand was checked before. What
//! is stored is the SHA-256 of the key's text; the text itself is shown once, when it is made.
//!
//! | type | what it is |
//! |---|---|
//! | [`Secrets`] | the subkeys derived from the gateway's secret |
//! | [`KeyHash`] | what stands for a key in storage and in memory |
//! | [`Key`] | the record: what an operator wrote about a key |
//! | [`Grant`] | the record made ready for the path of a call |
//! | [`AdminKey`] | the operator's own credential; never a gateway key |
//!
//! Finding a grant (memory, KV, D1) is the edge's work; changing one is [`crate::admin`]'s.

mod admin_key;
mod describe;
mod endpoint;
mod grant;
mod markup;
mod network;
mod pattern;
mod record;
mod secrets;
mod text;

pub use admin_key::AdminKey;
pub use describe::describe;
pub use endpoint::{ENDPOINTS, known as is_endpoint_pattern};
pub use grant::{Grant, terms};
pub use markup::{Factor, Markup};
pub use network::Network;
pub use pattern::{ModelPattern, Pattern};
pub use record::{
    Key, MaxPrice, OnAnomaly, OnDisconnect, OnLedgerOutage, Sharing, StoreResponses, TeamTerms, UnknownPrice,
};
pub use secrets::Secrets;
pub use text::{KEY_LENGTH, KeyHash, Minted, check, hash, mint};

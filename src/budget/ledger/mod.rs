//! The ledger's side: what is left, and who has leased how much of it.
//!
//! [`Ledger`] is what the object holds in memory; every call of it is one step, a function of what it holds, the message
//! and the time. What a step changed is asked for with [`Ledger::take_changes`] and must be stored before the reply goes
//! out: then the object may die at any moment, and [`Ledger::restore`] brings it back.
//!
//! The one rule everything rests on: of a strict budget, `spent + leased` of a window never passes the limit by a grant.
//! `leased` is all that isolates may still spend or have spent without saying so; only their own word, for what is not
//! strict the end of a lease, and for isolates that say nothing any more the operator ([`Ledger::release`]), makes it less.

mod answer;
mod lease;
mod pot;
mod recount;
mod release;
mod state;
mod sweep;

pub use lease::{Isolate, Lease, Open};
pub use pot::Pot;
pub use release::Released;
pub use state::{Committed, Ledger, Notice, Row, StoredRow, TERM};
pub use sweep::GONE_AFTER;

#[cfg(test)]
mod tests;

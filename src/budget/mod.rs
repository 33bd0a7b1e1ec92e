//! Budgets: ceilings in money that calls cannot pass together, however many run at once.
//!
//! Checking a budget and then spending from it lets every call through that comes in between. Here the worst case of a
//! call is held before it is sent, and what was held and not used is free again afterwards. So that this costs the caller
//! no round trip, an isolate leases a slice of what is left and takes holds from that.
//!
//! | type | what it is |
//! |---|---|
//! | [`Budget`], [`crate::limit::Limit`] | what an operator wrote; a [`Rule`] is either |
//! | [`Ledger`] | the object's side: what is left of every rule, and who has leased how much |
//! | [`Purse`] | the isolate's side: what it has leased, what its calls hold, what it owes a report on |
//! | [`Purses`] | one purse for each ledger that an isolate has to do with |
//! | [`Message`], [`Reply`] | what the two say to each other |
//!
//! Rate limits go the same way, see [`crate::limit`]. All of it is a function of state, message and time; the object around
//! the ledger and the path of a call are elsewhere.

mod definition;
mod draw;
mod estimate;
pub mod ledger;
mod message;
mod period;
mod purse;
mod purses;
mod rule;
mod standing;
mod zone;

pub(crate) use definition::Found;
pub use definition::{Budget, Enforcement, Match, Period, Scope, ScopeKind, Share, Window};
pub use draw::{Draw, Drawn, Draws};
pub use estimate::{Basis, DEFAULT_MAX_TOKENS, Estimate, estimate};
pub use ledger::Ledger;
use message::MOST_LISTED;
pub use message::{
    Ended, KeyAsked, KeyNews, LeaseReport, LeaseTold, Message, Need, Opened, PROTOCOL, Part, PotStanding, Refusal,
    Reply, Rules, SwitchNews, Terms,
};
pub use period::{Frame, Parts};
pub use purse::{Figure, Hold, Purse, Refused, Taken, Wanted};
pub use purses::{Holds, OWN_LEDGER, Purses, ledger_of};
pub use rule::{Aim, Amounts, PotName, Rule, Spender};
pub use standing::{Figures, KeyStandings, Shown, Stood};
pub use zone::Zone;

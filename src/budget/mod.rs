//! Budgets: ceilings in money that calls cannot pass together, however many run at once.

mod definition;
mod zone;

pub(crate) use definition::Found;
pub use definition::{Budget, Enforcement, Match, Period, Scope, ScopeKind, Share, Window};
pub use zone::Zone;

//! From what a caller calls a model to where it is, in which order targets are tried, and what follows a failure.

pub mod alias;
pub mod chance;
pub mod check;
pub mod classify;
pub mod condition;
pub mod contender;
pub mod decide;
pub mod demands;
pub mod expand;
pub mod experiment;
pub mod facts;
mod list;
pub mod meaning;
pub(crate) mod nearest;
pub mod objective;
pub mod overrides;
mod plan;
pub mod reading;
mod resolve;
mod retry;
pub mod router;
mod shown;

pub use plan::{Candidate, MAX_TARGETS, Plan, Preferences, Standing};
pub use resolve::{Resolved, resolve};
pub use retry::{HedgeBudget, Left, Next, RetryBudget, RetryPolicy, Spent, next};

//! From what a caller calls a model to where it is, in which order targets are tried, and what follows a failure.
//!
//! A name that says all by itself is only resolved, and becomes a [`Plan`]. For any other the [`router::Router`] decides.
//!
//! | of a decision | files |
//! |---|---|
//! | what a name stands for | `resolve`, `nearest`, `alias`, `expand`, `contender` |
//! | what a call says that matters for it | `reading`, `objective`, `facts`, `condition`, `classify`, `meaning` |
//! | who is out, and in which order the others are tried | `demands`, `decide`, `chance`, `experiment`, `router`, `plan` |
//! | what a target is sent, what its answer must be, and what follows a failure | `overrides`, `check`, `retry` |
//! | what is told of it all | `list`, `shown` |

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

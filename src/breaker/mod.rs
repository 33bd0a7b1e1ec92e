//! Health and circuit breakers: who may be sent a call, and how they have been doing.
//!
//! Each isolate holds a [`View`]: it answers from memory whether a target may be called, takes in how each attempt ended
//! and reacts at once. What it saw it reports in batches, beside the answers, to the `Health` object of its part of the
//! world, whose state is a [`Region`]; the reply brings back what all isolates saw together. So no call waits for the
//! object, and with the object away each isolate works on what it knows itself.
//!
//! Everything here is a function of state, input, `now` and a random number that is handed in.

mod chance;
mod exchange;
mod figures;
mod health;
mod outcome;
mod overview;
mod policy;
pub mod protocol;
mod quick;
mod region;
mod sketch;
mod state;
mod status;
mod switches;
mod target;
mod view;
mod window;

pub use exchange::Due;
pub use figures::{Figures, Headroom};
pub use health::Health;
pub use outcome::{Outcome, What};
pub use overview::Overview;
pub use policy::Policy;
pub use region::{Action, Order, Region, Transition};
pub use sketch::{Sketch, SlidingSketch};
pub use state::{Breaker, Permit, Tally};
pub use status::ProviderHealth;
pub use switches::Switches;
pub use target::TargetId;
pub use view::{Verdict, View};
pub use window::Window;

#[cfg(test)]
mod tests;

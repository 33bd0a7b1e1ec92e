//! One record a call, and the ids that tie everything about a call together.

mod ids;
mod record;

pub use ids::Ids;
pub use record::{GATHERED, MOST_TAKEN, Record, RecordBuffer};

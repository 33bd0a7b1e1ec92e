//! What must hold whatever is sent. Each check is a fuzz target, and runs over mutations of the fixtures in `fuzzed.rs`.

pub mod framings;
pub mod patches;
pub mod requests;
pub mod sniffing;
pub mod stored;
pub mod streams;

//! From what a caller calls a model to where it is.

mod list;
mod nearest;
mod resolve;

pub use resolve::{Resolved, resolve};

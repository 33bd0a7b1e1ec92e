//! From what a caller calls a model to where it is, and in which order targets are tried.

pub mod alias;
pub mod chance;
pub mod classify;
pub mod condition;
pub mod contender;
pub mod decide;
pub mod demands;
pub mod experiment;
pub mod facts;
mod list;
mod nearest;
mod resolve;

pub use resolve::{Resolved, resolve};

//! Requests that we write, read by the client libraries of those who will get them.

// Tests may stop at what surprises them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod anthropic;
mod gemini;
mod library;
mod recorded;

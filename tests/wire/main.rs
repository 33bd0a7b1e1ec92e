//! The formats against recorded traffic.
//!
//! `corpus` loads it, `scope` says what counts, `expect_*` read each recording a second time by other means, `laws`
//! watches the order of events, and the other modules hold the tests.

// Tests may stop at what surprises them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accepted;
mod answers;
mod asked;
mod conformance;
mod converse;
mod corpus;
mod decode;
mod embeddings;
mod expect_anthropic;
mod expect_bedrock;
mod expect_cohere;
mod expect_gemini;
mod expect_ollama;
mod expect_openai_chat;
mod expect_openai_responses;
mod expected;
mod failures;
mod fields;
mod headroom;
mod hosts;
mod laws;
mod mutations;
mod paired;
mod parameters;
mod priced;
mod quirks;
mod requests;
mod rows;
#[path = "../conformance/schema/mod.rs"]
#[allow(dead_code, reason = "the other suite uses more of it")]
mod schema;
mod scope;
mod surface_requests;
mod surfaces;
mod told;
mod turns;
mod vocabulary;
mod written;

//! Latchkey: one key, one OpenAI-compatible endpoint, every model, at the edge.
//!
//! # Map
//! | module | what it does |
//! |---|---|
//! | [`units`] | money, time |
//! | [`failure`] | the one failure type |
//! | [`json`] | JSON as spans |
//! | [`chat`] | the hub: request, answer, event, usage |
//! | [`wire`] | bytes to chat and back, one folder a format |
//! | [`provider`] | vendors as rows, their models and prices, and which of them this deployment can reach |
//! | [`route`] | from what a caller calls a model to where it is |
//! | [`config`] | the configuration document and its meaning |
//! | [`secret`] | credentials that cannot be shown by accident |
//! | [`keys`] | gateway keys: made, recognised, and what they may do |
//! | [`sandbox`] | an upstream played without key or network |
//! | [`admin`] | the operator's API, one file a resource |

// Tests may stop at what surprises them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod admin;
pub mod chat;
pub mod config;
pub mod failure;
pub mod json;
pub mod keys;
pub mod provider;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod units;
pub mod wire;

//! Whole calls through the state machine: no network, no clock, every fault at will.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod billed;
mod clients;
mod cursor;
mod escalation;
mod failover;
mod faults;
mod funds;
mod gemini;
mod health;
mod hedge;
mod lanes;
mod market;
mod messages;
mod money;
mod passthrough;
mod quality;
mod recorded;
mod residency;
mod responses;
mod resume;
mod resume_native;
mod resume_numbered;
mod routing;
mod semantics;
mod services;
mod shadow;
mod simulator;
mod stored;
mod talks;
mod tokens;
mod whole;
mod wishes;
mod world;

//! Latchkey: one key, one OpenAI-compatible endpoint, every model, at the edge.
//!
//! A Worker takes a request in OpenAI's, Anthropic's, Gemini's, Bedrock's or Cohere's words, finds what its key may do,
//! picks a provider, translates the request into that provider's own protocol and streams the answer back in the caller's,
//! with exact usage and cost. This page is the map; the README is the manual.
//!
//! # Map
//! From the ground up, in six levels: what knows of no model yet, the hub, what a call is made of, its path, its
//! administration, the platform. A module knows its own level and those above it here; `tests/tree.rs` holds it to that.
//!
//! | module | what it does |
//! |---|---|
//! | [`units`], [`failure`], [`json`], [`secret`], [`sorted`] | money and time; the one failure type; JSON as spans; credentials; a small map and sorting |
//! | | |
//! | [`chat`] | the hub: request, answer, event, usage. No vendor's word, no HTTP |
//! | | |
//! | [`wire`] | bytes to chat and back, one folder a format; [`wire::drive`] drives one stream |
//! | [`provider`] | vendors as rows, their quirks; models and prices; [`provider::Registry`] puts them together |
//! | [`breaker`] | health of targets: who may be called, when a block ends, one probe at a time |
//! | [`config`] | the operator's document: what was written, what it means, every fault at once |
//! | [`keys`] | gateway keys: made, recognised without a look-up, and what they may do |
//! | [`budget`], [`limit`] | ceilings in money, requests and tokens: what they are, and how none is ever passed |
//! | [`route`] | from a model string to targets in an order: aliases, rules, strategies; the list of models |
//! | [`http`] | paths to routes, failures to statuses and bodies. Data, no I/O |
//! | [`observe`] | the records of calls, and request ids |
//! | [`sandbox`] | an upstream played without key or network |
//! | | |
//! | [`gateway`] | the path of a call, as a state machine without I/O |
//! | | |
//! | [`admin`] | the admin API, one file a resource, over a storage port |
//! | | |
//! | `edge` | Cloudflare Workers: entry, storage, the `Ledger` and `Health` objects. Compiled for wasm only |
//!
//! # How a call flows
//! 1. `edge/worker.mjs` reads the body, under a cap, and calls [`gateway::Gateway::begin`]. The key's grant is taken
//!    from memory; where it is not there, the key's tag is checked (one HMAC) and the step says to look it up: KV, then D1.
//!    A call that goes on from a stored response gets the turns before it put in front, and one that points at stored items
//!    gets those: from there on it is like any other.
//! 2. The model string becomes a target ([`route::resolve`]); the request is patched in place where caller and upstream
//!    speak the same protocol, else read into [`chat::Request`] and written in the upstream's.
//! 3. The step says what to send. What happens is told back as [`gateway::Input`]s: status and headers, body, chunks,
//!    the end, a broken connection, a deadline, a caller who left.
//! 4. A stream is held until its first real token, so that an error inside a 200 is still an error with a true status;
//!    from then on each piece of the upstream gives bytes for the caller.
//! 5. When the call ends, however it ends, its usage is priced and one record made, and a further one for each attempt
//!    that is billed besides. Records are handed to the `Ledger` objects (the account's, and those of teams that have one
//!    of their own: [`budget::Purses`]) in batches beside the answers, and reach D1 from there, each once; until then a
//!    call is told of out of the object. An answer that is to be stored is written beside its delivery, and until then
//!    found in [`gateway::Unwritten`].
//!
//! # Where to add what
//! - A vendor is a row of `provider/catalog.rs` and an exchange with it in `tests/fixtures`. Where it departs from its
//!   format, it sets a field of [`provider::Quirks`]; a new one is named in `config/quirks.rs`, too, so that operators can
//!   set it.
//! - A model or a price is a line of `provider/data/models.txt`, which `generate.mjs` beside it makes of a price list;
//!   what that list gets wrong stands in `exceptions.json`.
//! - A format is a folder of [`wire`] and a variant of [`wire::Format`]; what callers speak is its folder's `surface`, a
//!   variant of [`wire::Surface`] and a path in `http/route.rs`. `tests/conformance` runs each surface against each format.
//! - A strategy is a variant of [`route::alias::Strategy`] with its name, and how it scores in `route/decide.rs`.
//! - A setting of the operator's is a member that its file of [`config`] reads, and a field of what it makes.
//! - A member of a key is a field of [`keys::Key`], read by `admin/key_body.rs` and told in `admin/openapi.json`.
//!
//! For the most part the compiler says what else is missing, and tests that look at the tree say the rest.
//!
//! # Why the edge is partly JavaScript
//! Crossing between wasm and the runtime's objects is what costs, not the work: so the loop that moves chunks stands in
//! `edge/stream.mjs`, only bytes cross, and everything that decides is here, synchronous and tested natively.
//!
//! # Invariants
//! - No input panics: bodies, events, depths and counts are capped, and nothing from outside is unwrapped or indexed.
//!   `tests/fuzzed.rs` tries some ten thousand mutated inputs, `tests/fuzz` as many as one lets it.
//! - Any chunking of the same upstream bytes gives the same output; a stream folds to what its plain twin says.
//! - A stream without its format's terminal marker never looks finished, and is still billed for what was seen.
//! - Usage is counted in disjoint buckets; what a vendor did not say is estimated and marked, never zero.
//! - A cost that is not known is absent, never invented. Money is integer nano-dollars, each price line rounded up once.
//! - Secrets have a blank `Debug` and no `Serialize`; records hold ids and figures, never content.
//! - What a key's calls leave behind (stored responses, contents) is found by that key alone, or by its team where both say
//!   so, and is kept only where the key asks for it.

// Tests may stop at what surprises them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod admin;
pub mod breaker;
pub mod budget;
pub mod chat;
pub mod config;
#[cfg(target_arch = "wasm32")]
pub mod edge;
pub mod failure;
pub mod gateway;
pub mod http;
pub mod json;
pub mod keys;
pub mod limit;
pub mod observe;
pub mod provider;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod sorted;
pub mod units;
pub mod wire;

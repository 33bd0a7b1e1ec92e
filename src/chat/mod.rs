//! The hub: one schema between every surface and every format.
//!
//! A call is read into a [`Request`] and answered by [`Event`]s, or by an [`Answer`] when it is not streamed. No
//! vendor's word and no HTTP here. Everything borrows from the body it was read from and carries text as escaped
//! spans ([`crate::json::Text`]).

mod answer;
mod conform;
mod embeddings;
mod event;
mod flaw;
mod fold;
mod letters;
mod regex;
mod request;
mod unfold;
mod usage;

pub use answer::{Answer, Choice};
pub use conform::satisfies;
pub use embeddings::{EmbeddingInput, EmbeddingsAnswer, EmbeddingsRequest, Vector, VectorEncoding};
pub use event::{BlockKind, Citation, EndKind, EndReason, Event, Media, MediaKind, Signature, SignatureRole, Sink};
pub use flaw::{Flaw, Judge, Shape};
pub use fold::Fold;
pub use letters::lowered;
pub use regex::{BadRegex, Regex};
pub use request::{
    Arguments, CacheMark, Effort, Message, OutputShape, Part, Reasoning, Request, Role, Sampling, Source, Tool,
    ToolChoice,
};
pub use unfold::unfold;
pub use usage::{Counted, Unit, Usage};

//! What isolates and the `Health` object say to each other: JSON, versioned.
//!
//! An isolate sends a [`Batch`] and gets a [`Reply`]. A batch that is sent again, because its reply was lost, changes
//! nothing. Members that one side does not know are ignored, and missing ones have their default, so that a deployment in
//! which both versions run works; the object accepts every version from [`OLDEST`] on.

use serde::Serialize;

use super::{Breaker, Figures, Headroom, Policy, Sketch, TargetId};
use crate::json::{readable, words};
use crate::units::{Millis, UnixMillis};

/// The version of the protocol that this build speaks.
pub const PROTOCOL: u32 = 1;
/// The oldest version that it still accepts.
pub const OLDEST: u32 = 1;

/// Reports and questions of one isolate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// See [`PROTOCOL`].
    pub version: u32,
    /// Which isolate: a random name that it keeps while it lives.
    pub isolate: String,
    /// Its batches, counted from 1.
    pub batch: u64,
    /// The thresholds that it works under.
    pub policy: Policy,
    /// Whether it wants to hear of all targets, rather than of those that are blocked or in this batch.
    pub all: bool,
    /// Targets whose block is over, and which it would probe.
    pub asks: Vec<TargetId>,
    /// What it saw.
    pub reports: Vec<Report>,
    /// Repetitions on a failing target that its budget refused since its last batch.
    #[serde(skip_serializing_if = "is_default")]
    pub refused_retries: u64,
}
readable! { Batch { version, isolate, batch, policy, all, asks, reports, refused_retries } }

/// What one isolate saw of one target since its last batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Of what.
    pub target: TargetId,
    /// Since when the state holds that the isolate knew: of an older one than now, failures do not count.
    pub since: UnixMillis,
    /// Whole answers.
    pub served: u32,
    /// Failures.
    pub failed: u32,
    /// Poor ones among the served.
    pub poor: u32,
    /// Failures since the last success.
    pub run: u32,
    /// The credential was refused.
    #[serde(skip_serializing_if = "is_default")]
    pub refused: bool,
    /// How long the provider asked to wait, the last time it did.
    #[serde(rename = "retry_after_ms", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
    /// Times from sending to the first token.
    #[serde(rename = "first_token_ms", skip_serializing_if = "Sketch::is_empty")]
    pub first_token: Sketch,
    /// Times from sending to the whole of a plain answer; older builds do not say.
    #[serde(rename = "whole_ms", skip_serializing_if = "Sketch::is_empty")]
    pub whole: Sketch,
    /// Tokens of those answers.
    #[serde(skip_serializing_if = "is_default")]
    pub whole_tokens: u64,
    /// Tokens of the streams.
    #[serde(skip_serializing_if = "is_default")]
    pub tokens: u64,
    /// From first token to end, all together.
    #[serde(rename = "generation_ms", skip_serializing_if = "is_default")]
    pub generation: Millis,
    /// What the provider's limits leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom: Option<Headroom>,
    /// How its probe went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probed>,
    /// The last failures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<LastError>,
}
readable! { Report {
    target, since, served, failed, poor, run, refused, retry_after = "retry_after_ms", first_token = "first_token_ms",
    whole = "whole_ms", whole_tokens, tokens, generation = "generation_ms", headroom, probe, errors,
} }

impl Report {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let counted = self.served > 0 || self.failed > 0 || self.probe.is_some() || self.headroom.is_some();
        !counted && self.errors.is_empty()
    }
}

/// How a probe went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// Since when the state holds that granted it.
    pub granted: UnixMillis,
    /// Whether it was served; `None` where it said nothing.
    pub served: Option<bool>,
    /// How often the target was blocked by then; older builds do not say.
    #[serde(skip_serializing_if = "is_default")]
    pub trips: u32,
}
readable! { Probed { #[required] granted, served, trips } }

/// A failure as an operator may read it: no content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When.
    pub at: UnixMillis,
    /// Such as `overloaded`.
    pub kind: String,
    /// The status, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}
readable! { LastError { #[required] at, #[required] kind, status } }

/// What the object knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// The version of the batch that it answers.
    pub version: u32,
    /// The batch that it answers.
    pub batch: u64,
    /// Whether `targets` holds all of them. Those that are blocked it always holds.
    pub all: bool,
    /// States and figures.
    pub targets: Vec<News>,
    /// What the operator decided, all of it.
    pub switches: Vec<Switch>,
}
readable! { Reply { version, batch, all, targets, switches } }

/// One target in a [`Reply`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct News {
    /// Which.
    pub target: TargetId,
    /// What happens to its traffic.
    pub breaker: Breaker,
    /// The isolate that asked holds the probe.
    #[serde(skip_serializing_if = "is_default")]
    pub yours: bool,
    /// How it has been doing.
    pub figures: Figures,
}
readable! { News { target, breaker, yours, figures } }

/// What the operator decided about a provider, a target or a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// `provider`, `provider/model` or `provider/model#2`.
    pub subject: String,
    /// What holds for it.
    pub position: Position,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// When it was set.
    pub since: UnixMillis,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
readable! { Switch { #[required] subject, #[required] position, until, #[required] since, reason } }

/// What holds for the subject of a [`Switch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// It gets no calls at all.
    #[default]
    Block,
    /// It gets calls, whatever its breaker says.
    Allow,
}
words! { Position { Block = "block", Allow = "allow" } }

impl Switch {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: UnixMillis) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it is about `target`, or about the provider or target that this belongs to.
    #[must_use]
    pub fn covers(&self, target: &str) -> bool {
        super::target::is_within(target, &self.subject)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

//! How much of everything one call may take.

use serde::Serialize;

use crate::json::readable;
use crate::units::Millis;

/// Caps of one call. Each is named in the error of the call that passes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body. 16 MiB: an isolate has 128 MiB for all its calls together, and a body may stand in
    /// memory twice while it is translated.
    pub body_bytes: usize,
    /// Arrays and objects within each other in a request body. 100: the JSON reader refuses more than 128, and a
    /// tool's schema is wrapped a few levels deeper on its way to another format.
    pub json_depth: usize,
    /// Headers of a request. 64: the platform and official SDKs add about 30.
    pub header_count: usize,
    /// Bytes of one event of a stream. 1 MiB: a generated image in one event is the largest thing known.
    pub event_bytes: usize,
    /// Bytes of a whole answer, streamed or not. 32 MiB: a plain answer is held in memory while it is read.
    pub answer_bytes: usize,
    /// Bytes of one image, sound or document that is fetched for a provider which cannot take its link.
    pub media_bytes: usize,
    /// Links fetched for one call.
    pub media_count: usize,
    /// Deadlines of one attempt and of the call.
    pub deadlines: Deadlines,
}

/// Deadlines, each after which a call or an attempt is given up or acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From sending a request to the upstream's status line. 30 s: some servers queue before they answer.
    pub connect: Millis,
    /// Somebody chose `connect`. A plain request's status line comes with its answer, so that what nobody chose holds for
    /// streams alone.
    pub connect_is_chosen: bool,
    /// From sending a streamed request to the first token. 120 s: reasoning models think in silence.
    pub first_token: Millis,
    /// Between two chunks of a stream, once it has begun. 60 s.
    pub idle: Millis,
    /// The whole call, all attempts. 600 s, what official SDKs wait by default.
    pub total: Millis,
    /// Silence after which a streamed call is committed to its target and keep-alive comments begin. 15 s.
    pub commit_after: Millis,
}

/// Deadlines of some calls, where they differ from the gateway's: those of an alias or of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnDeadlines {
    /// To the upstream's status line.
    #[serde(rename = "connect_ms", skip_serializing_if = "Option::is_none")]
    pub connect: Option<Millis>,
    /// To the first token.
    #[serde(rename = "first_token_ms", skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Millis>,
    /// Between two chunks.
    #[serde(rename = "idle_ms", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Millis>,
    /// The whole call.
    #[serde(rename = "total_ms", skip_serializing_if = "Option::is_none")]
    pub total: Option<Millis>,
}
readable! { OwnDeadlines {
    connect = "connect_ms", first_token = "first_token_ms", idle = "idle_ms", total = "total_ms",
} }

impl OwnDeadlines {
    /// These, and the others where none is set.
    #[must_use]
    pub fn or(&self, others: Deadlines) -> Deadlines {
        Deadlines {
            connect: self.connect.unwrap_or(others.connect),
            connect_is_chosen: others.connect_is_chosen || self.connect.is_some(),
            first_token: self.first_token.unwrap_or(others.first_token),
            idle: self.idle.unwrap_or(others.idle),
            total: self.total.unwrap_or(others.total),
            commit_after: others.commit_after,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 16 << 20,
            json_depth: 100,
            header_count: 64,
            event_bytes: 1 << 20,
            answer_bytes: 32 << 20,
            media_bytes: 10 << 20,
            media_count: 16,
            deadlines: Deadlines::default(),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Millis(30_000),
            connect_is_chosen: false,
            first_token: Millis(120_000),
            idle: Millis(60_000),
            total: Millis(600_000),
            commit_after: Millis(15_000),
        }
    }
}

use super::Permit;
use crate::chat::Flaw;
use crate::failure::{Failure, Kind, Side};
use crate::units::{Millis, UnixMillis};

/// How one attempt ended, as far as it says something about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came of it.
    pub what: What,
    /// When its request was sent: a straggler that began before a block says nothing about what came after.
    pub sent: UnixMillis,
    /// It was the probe that [`super::View::take_probe`] permitted.
    pub probe: Option<Permit>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A whole answer.
    Served {
        /// From sending to the first real token, where it was streamed.
        first_token: Option<Millis>,
        /// From the first token to the end; without one, from sending to the whole of a plain answer. Zero says nothing.
        generation: Millis,
        /// As counted for the bill.
        output_tokens: u64,
    },
    /// An answer came, but it is empty, breaks the schema it was asked to keep, or holds a malformed tool call.
    Poor(Flaw),
    /// 429, 5xx, a broken connection, a cut stream, no answer within the operator's own deadlines.
    Failed {
        /// How long the provider asked to wait.
        retry_after: Option<Millis>,
        /// For the list of last errors: a kind, never content.
        kind: Kind,
        /// The status, where there was one.
        status: Option<u16>,
    },
    /// The credential was rejected or is used up (401, 402, 403): blocks its target (a credential) at once.
    Refused {
        /// The status, where there was one.
        status: Option<u16>,
    },
    /// Says nothing of the target: the caller left, brought a key of their own, or set a deadline of their own.
    Void,
}

impl What {
    /// What a failure says about the target that it came from; [`What::Void`] where that is nothing.
    ///
    /// Whether the caller's own key or deadline was in play, the gateway has to know.
    #[must_use]
    pub fn of(failure: &Failure) -> What {
        match failure.kind {
            Kind::CredentialRejected => What::Refused { status: failure.upstream_status },
            Kind::RateLimited
            | Kind::Unavailable
            | Kind::Overloaded
            | Kind::BadAnswer
            | Kind::Truncated
            | Kind::Timeout
                if failure.side == Side::Upstream =>
            {
                What::Failed { retry_after: failure.retry_after, kind: failure.kind, status: failure.upstream_status }
            }
            _ => What::Void,
        }
    }
}

/// A kind of failure as operators read it.
pub(super) fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::RateLimited => "rate_limited",
        Kind::Unavailable => "unavailable",
        Kind::Overloaded => "overloaded",
        Kind::BadAnswer => "bad_answer",
        Kind::Truncated => "truncated",
        Kind::Timeout => "timeout",
        Kind::CredentialRejected => "credential_rejected",
        _ => "failed",
    }
}

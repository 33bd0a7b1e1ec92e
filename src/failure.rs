//! One failure type: what went wrong, on whose side, and what to do next.
//!
//! What to do is decided where it is known and read where it is needed. No decision reads a message.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use crate::units::Millis;

/// Why a call, or one attempt of it, did not succeed.
///
/// One word wide, because nearly everything here may fail and passes one on: what it says is read and set as its own
/// fields are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{:?}, {:?} side: {}", self.kind, self.side, self.message)]
pub struct Failure(Box<Particulars>);

/// What a [`Failure`] says.
///
/// `message` may be shown to the caller: whoever fills it keeps secrets and other tenants' data out of it. `cause`
/// is for the operator's log alone, but for the one that says which method is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Particulars {
    /// What went wrong; the caller's status and error code follow from it.
    pub kind: Kind,
    /// Who could have avoided it.
    pub side: Side,
    /// What the gateway may try next.
    pub retry: Retry,
    /// A sentence for the caller.
    pub message: String,
    /// The request field it is about, as a path such as `messages.2.content`.
    pub param: Option<Cow<'static, str>>,
    /// A code more precise than the kind's own, such as an upstream's `insufficient_quota`.
    pub code: Option<Cow<'static, str>>,
    /// The status an upstream answered with, where one did; of an error inside an answer with a good status the one that it
    /// names itself, if any.
    pub upstream_status: Option<u16>,
    /// How long the upstream asked to wait.
    pub retry_after: Option<Millis>,
    /// What the operator should read in the log and the caller should not; of [`Kind::MethodNotAllowed`], which method is
    /// allowed.
    pub cause: Option<String>,
    /// What programs should read: one more member of the error.
    pub detail: Option<Box<Detail>>,
}

/// A member of an error beside the usual ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Its name.
    pub name: &'static str,
    /// Its value, as JSON.
    pub json: String,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or a value is out of range: 400.
    BadRequest,
    /// A parameter that the chosen target cannot honour, and whose loss would do harm: 400.
    Unsupported,
    /// The prompt is longer than the model's context: 400.
    ContextLength,
    /// The provider refused the content: 400.
    ContentFiltered,
    /// A bare model id that several providers have: 400.
    AmbiguousModel,
    /// The gateway key is missing, unknown, expired or revoked: 401.
    Unauthorized,
    /// The key's policy says no: 403.
    Forbidden,
    /// No such model, route or object: 404.
    NotFound,
    /// The route exists, but not for this method: 405.
    MethodNotAllowed,
    /// A body, event or answer over its cap: 413.
    TooLarge,
    /// The body is not JSON by its content type: 415.
    UnsupportedMediaType,
    /// Too many calls, here or upstream: 429.
    RateLimited,
    /// A budget is used up: 402.
    OverBudget,
    /// The upstream rejected the gateway's own credential: 502.
    CredentialRejected,
    /// The upstream failed (5xx), could not be reached, or broke the connection: 502.
    Unavailable,
    /// The upstream says it is overloaded (503, 529): 503.
    Overloaded,
    /// The upstream answered something that is not an answer: 502.
    BadAnswer,
    /// A stream ended without its terminal marker: 502.
    Truncated,
    /// A deadline of ours passed: 504.
    Timeout,
    /// No target is left to try: 503.
    NoTarget,
    /// The caller went away.
    Disconnected,
    /// The gateway itself failed: 500.
    Internal,
}

/// Who could have avoided a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one who called.
    Caller,
    /// Latchkey or its configuration.
    Gateway,
    /// The provider.
    Upstream,
}

/// What may be tried after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Nothing: it would fail everywhere.
    Never,
    /// The same target, after a wait.
    SameTarget {
        /// The least wait.
        after: Millis,
    },
    /// Another credential of the same provider, else another target.
    OtherCredential,
    /// Another target.
    OtherTarget,
}

/// Whose health a failure speaks of, for the circuit breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Nobody's: the request was at fault, or the gateway.
    Nobody,
    /// The credential's: other credentials of the provider may well work.
    Credential,
    /// The target's.
    Target,
}

impl Failure {
    /// A failure of `kind` with its usual side and retry decision.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        let (side, retry) = kind.usual();
        Failure(Box::new(Particulars {
            kind,
            side,
            retry,
            message: message.into(),
            param: None,
            code: None,
            upstream_status: None,
            retry_after: None,
            cause: None,
            detail: None,
        }))
    }

    /// The caller sent something that cannot be read or served.
    #[must_use]
    pub fn bad_request(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Failure {
        Failure::new(Kind::BadRequest, message).about(param)
    }

    /// A parameter the target cannot honour and that must not be dropped silently.
    #[must_use]
    pub fn unsupported(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Failure {
        Failure::new(Kind::Unsupported, message).about(param)
    }

    /// A stream that stopped before its terminal marker.
    #[must_use]
    pub fn truncated(missing: &str) -> Failure {
        Failure::new(Kind::Truncated, format!("The provider's stream ended early: {missing}."))
    }

    /// An upstream body or event that is not what its format promises.
    #[must_use]
    pub fn bad_answer(message: impl Into<String>) -> Failure {
        Failure::new(Kind::BadAnswer, message)
    }

    /// One word for what went wrong: the upstream's own code where it gave one, else the kind.
    #[must_use]
    pub fn reason(&self) -> Cow<'static, str> {
        match &self.code {
            // Providers choose these; lists and records keep a bounded piece.
            Some(code) => code.chars().take(100).collect::<String>().into(),
            None => format!("{:?}", self.kind).into(),
        }
    }

    /// Whose health this counts against.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self.kind {
            Kind::CredentialRejected | Kind::RateLimited if self.side == Side::Upstream => Blame::Credential,
            _ if self.side == Side::Upstream => Blame::Target,
            _ => Blame::Nobody,
        }
    }

    /// Names the request field.
    #[must_use]
    pub fn about(mut self, param: impl Into<Cow<'static, str>>) -> Failure {
        self.param = Some(param.into());
        self
    }

    /// Sets a more precise code.
    #[must_use]
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Failure {
        self.code = Some(code.into());
        self
    }

    /// Notes what only the log should say.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Failure {
        self.cause = Some(cause.into());
        self
    }
}

impl Deref for Failure {
    type Target = Particulars;

    fn deref(&self) -> &Particulars {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Particulars {
        &mut self.0
    }
}

impl Kind {
    fn usual(self) -> (Side, Retry) {
        use Kind::{
            AmbiguousModel, BadAnswer, BadRequest, ContentFiltered, ContextLength, CredentialRejected, Disconnected,
            Forbidden, Internal, MethodNotAllowed, NoTarget, NotFound, OverBudget, Overloaded, RateLimited, Timeout,
            TooLarge, Truncated, Unauthorized, Unavailable, Unsupported, UnsupportedMediaType,
        };
        match self {
            BadRequest | Unsupported | ContextLength | ContentFiltered | AmbiguousModel | Unauthorized | Forbidden
            | NotFound | MethodNotAllowed | TooLarge | UnsupportedMediaType | OverBudget | Disconnected => {
                (Side::Caller, Retry::Never)
            }
            RateLimited | Unavailable | Overloaded => (Side::Upstream, Retry::SameTarget { after: Millis(0) }),
            CredentialRejected => (Side::Upstream, Retry::OtherCredential),
            BadAnswer | Truncated | Timeout => (Side::Upstream, Retry::OtherTarget),
            NoTarget | Internal => (Side::Gateway, Retry::Never),
        }
    }
}

//! The path of a call, as a state machine without I/O.
//!
//! [`Gateway`] is what one isolate remembers; a [`Call`] is one request on its way. The edge tells it what happened
//! ([`Input`]) and does what it answers ([`Step`]): bytes in, bytes out, nothing awaited. So a whole call, faults and
//! disconnects included, runs in a native test without a network, and the thin driver at the edge decides nothing.
//!
//! | of a call | files |
//! |---|---|
//! | how it comes in and goes from step to step | `machine`, `call`, `headers`, `asked`, `wishes`, `grants` |
//! | where it goes, and where next | `routed`, `means`, `failover`, `attempt`, `health`, `hedge`, `resume`, `escalate` |
//! | what it may cost, and what it did | `funds`, `funds_refused`, `settle`, `tried` |
//! | what is sent | `send`, `tokens`, `link`, `service`, `passthrough`, `talk` |
//! | what comes back | `plain`, `stream`, `through` |
//! | what is kept of it | `stored`, `unwritten`, `feedback` |
//! | calls beside it, and what is asked without one | `inner`, `probe`, `shadow`, `compare`, `hypothetical`, `inspect` |

mod asked;
mod attempt;
mod call;
mod compare;
mod escalate;
mod failover;
mod feedback;
mod funds;
mod funds_refused;
mod grants;
mod headers;
mod health;
mod hedge;
mod hypothetical;
mod inner;
mod inspect;
mod link;
mod machine;
mod means;
mod passthrough;
mod plain;
mod probe;
mod resume;
mod routed;
mod send;
mod service;
mod settle;
mod shadow;
mod stored;
mod stream;
mod talk;
mod through;
mod tokens;
mod tried;
mod unwritten;
mod wishes;

pub use asked::Asked;
pub use call::Call;
pub use compare::Comparison;
pub use feedback::Feedback;
pub use headers::Incoming;
pub use hypothetical::{Hypothetical, PastCall, Redecided};
pub use link::link_fault;
pub use machine::{Gateway, Load, Setup};
pub use shadow::Content;
pub use stored::{MOST_TURNS, StoredFound, StoredWanted};
pub use unwritten::{StoredResponse, Unwritten};

use std::borrow::Cow;
use std::rc::Rc;

use crate::budget::{KeyStandings, Terms};
use crate::http::Response;
use crate::keys::{Grant, KeyHash};
use crate::provider::TokenRequest;
use crate::units::{Millis, UnixMillis};

/// Whether calls are recorded under a key of this id without there being one: those of the gateway's own.
#[must_use]
pub fn is_own_key(id: &str) -> bool {
    matches!(id, probe::KEY | means::KEY) || id.starts_with(shadow::KEY)
}

/// Names a call within its isolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u32);

/// What happened since the last step.
#[derive(Debug)]
pub enum Input<'a> {
    /// The answer to [`Step::FindGrant`]: the grant, none if no such key exists, or why it could not be looked up.
    Grant(Result<Option<Rc<Grant>>, String>),
    /// The answer to [`Step::AskLedger`], which was sent at this moment, or why there is none.
    Ledger {
        /// Whose ledger it is, as the step said.
        team: Option<String>,
        /// When the message was made.
        sent: UnixMillis,
        /// What the ledger says.
        reply: Result<Box<crate::budget::Reply>, String>,
    },
    /// The answer to [`Step::AskStandings`], or why there is none.
    Standings(Result<Box<KeyStandings>, String>),
    /// The answer to [`Step::FindCall`]: the body that tells of it, none if there is no such call, or why it could not be
    /// looked up.
    Call(Result<Option<String>, String>),
    /// The answer to [`Step::FindResponses`], or why they could not be looked up.
    Responses(Result<StoredFound, String>),
    /// The answer to [`Step::FetchMedia`], one for each link, in order.
    Media(Vec<Result<FetchedMedia, String>>),
    /// The answer to [`Step::Exchange`], or why there is none.
    Token(Result<Exchanged<'a>, &'a str>),
    /// The answer to [`Step::Inner`], with its status; none where it did not come.
    Inner(u16, &'a [u8]),
    /// The wait that [`Step::Wait`] asked for is over.
    Waited,
    /// The upstream's status and headers, with lower-case names.
    Headers(u16, &'a [(&'a str, &'a str)]),
    /// The upstream's whole body, the answer to [`Step::ReadBody`].
    Body(&'a [u8]),
    /// The upstream's whole body has more bytes than [`Step::ReadBody`] named.
    TooLong,
    /// The next bytes of a streamed body.
    Chunk(&'a [u8]),
    /// A streamed body ended in good order.
    End,
    /// The upstream could not be reached, or its body broke off. The text is for the log.
    Broken(&'a str),
    /// A deadline passed.
    Expired(Deadline),
    /// Nothing has come for so long that a streamed answer is committed to this target, or needs a keep-alive.
    Silence,
    /// The caller went away.
    Gone,
}

/// A fetched link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedMedia {
    /// The `content-type` of the answer.
    pub media_type: String,
    /// The body.
    pub bytes: Vec<u8>,
}

/// What came of asking for a token.
#[derive(Clone, Copy)]
pub struct Exchanged<'a> {
    /// The status of the answer.
    pub status: u16,
    /// Its body, with the token: not to be logged.
    pub body: &'a [u8],
    /// When it was asked for.
    pub sent: UnixMillis,
    /// It is a copy of what another isolate was given.
    pub is_copy: bool,
}

/// Shows nothing of the token.
impl std::fmt::Debug for Exchanged<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Exchanged");
        shown.field("status", &self.status).field("is_copy", &self.is_copy).finish_non_exhaustive()
    }
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// Until the upstream's status line.
    Connect,
    /// Until the first token.
    FirstToken,
    /// Between two chunks.
    Idle,
    /// The whole call.
    Total,
}

impl Deadline {
    /// As the configuration and the errors name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Deadline::Connect => "connect",
            Deadline::FirstToken => "first_token",
            Deadline::Idle => "idle",
            Deadline::Total => "total",
        }
    }

    /// Reads what [`Deadline::as_str`] writes.
    #[must_use]
    pub fn parse(word: &str) -> Option<Deadline> {
        [Deadline::Connect, Deadline::FirstToken, Deadline::Idle, Deadline::Total]
            .into_iter()
            .find(|deadline| deadline.as_str() == word)
    }
}

/// What the edge does next.
#[derive(Debug)]
pub enum Step {
    /// Look the key up: KV, then the database.
    FindGrant(KeyHash),
    /// Ask the ledger: a [`crate::budget::Message`] as JSON.
    AskLedger {
        /// The team whose own ledger it is; `None` is the account's.
        team: Option<String>,
        /// What to say.
        message: Vec<u8>,
    },
    /// Ask the ledger how everything stands that a key is subject to.
    AskStandings(Box<Terms>),
    /// Keep what a caller thinks of one of its calls; the answer is [`Input::Call`], as to a call that is looked up.
    KeepFeedback(Feedback),
    /// Look a finished call of a key up.
    FindCall {
        /// Which call.
        request_id: String,
        /// Whose it must be.
        key_id: String,
        /// The team whose own ledger may still have it; `None` is the account's.
        team: Option<String>,
    },
    /// Look stored responses up, or delete one.
    FindResponses(Box<StoredWanted>),
    /// Fetch these links, each up to so many bytes; every redirect must be checked again.
    FetchMedia(Vec<String>, usize),
    /// Get a token: a copy that another isolate left, else from its issuer, and leave a copy.
    Exchange(Box<TokenWanted>),
    /// Make another call for the sake of this one: begin it with [`Gateway::begin_inner`], and tell its whole answer.
    Inner,
    /// Let go of the upstream that was asked before, if one was, and send a request to this one.
    Send(Box<Outbound>),
    /// Let go of the upstream and wait so long before the next attempt.
    Wait(Millis),
    /// Read the upstream's whole body, up to this many bytes.
    ReadBody(usize),
    /// Read on: there is nothing to send to the caller yet.
    Hold,
    /// Answer the caller with this; the call is over.
    Respond(Response),
    /// Answer the caller with this head and these first bytes of a stream, and read on.
    Commit {
        /// Status and headers, and the bytes so far as its body.
        head: Response,
        /// Pass the rest of the upstream's body to the caller natively, and feed a copy of it.
        relay: bool,
    },
    /// Write these bytes to the caller and read on.
    Write(Vec<u8>),
    /// Write these bytes to the caller; the call is over.
    Finish(Vec<u8>),
    /// Break the caller's connection off: what came is not all, and nothing in it could say so.
    Break,
}

/// A token that is asked for.
#[derive(Clone, Debug)]
pub struct TokenWanted {
    /// Names what it is got with: under this name isolates leave each other copies.
    pub id: String,
    /// What its issuer is sent.
    pub request: TokenRequest,
    /// A copy of a token that was asked for at this moment, or before, is of no use.
    pub newer_than: UnixMillis,
}

/// A request to an upstream.
#[derive(Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Upper case.
    pub method: Cow<'static, str>,
    /// Whole.
    pub url: String,
    /// Headers of the caller that go on as they came.
    pub passed: Vec<(String, String)>,
    /// With the credential: not to be logged.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
    /// How long to wait for what.
    pub deadlines: crate::config::Deadlines,
    /// What is left of the whole call.
    pub total_left: Millis,
    /// After how long without an answer, or a stream's first word, a second target may be asked as well
    /// ([`Gateway::hedge`]).
    pub hedge: Option<Millis>,
    /// Whether it must be possible to abort it while the call goes on. Where not, the end of the call ends it too.
    pub abortable: bool,
    /// Whether the call has a shadow to be begun beside it ([`Gateway::begin_shadow`]).
    pub shadow: bool,
    /// Whether its answer may leave a response to be written ([`Unwritten`]).
    pub keeps: bool,
    /// The answer of the built-in sandbox, instead of a network call.
    pub sandbox: Option<crate::sandbox::Script>,
    /// A binding of the deployment that is called instead of the URL.
    pub binding: Option<Binding>,
    /// A WebSocket is asked for.
    pub socket: bool,
    /// What is sent is the body that the edge keeps: a form gets `body` as the text of its field `model`.
    pub outside: bool,
}

/// A call by a binding: `env.<name>.run(model, body)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What it is called in the deployment.
    pub name: &'static str,
    /// The model as the provider spells it.
    pub model: String,
}

/// Shows where a request goes and nothing of its credential or content.
impl std::fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Outbound");
        shown.field("url", &self.url).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

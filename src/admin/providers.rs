//! `/admin/providers`: who can be called, and whether a credential is there. Never the credential.

use serde::Serialize;

use super::Call;
use super::answer::{Answer, Refusal};
use super::page::{Page, Parameters};

/// A provider as the gateway sees it: its row, and what the environment and the configuration add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderStatus {
    /// The first part of `provider/model`.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it is called.
    pub base_url: String,
    /// The protocol it is spoken to in.
    pub format: String,
    /// Whether there is a credential for it, or it needs none.
    pub has_credential: bool,
    /// The variable that its credential is read from.
    pub key_variable: String,
}

/// `GET /admin/providers`: all of them on one page.
pub(super) fn list<S>(call: &Call<'_, S>) -> Result<Answer, Refusal> {
    Parameters::read(call.request.query).end()?;
    Answer::json(200, &Page::of(call.context.providers.iter().collect(), u32::MAX, |_| String::new()))
}

//! Vendors as rows: base URL, format, credentials and quirks, and what is known of their models.

mod address;
mod catalog;
mod facts;
mod families;
pub mod models;
mod prices;
mod quirks;
mod registry;
mod service;
mod sigv4;
mod tokens;

pub use address::{Address, MissingVariable, percent_encoded};
pub use catalog::{PROVIDERS, find};
pub use facts::{Capabilities, ModelFacts, OwnThinking, ReasoningControl, SamplingRule, StructuredOutput};
pub use families::{Family, family, is_same_model};
pub use prices::{Bucket, DEAR, Hours, Line, LongPrompt, Price, Rates, Source, Validity, cost, lines, receipt};
pub use quirks::{Hosting, OutputCap, Quirks, ReasoningBack, ReasoningParameter, ToolCallIds};
pub use registry::{Registry, Unsigned, Upstream};
pub use service::{Images, Rerank, RerankWords, Service, Services};
pub use sigv4::AwsCredentials;
pub use tokens::{Credential, Exchange, Token, TokenRequest, TokenSource};

use crate::wire::Format;

/// The id of the built-in provider that answers without key or network.
pub const SANDBOX: &str = "sandbox";

/// A company or server that serves models.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Our id, lower case with `-`: the first part of `provider/model`.
    pub id: &'static str,
    /// What it is called, for people.
    pub name: &'static str,
    /// Where official SDKs point. `{NAME}` stands for a variable of the environment (`{CLOUDFLARE_ACCOUNT_ID}`).
    pub base_url: &'static str,
    /// Where it is for single values of a variable that stands in the base URL, which is then not looked at.
    pub places: &'static [Place],
    /// The protocol it speaks.
    pub format: Format,
    /// How it wants its key.
    pub auth: Auth,
    /// What it gets tokens with where there is no key.
    pub tokens: Option<TokenSource>,
    /// How it departs from its format.
    pub quirks: Quirks,
    /// The variable that, where it is set, names a dated version of the API and moves calls to the paths of single
    /// deployments ([`Address::url`]).
    pub versioned: Option<&'static str>,
    /// Its id in the model catalogue.
    pub catalog_id: &'static str,
    /// The folder of recorded exchanges, for the tests; `None` where there is none and the fixture is synthetic.
    pub recordings: Option<&'static str>,
    /// Endpoints beyond chat that it serves in its format.
    pub endpoints: Endpoints,
    /// How it is reached without a key, where the deployment is bound to it.
    pub bound: Option<Bound>,
}

/// Where a provider is for one value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The variable.
    pub variable: &'static str,
    /// Its value.
    pub value: &'static str,
    /// The base URL, as [`Provider::base_url`] is written.
    pub base_url: &'static str,
}

/// A way to a provider that is a binding of the deployment: no address, no key, and a protocol of its own.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The binding's name.
    pub name: &'static str,
    /// The protocol it speaks.
    pub format: Format,
    /// How that departs from its format.
    pub quirks: Quirks,
}

impl Bound {
    /// The variable by which the edge says that the binding is there. No variable of an operator's can be called so.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("binding:{}", self.name)
    }
}

/// Which endpoints beside chat a provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Endpoints {
    /// `/embeddings` or its like.
    pub embeddings: bool,
    /// Legacy `/completions`.
    pub completions: bool,
    /// OpenAI's `/responses`, beside Chat Completions.
    pub responses: bool,
    /// What it does beside conversation and embeddings.
    pub services: Services,
}

/// How a credential travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer,
    /// In this header, as it is.
    Header(&'static str),
    /// In this header, as `Bearer …`.
    BearerIn(&'static str),
    /// `Authorization: Bearer …` where there is a key, else signed with the deployment's AWS credentials
    /// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`) for this service.
    Aws(&'static str),
    /// No credential: a server on one's own machine. A key is sent as a bearer token if there is one.
    Optional,
}

impl Provider {
    /// The variable that holds its key: `OPENAI_API_KEY`.
    #[must_use]
    pub fn key_variable(&self) -> String {
        variable(self.id, "API_KEY")
    }

    /// The variable that replaces its base URL: `OPENAI_BASE_URL`.
    #[must_use]
    pub fn base_url_variable(&self) -> String {
        variable(self.id, "BASE_URL")
    }
}

/// `github-models`, `API_KEY` → `GITHUB_MODELS_API_KEY`.
#[must_use]
pub fn variable(provider: &str, what: &str) -> String {
    let mut name = provider.to_ascii_uppercase().replace('-', "_");
    name.push('_');
    name.push_str(what);
    name
}

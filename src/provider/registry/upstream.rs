use crate::config::{ProviderEntry, default_quirks};
use crate::failure::{Failure, Kind};
use crate::provider::{
    Address, Auth, AwsCredentials, Credential, Endpoints, Exchange, MissingVariable, Provider, Quirks, SANDBOX,
    Services, TokenSource, variable,
};
use crate::secret::Secret;
use crate::units::UnixMillis;
use crate::wire::Format;

/// Credentials that one provider can have; the first is preferred.
const MAX_KEYS: usize = 9;

/// A provider as this deployment can reach it.
#[derive(Debug)]
pub struct Upstream {
    /// The first part of `provider/model`.
    pub id: String,
    /// What it is called, for people.
    pub name: String,
    /// The protocol it speaks.
    pub format: Format,
    /// How it wants its key.
    pub auth: Auth,
    /// How it departs from its format.
    pub quirks: Quirks,
    /// Its keys, the preferred one first.
    pub keys: Vec<Secret>,
    /// Endpoints beyond chat that it serves.
    pub endpoints: Endpoints,
    /// Its id in the catalogue.
    pub catalog_id: String,
    /// Models that it serves beside those of the catalogue.
    pub models: Vec<String>,
    /// Whether calls that ask for no service tier may be served at a dearer one.
    pub priority: bool,
    /// The name of the binding that it is called by, instead of an address and a key.
    pub binding: Option<&'static str>,
    /// What requests are signed with where there is no key.
    aws: Option<AwsCredentials>,
    /// What tokens are got with where there is no key, or why they cannot be.
    exchange: Option<Result<Exchange, String>>,
    /// Which variables such tokens would be got with.
    tokens: Option<TokenSource>,
    address: Result<Address, MissingVariable>,
    /// The variable that holds its first key, for messages.
    key_variable: String,
    /// Whether the address was chosen here, rather than being the row's own.
    placed: bool,
    local: bool,
}

/// A request that lacks its credential: all that a signature may cover.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'r> {
    /// Upper case.
    pub method: &'r str,
    /// Whole.
    pub url: &'r str,
    /// As it is sent.
    pub body: &'r [u8],
    /// When it is sent.
    pub now: UnixMillis,
}

/// Looks up a variable; empty ones are not there.
type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

impl Upstream {
    /// A built-in row, with what the document says of it and the environment's credentials.
    pub(super) fn of_row(
        row: &Provider,
        entry: Option<&ProviderEntry>,
        variables: Variables<'_>,
        local: bool,
    ) -> Upstream {
        let default = ProviderEntry::default();
        let entry = entry.unwrap_or(&default);
        let moved = variables(&row.base_url_variable()).or_else(|| entry.base_url.clone());
        let placed = moved.is_some();
        let aws = matches!(row.auth, Auth::Aws(_)).then(|| aws_credentials(variables)).flatten();
        let exchange = row.tokens.and_then(|source| source.read(variables, aws.as_ref()));
        // The project may be told by the credential.
        let project = exchange.as_ref().and_then(|read| read.as_ref().ok()?.1.clone());
        let project_variable = row.tokens.and_then(TokenSource::project_variable);
        let variables: Variables<'_> =
            &|name| variables(name).or_else(|| project.clone().filter(|_| project_variable == Some(name)));
        let address = Address::of(row, moved.as_deref(), variables);
        let unbound = Upstream::with_keys(row.id, entry, address, variables, local);
        // A key that was set up is meant to be used; the binding serves deployments without one.
        let bound = row.bound.filter(|bound| variables(&bound.variable()).is_some());
        if let Some(bound) = bound.filter(|_| unbound.keys.is_empty() && !placed && entry.format.is_none()) {
            return Upstream {
                name: entry.name.clone().unwrap_or_else(|| row.name.to_owned()),
                format: bound.format,
                quirks: bound.quirks,
                endpoints: Endpoints {
                    completions: false,
                    responses: false,
                    services: Services::NONE,
                    ..entry.endpoints.unwrap_or(row.endpoints)
                },
                catalog_id: row.catalog_id.to_owned(),
                binding: Some(bound.name),
                address: Ok(Address::at("")),
                ..unbound
            };
        }
        Upstream {
            name: entry.name.clone().unwrap_or_else(|| row.name.to_owned()),
            format: entry.format.unwrap_or(row.format),
            auth: entry.auth.unwrap_or(row.auth),
            quirks: entry.quirks.unwrap_or(row.quirks),
            endpoints: entry.endpoints.unwrap_or(row.endpoints),
            catalog_id: row.catalog_id.to_owned(),
            placed,
            aws,
            exchange: exchange.map(|read| read.map(|(exchange, _)| exchange)),
            tokens: row.tokens,
            ..unbound
        }
    }

    /// A server of the operator's own.
    pub(super) fn of_entry(id: &str, entry: &ProviderEntry, variables: Variables<'_>, local: bool) -> Upstream {
        let name = variable(id, "BASE_URL");
        let base = variables(&name).or_else(|| entry.base_url.clone());
        let address = base.map(|base| Address::at(&base)).ok_or(MissingVariable(name));
        Upstream::with_keys(id, entry, address, variables, local)
    }

    /// The provider that is built in.
    pub(super) fn sandbox() -> Upstream {
        let entry = ProviderEntry {
            name: Some("Sandbox".to_owned()),
            auth: Some(Auth::Optional),
            quirks: Some(Quirks::NONE),
            models: crate::sandbox::MODELS.iter().map(|model| (*model).to_owned()).collect(),
            endpoints: Some(Endpoints { embeddings: true, completions: true, ..Endpoints::default() }),
            ..ProviderEntry::default()
        };
        Upstream::with_keys(SANDBOX, &entry, Ok(Address::at("")), &|_| None, true)
    }

    fn with_keys(
        id: &str,
        entry: &ProviderEntry,
        address: Result<Address, MissingVariable>,
        variables: Variables<'_>,
        local: bool,
    ) -> Upstream {
        let format = entry.format.unwrap_or(Format::OpenAiChat);
        let key_variables = entry.key_variables.clone().unwrap_or_else(|| vec![variable(id, "API_KEY")]);
        let mut keys: Vec<Secret> = key_variables.iter().filter_map(|name| variables(name)).map(Secret::new).collect();
        if let (Some(_), Some(first)) = (keys.first(), key_variables.first()) {
            let further = (2..=MAX_KEYS).filter_map(|number| variables(&format!("{first}_{number}")));
            keys.extend(further.map(Secret::new));
        }
        keys.truncate(MAX_KEYS);
        Upstream {
            id: id.to_owned(),
            name: entry.name.clone().unwrap_or_else(|| id.to_owned()),
            format,
            auth: entry.auth.unwrap_or(Auth::Bearer),
            quirks: entry.quirks.unwrap_or_else(|| default_quirks(format)),
            keys,
            endpoints: entry.endpoints.unwrap_or_default(),
            catalog_id: id.to_owned(),
            models: entry.models.clone(),
            priority: entry.priority,
            binding: None,
            aws: None,
            exchange: None,
            tokens: None,
            address,
            key_variable: key_variables.into_iter().next().unwrap_or_default(),
            placed: true,
            local,
        }
    }

    /// Whether it can be called with what is set up here, and is therefore listed and chosen for bare model ids.
    ///
    /// A server that needs no key counts once it was given an address: nobody knows whether one runs on localhost.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let exchanges = matches!(self.exchange, Some(Ok(_)));
        let has_credential = !self.keys.is_empty() || self.aws.is_some() || self.binding.is_some() || exchanges;
        self.address.is_ok() && (has_credential || (self.auth == Auth::Optional && self.placed))
    }

    /// Whether its requests carry a signature over their bodies rather than a key.
    #[must_use]
    pub fn signs(&self) -> bool {
        matches!(self.auth, Auth::Aws(_)) && self.keys.is_empty()
    }

    /// Where it is, without a trailing slash; `None` where the address needs a variable that is not set.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        self.address.as_ref().ok().map(Address::base_url)
    }

    /// The variable that its preferred key is read from.
    #[must_use]
    pub fn key_variable(&self) -> &str {
        &self.key_variable
    }

    /// A model's id without what may stand before it and says nothing: the collection that Gemini's are in.
    #[must_use]
    pub fn bare<'m>(&self, model: &'m str) -> &'m str {
        match self.format {
            Format::Gemini => model.trim_start_matches("models/"),
            _ => model,
        }
    }

    /// The URL of `path` as a format gives it.
    ///
    /// # Errors
    /// Where the address needs a variable that is not set.
    pub fn url(&self, path: &str, model: &str) -> Result<String, Failure> {
        let address = self.address.as_ref().map_err(|missing| self.not_set_up(&missing.0))?;
        Ok(address.url(path, model))
    }

    /// What its tokens are got with, where it is called with such: a key that was set up is meant to be used.
    ///
    /// # Errors
    /// Where what was set up for that cannot be read.
    pub fn exchange(&self) -> Result<Option<&Exchange>, Failure> {
        match self.exchange.as_ref().filter(|_| self.keys.is_empty()) {
            None => Ok(None),
            Some(Ok(exchange)) => Ok(Some(exchange)),
            Some(Err(fault)) => Err(self.unusable(&format!("{fault}."))),
        }
    }

    /// The headers that carry a token's credential.
    #[must_use]
    pub fn authorize_with(&self, request: &Unsigned<'_>, credential: &Credential) -> Vec<(&'static str, String)> {
        match (credential, self.auth) {
            (Credential::Bearer(token), _) => vec![("authorization", format!("Bearer {}", token.expose()))],
            (Credential::Aws(aws), Auth::Aws(service)) => aws.sign(service, request),
            (Credential::Aws(_), _) => Vec::new(),
        }
    }

    /// The URL of a call that is passed through. What the path repeats of the base URL's end, as in `/v1/files` behind
    /// `https://api.example/v1`, is there once.
    ///
    /// # Errors
    /// Where the address needs a variable that is not set.
    pub fn passed_url(&self, path: &str, query: &str) -> Result<String, Failure> {
        let address = self.address.as_ref().map_err(|missing| self.not_set_up(&missing.0))?;
        let base = address.base_url();
        let last = base.rsplit_once('/').map_or("", |(_, last)| last);
        let repeated = path.strip_prefix('/').and_then(|path| path.strip_prefix(last));
        let rest =
            repeated.filter(|rest| !last.is_empty() && (rest.is_empty() || rest.starts_with('/'))).unwrap_or(path);
        Ok(format!("{base}{rest}{query}"))
    }

    /// The headers that carry the credential: the caller's own key where they brought one, else the gateway's number
    /// `index`, 0 being the preferred one. None where the server wants none.
    ///
    /// # Errors
    /// Where a key is needed and there is none.
    pub fn authorize(
        &self,
        request: &Unsigned<'_>,
        own_key: Option<&str>,
        index: usize,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        if self.binding.is_some() {
            return match own_key {
                None => Ok(Vec::new()),
                Some(_) => Err(Failure::bad_request(
                    "x-latchkey-provider-key",
                    format!("The provider `{}` is called by a binding of this deployment, without a key.", self.id),
                )),
            };
        }
        let Some(key) = own_key.or_else(|| self.keys.get(index).map(Secret::expose)) else {
            if let (Auth::Aws(service), Some(aws)) = (self.auth, &self.aws) {
                return Ok(aws.sign(service, request));
            }
            let reachable = self.auth == Auth::Optional && (self.placed || self.local);
            let missing =
                if self.auth == Auth::Optional { variable(&self.id, "BASE_URL") } else { self.key_variable.clone() };
            return if reachable { Ok(Vec::new()) } else { Err(self.not_set_up(&missing)) };
        };
        Ok(vec![match self.auth {
            Auth::Bearer | Auth::Optional | Auth::Aws(_) => ("authorization", format!("Bearer {key}")),
            Auth::BearerIn(header) => (header, format!("Bearer {key}")),
            Auth::Header(header) => (header, key.to_owned()),
        }])
    }

    fn not_set_up(&self, missing: &str) -> Failure {
        match self.tokens.and_then(TokenSource::wants).filter(|_| missing == self.key_variable) {
            Some(other) => self.unusable(&format!("neither {missing} nor {other} is set.")),
            None => self.unusable(&format!("{missing} is not set.")),
        }
    }

    fn unusable(&self, why: &str) -> Failure {
        let message = format!("The provider `{}` is not set up on this gateway: {why}", self.id);
        Failure::new(Kind::NotFound, message).code("model_not_found").about("model")
    }
}

/// The deployment's own AWS credentials, if they are there. Without a region it is the oldest one.
fn aws_credentials(variables: Variables<'_>) -> Option<AwsCredentials> {
    Some(AwsCredentials {
        access_key_id: variables("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::new(variables("AWS_SECRET_ACCESS_KEY")?),
        session_token: variables("AWS_SESSION_TOKEN").map(Secret::new),
        region: variables("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
    })
}

use super::service_account::ServiceAccount;
use super::{Exchange, Grant};
use crate::provider::AwsCredentials;
use crate::secret::Secret;

/// Which variables a provider's tokens are got with, where it has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The key of a service account, as the JSON file that it is handed out in.
    ServiceAccount {
        /// The variables that may hold it, the preferred one first.
        variables: &'static [&'static str],
        /// The variable of the project, which is the account's own unless it is set.
        project: &'static str,
        /// What the token is for.
        scope: &'static str,
    },
    /// An application's id and secret.
    Client {
        /// The variable of the directory that knows the application.
        tenant: &'static str,
        /// The variable of the application's id.
        id: &'static str,
        /// The variable of its secret.
        secret: &'static str,
        /// The variable that moves the directory elsewhere, as in sovereign clouds, and where it is otherwise.
        authority: (&'static str, &'static str),
        /// The variable of what the token is for, and what it is for otherwise.
        scope: (&'static str, &'static str),
    },
    /// A role that the deployment's own AWS credentials may take on.
    Role {
        /// The variable of its name.
        arn: &'static str,
        /// The variable of the id by which another account's role is asked for.
        external_id: &'static str,
        /// The variable that moves the token service elsewhere.
        endpoint: &'static str,
    },
}

impl TokenSource {
    /// The exchange that the environment makes possible, with the project that comes with it; `None` where its variables
    /// are not set.
    ///
    /// # Errors
    /// With what is wrong with a variable that is set.
    pub(in crate::provider) fn read(
        self,
        variables: &dyn Fn(&str) -> Option<String>,
        aws: Option<&AwsCredentials>,
    ) -> Option<Result<(Exchange, Option<String>), String>> {
        let grant = match self {
            TokenSource::ServiceAccount { variables: names, scope, .. } => {
                let (name, text) = names.iter().find_map(|name| Some((*name, variables(name)?)))?;
                let Some(account) = ServiceAccount::read(&text) else {
                    return Some(Err(format!("{name} is not the JSON of a service account's key")));
                };
                let ServiceAccount { email, key_id, private_key, token_url: url, project } = account;
                let exchange = Exchange::new(Grant::Assertion { url, email, key_id, private_key, scope });
                return Some(Ok((exchange, project)));
            }
            TokenSource::Client { tenant, id, secret, authority, scope } => {
                let authority = variables(authority.0).unwrap_or_else(|| authority.1.to_owned());
                let (authority, tenant) = (authority.trim_end_matches('/'), variables(tenant)?);
                Grant::Client {
                    url: format!("{authority}/{}/oauth2/v2.0/token", crate::provider::percent_encoded(&tenant)),
                    id: variables(id)?,
                    secret: Secret::new(variables(secret)?),
                    scope: variables(scope.0).unwrap_or_else(|| scope.1.to_owned()),
                }
            }
            TokenSource::Role { arn, external_id, endpoint } => {
                let (arn, own) = (variables(arn)?, aws?.clone());
                let url = variables(endpoint).unwrap_or_else(|| format!("https://sts.{}.amazonaws.com/", own.region));
                Grant::Role { url, arn, external_id: variables(external_id), own }
            }
        };
        Some(Ok((Exchange::new(grant), None)))
    }

    /// The variable of the project that the exchange may bring along.
    pub(in crate::provider) fn project_variable(self) -> Option<&'static str> {
        match self {
            TokenSource::ServiceAccount { project, .. } => Some(project),
            _ => None,
        }
    }

    /// What could be set instead of a key, for a message.
    #[must_use]
    pub fn wants(self) -> Option<&'static str> {
        match self {
            TokenSource::ServiceAccount { variables, .. } => variables.first().copied(),
            TokenSource::Client { secret, .. } => Some(secret),
            // It only adds to credentials that serve by themselves.
            TokenSource::Role { .. } => None,
        }
    }
}

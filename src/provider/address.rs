//! Where a call goes.

use super::Provider;

/// A base URL names a variable that is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not set")]
pub struct MissingVariable(pub String);

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Without a trailing slash.
    base: String,
    /// The dated version of the API, where calls must name one.
    version: Option<String>,
}

impl Address {
    /// The address of a row: where it was `moved` to, else the row's own base URL with its `{NAME}`s filled in.
    ///
    /// # Errors
    /// With the name of a variable that the base URL needs and that is not set.
    pub fn of(
        provider: &Provider,
        moved: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Address, MissingVariable> {
        let base = match moved {
            Some(base) => base.to_owned(),
            None => {
                let place =
                    provider.places.iter().find(|place| variable(place.variable).as_deref() == Some(place.value));
                fill_in(place.map_or(provider.base_url, |place| place.base_url), variable)?
            }
        };
        Ok(Address { version: provider.versioned.and_then(variable), ..Address::at(&base) })
    }

    /// The address of a server that is at this base URL.
    #[must_use]
    pub fn at(base_url: &str) -> Address {
        Address { base: base_url.trim().trim_end_matches('/').to_owned(), version: None }
    }

    /// The base URL, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// The URL of `path`, which begins with `/` and may have a query.
    ///
    /// Where there is a version, a base that ends in `/openai` or `/openai/v1` is followed by `/deployments/{model}`,
    /// (but for Responses, which names its model inside, and for talks, which name it in the query) and every URL gets
    /// `api-version`, as in <https://learn.microsoft.com/azure/ai-foundry/openai/reference> and
    /// <https://learn.microsoft.com/azure/ai-foundry/openai/how-to/realtime-audio-websockets>.
    #[must_use]
    pub fn url(&self, path: &str, model: &str) -> String {
        let (base, path) = climb(&self.base, path);
        let Some(version) = &self.version else {
            return format!("{base}{path}");
        };
        let unversioned = base.strip_suffix("/v1").unwrap_or(base);
        let separator = if path.contains('?') { '&' } else { '?' };
        if unversioned.ends_with("/openai") && path.starts_with("/realtime?") {
            return format!("{unversioned}/realtime?api-version={version}&deployment={}", percent_encoded(model));
        }
        if unversioned.ends_with("/openai") && path != "/responses" {
            format!("{unversioned}/deployments/{}{path}{separator}api-version={version}", percent_encoded(model))
        } else {
            let base = if path == "/responses" { unversioned } else { base };
            format!("{base}{path}{separator}api-version={version}")
        }
    }
}

/// What is left of both once each `/..` at the front of the path has taken a segment off the base.
fn climb<'a>(base: &'a str, path: &'a str) -> (&'a str, &'a str) {
    let (mut base, mut path) = (base, path);
    while let Some(rest) = path.strip_prefix("/..") {
        path = rest;
        // A base that was moved may have fewer segments; its host is none of them.
        base = base.rsplit_once('/').map(|(shorter, _)| shorter).filter(|it| !it.ends_with('/')).unwrap_or(base);
    }
    (base, path)
}

fn fill_in(template: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, MissingVariable> {
    let mut url = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        url.push_str(before);
        url.push_str(&variable(name).ok_or_else(|| MissingVariable(name.to_owned()))?);
        rest = behind;
    }
    url.push_str(rest);
    Ok(url)
}

/// A model's name as one segment of a path: it came from the caller and must not climb out of it.
#[must_use]
pub fn percent_encoded(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && segment.len() > 2) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::find;

    fn url(provider: &str, path: &str, model: &str, variables: &[(&str, &str)]) -> Result<String, MissingVariable> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let row = find(provider).expect("a row");
        let moved = variable(&row.base_url_variable());
        Ok(Address::of(row, moved.as_deref(), &variable)?.url(path, model))
    }

    #[test]
    fn a_row_knows_its_address_and_a_variable_replaces_it() {
        let path = "/chat/completions";
        assert_eq!(url("groq", path, "m", &[]).expect("complete"), "https://api.groq.com/openai/v1/chat/completions");
        let elsewhere = [("GROQ_BASE_URL", "http://localhost:9/v1/")];
        assert_eq!(url("groq", path, "m", &elsewhere).expect("complete"), "http://localhost:9/v1/chat/completions");
        let missing = url("workers-ai", path, "m", &[]).expect_err("no account");
        assert_eq!(missing, MissingVariable("CLOUDFLARE_ACCOUNT_ID".to_owned()));
        let account = [("CLOUDFLARE_ACCOUNT_ID", "a1"), ("CLOUDFLARE_GATEWAY_ID", "g")];
        assert_eq!(
            url("cloudflare-ai-gateway", path, "m", &account).expect("complete"),
            "https://gateway.ai.cloudflare.com/v1/a1/g/compat/chat/completions"
        );
    }

    #[test]
    fn a_place_may_have_a_host_of_its_own() {
        let at = |provider: &str, location: &str| {
            let variables = [("VERTEX_PROJECT", "shop"), ("VERTEX_LOCATION", location)];
            url(provider, "/x", "m", &variables).expect("complete")
        };
        let project =
            |host: &str, location: &str| format!("https://{host}.googleapis.com/v1/projects/shop/locations/{location}");
        assert_eq!(at("vertex", "europe-west4"), project("europe-west4-aiplatform", "europe-west4") + "/x");
        assert_eq!(at("vertex", "global"), project("aiplatform", "global") + "/x");
        assert_eq!(at("vertex-anthropic", "eu"), project("aiplatform.eu.rep", "eu") + "/x");
        assert_eq!(
            at("vertex-openai", "us-central1"),
            project("us-central1-aiplatform", "us-central1") + "/endpoints/openapi/x"
        );
        assert_eq!(at("vertex-openai", "us"), project("aiplatform.us.rep", "us") + "/endpoints/openapi/x");
    }

    #[test]
    fn a_dated_version_moves_calls_to_deployments() {
        let path = "/chat/completions";
        let resource = ("AZURE_RESOURCE", "shop");
        let version = ("AZURE_API_VERSION", "2024-10-21");
        assert_eq!(
            url("azure", path, "gpt", &[resource]).expect("complete"),
            "https://shop.openai.azure.com/openai/v1/chat/completions"
        );
        assert_eq!(
            url("azure", path, "../gpt 4", &[resource, version]).expect("complete"),
            "https://shop.openai.azure.com/openai/deployments/..%2Fgpt%204/chat/completions?api-version=2024-10-21"
        );
        let talk = "/realtime?model=gpt";
        assert_eq!(
            url("azure", talk, "gpt", &[resource]).expect("complete"),
            "https://shop.openai.azure.com/openai/v1/realtime?model=gpt"
        );
        assert_eq!(
            url("azure", talk, "gpt", &[resource, version]).expect("complete"),
            "https://shop.openai.azure.com/openai/realtime?api-version=2024-10-21&deployment=gpt"
        );
        let foundry = ("AZURE_BASE_URL", "https://shop.services.ai.azure.com/models");
        assert_eq!(
            url("azure", path, "gpt", &[foundry, version]).expect("complete"),
            "https://shop.services.ai.azure.com/models/chat/completions?api-version=2024-10-21"
        );
    }
}
